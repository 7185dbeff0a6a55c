"""Golden files of the kinds that speak OpenAI's own dialect: how a case is written, and how it is tried.

A folder of tests/golden for each kind holds requests.yaml, replies.yaml and streams.yaml. In a text `<name>` stands for
one of the file's `marks`; `<m>` for the model, by the name asked for on the way in and the provider's on the way out;
`<u>` for nothing on the way in and the wish for usage on the way out; `<a|b>` for a on the way in and b on the way out.
"""

import re
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import yaml

from accounts.prices import Price, Usage
from proxy import sse
from proxy.errors import GatewayError
from proxy.providers import ADAPTERS
from proxy.providers.stub import Words
from proxy.relay import Relay
from proxy.transport import Outbound
from tests.proxy.dialects.golden import FOLDER

KINDS = ("openai", "groq", "azure-openai", "openai-compatible", "stub")
ASKED = "asked"
WISH = ',"stream_options":{"include_usage":true}'
# nano-USD a token: each class another, so that a count in the wrong class is a wrong amount.
RATES = {"input": 1000, "cached_input": 100, "cache_write": 1250, "output": 2000, "reasoning": 3000}
RATES |= {"audio_input": 4000, "audio_output": 5000}
PRICE = Price(1, "", "", "*", 0.0, {name: rate * 1_000_000 for name, rate in RATES.items()})
_MARK = re.compile(r"<([a-z_0-9]+)>")
_EITHER = re.compile(r"<([^<>|]*)\|([^<>|]*)>")


class Strict(yaml.SafeLoader):
    """Refuses a name given twice: one of the two cases would never be tried."""


def _unique(loader: Strict, node: yaml.MappingNode) -> dict[str, Any]:
    names = [key.value for key, _ in node.value]
    assert len(names) == len(set(names)), f"given twice: {sorted(n for n in names if names.count(n) > 1)}"
    return {loader.construct_object(key): loader.construct_object(value, deep=True) for key, value in node.value}


Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique)


@dataclass(frozen=True)
class Case:
    """One case of a kind. `given` is what its file says of it, `file` what the file says of all its cases."""

    kind: str
    name: str
    given: Mapping[str, Any]
    file: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.kind}-{self.name}"

    def get(self, name: str, default: Any = None) -> Any:
        return self.given.get(name, self.file.get(name, default))

    @property
    def served(self) -> str:
        return str(self.get("served"))

    def text(self, template: str, *, outward: bool = False) -> str:
        """Return a text with its marks replaced, as it is on the way in or out."""
        marks = {"m": f'"{self.served if outward else ASKED}"', "u": WISH if outward else ""} | self.file["marks"]
        while found := [name for name in _MARK.findall(template) if name in marks]:
            for name in found:
                template = template.replace(f"<{name}>", marks[name])
        return _EITHER.sub(lambda match: match.group(2 if outward else 1), template)

    @property
    def usage(self) -> Usage | None:
        return Usage(**self.given["usage"]) if self.given.get("usage") is not None else None

    @property
    def cost(self) -> int:
        """What the usage costs, as the case says it in nano-USD."""
        return int(self.given["cost"])


def cases(what: str) -> list[Case]:
    """Return the cases of all kinds; `what` is "requests", "replies" or "streams"."""
    return [case for kind in KINDS for case in _of(kind, what)]


def _of(kind: str, what: str) -> Iterator[Case]:
    path = FOLDER / kind / f"{what}.yaml"
    file = yaml.load(path.read_text(), Loader=Strict)
    for name, given in file.pop("cases").items():
        yield Case(kind, name, {"text": given} if isinstance(given, str) else given, file)


@dataclass
class Scripted(httpx.AsyncBaseTransport):
    """The provider: says what it was told to, and keeps what it was asked."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    parts: list[bytes] = field(default_factory=list)
    sent: list[Outbound] = field(default_factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request, Outbound)
        self.sent.append(request)
        return httpx.Response(self.status, headers=dict(self.headers), stream=Words(self.parts, 0))


class Pieces:
    """A provider's stream that arrives in these pieces."""

    patience = float("inf")

    def __init__(self, pieces: list[bytes]) -> None:
        self._rest = [piece for piece in pieces if piece]
        self.ended = False

    async def next(self) -> bytes:
        self.ended = not self._rest
        return self._rest.pop(0) if self._rest else b""

    def close(self) -> None:
        self.ended = True


def at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """Run what waits for nothing, without a loop."""
    try:
        work.send(None)
    except StopIteration as stopped:
        return stopped.value
    raise AssertionError("it waited")


def relayed(kind: str, pieces: list[bytes]) -> tuple[bytes, Usage | None, str | None]:
    """Return what a caller gets of a stream before its closing words, the usage read, and the code of its failure."""
    relay = Relay(Pieces(pieces), ADAPTERS[kind].usage)
    back = b""
    try:
        at_once(relay.begin())
        while part := at_once(relay.next()):
            back += part
    except GatewayError as error:
        return back, relay.usage, error.code
    return back, relay.usage, None


def said(case: Case) -> bytes:
    """Return the bytes of a provider's stream, with the line ends that the case wants."""
    ends = {"lf": "\n", "crlf": "\r\n", "cr": "\r"}
    return case.text(case.given["stream"]).replace("\n", ends[case.given.get("lines", "lf")]).encode()


def finished(raw: bytes) -> str | None:
    """Return the last finish reason in a stream's events."""
    found = re.findall(rb'"finish_reason"\s*:\s*"([a-z_]+)"', raw)
    return found[-1].decode() if found else None


def events(raw: bytes, change: Callable[[bytes], bytes] = bytes) -> list[bytes]:
    return [change(event) for event in sse.events(raw)]
