"""Answers of batches as they pass, in lines or in one body: added up by model, and billed once all have been seen.

Sources: Anthropic's API reference, message batch results; Gemini API reference, batches and google-genai 3.4.0; Groq's
batches. Of OpenAI's the batch itself tells the sum.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from accounts.prices import UNITS, Usage
from accounts.rates import BATCH, BATCH_SUM, STANDARD
from proxy.body import within
from proxy.call import Call
from proxy.errors import StreamCut
from proxy.gateway import Gateway
from proxy.native import background, batches
from proxy.native.batches import Share
from proxy.native.usage import reported
from routing.values import Provider

LONGEST_LINE = 8 * 1024 * 1024  # bytes; a longer one cannot be read, and is passed on all the same
# Where answers are found, by kind: their path, with the batch's name, or that of the file that holds them.
_PATHS = {
    "anthropic": re.compile(r"messages/batches/([^/]+)/results"),
    "gemini": re.compile(r"(files/[^/:]+):download"),
    "groq": re.compile(r"(files/[^/]+)/content"),
}
_RESULTS = re.compile(r"/v1/messages/batches/[^/?#]+/results$")
Item = tuple[str, Usage]  # the model of one answer and what it used


class Sums:
    """Usage of many answers by model. `step` says above how many tokens a prompt of a model has a price of its own."""

    def __init__(self, step: Callable[[str], float]) -> None:
        self._step = step
        self._sums: dict[tuple[str, bool], list[int]] = {}

    def add(self, item: Item) -> None:
        model, usage = item
        sums = self._sums.setdefault((model, usage.tokens_in > self._step(model)), [0] * len(UNITS))
        for place, unit in enumerate(UNITS):
            sums[place] += getattr(usage, unit)

    def shares(self, batch: str) -> Iterator[Share]:
        for model in dict.fromkeys(model for model, _ in self._sums):
            parts = tuple(self._of(model, long) for long in (False, True))
            yield Share(batch, f"{batch} {model}", model, parts)

    def _of(self, model: str, long: bool) -> Usage:
        counts: dict[str, Any] = dict(zip(UNITS, self._sums.get((model, long), ()), strict=False))
        return Usage(**counts, service_tier=BATCH if long else BATCH_SUM)


class Lines:
    """Watches a file of answers, one a line, go by. They are billed when it has been seen to its end."""

    usage: Usage | None = None
    so_far: Usage | None = None
    error: StreamCut | None = None
    ended = False

    def __init__(self, sums: Sums, bill: Callable[[Sums], None]) -> None:
        self._sums, self._bill = sums, bill
        self._begun: list[bytes] = []  # pieces of the line that has not ended yet
        self._size = 0

    def interesting(self, block: bytes) -> bool:
        return True

    def feed(self, name: bytes, data: bytes) -> None:
        if b"\n" in data:
            *lines, data = b"".join([*self._begun, data]).split(b"\n")
            self._begun, self._size = [], 0
            for line in lines:
                self._read(line)
        self._begun.append(data)
        self._size += len(data)
        if self._size > LONGEST_LINE:
            self._begun, self._size = [b"\0"], 0  # no JSON, whatever follows

    def complete(self) -> bool:
        self._read(b"".join(self._begun))
        self._bill(self._sums)
        return True

    def _read(self, line: bytes) -> None:
        if b'"usage' in line and (item := _item(_loaded(line))) is not None:
            self._sums.add(item)


def lines(gateway: Gateway, call: Call, provider: Provider, path: str) -> Lines | None:
    """Return who reads the answer to a GET on `path`, None where it is no file of a batch's answers."""
    pattern = _PATHS.get(provider.kind)
    found = pattern.fullmatch(path) if pattern is not None else None
    if found is None:
        return None
    batch = found[1]

    def bill(sums: Sums) -> None:
        batches.bill(gateway, call, provider, sums.shares(batch))
        batches.free(gateway, call, provider, batch)

    return Lines(Sums(lambda model: _step(gateway, provider, model)), bill)


def bill(gateway: Gateway, call: Call, provider: Provider, path: str, raw: bytes, body: Any) -> None:
    """Bill what the whole answer to a GET shows to be over; `body` is `raw` parsed. Raises Unavailable."""
    if (found := lines(gateway, call, provider, path)) is not None:
        found.feed(b"", raw)
        found.complete()
    elif provider.kind == "gemini":
        _bill_inline(gateway, call, provider, body)
    else:
        batches.bill(gateway, call, provider, [*batches.summed(body), *background.finished(body)])
        for name in batches.over(body):
            batches.free(gateway, call, provider, name)


def hold(call: Call, provider: Provider, body: Any) -> None:
    """Keep what was reserved for a batch that was just made, until somebody sees that it is over."""
    made = body if isinstance(body, dict) else {}
    name = made.get("name") if provider.kind == "gemini" else made.get("id")
    if isinstance(name, str):
        call.entry.holds[batches.digest(provider, name)] = call.entry.reserved_nano


def relative(provider: Provider, raw: bytes, body: Any) -> bytes:
    """Return an answer whose batches tell of their results under a path instead of the provider's own address.

    Anthropic's clients fetch them from where the batch says: they would send the caller's key there, past the gateway.
    """
    if provider.kind != "anthropic" or b'"results_url"' not in raw or not isinstance(body, dict):
        return raw
    listed = body["data"] if isinstance(body.get("data"), list) else [body]
    for url in (within(each, "results_url") for each in listed):
        path = _RESULTS.search(url) if isinstance(url, str) else None
        if path is not None:
            raw = raw.replace(orjson.dumps(url), orjson.dumps(path[0]))
    return raw


def _bill_inline(gateway: Gateway, call: Call, provider: Provider, body: Any) -> None:
    """Bill Gemini's batches, one or a list of them, that hold their own answers."""
    listed = body.get("operations") if isinstance(body, dict) and "operations" in body else [body]
    for each in listed if isinstance(listed, list) else ():
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            continue
        sums = Sums(lambda model: _step(gateway, provider, model))
        asked = within(each, "metadata", "model")
        model = asked.removeprefix("models/") if isinstance(asked, str) else ""
        for answer in _inline(each):
            if (item := _item(answer)) is not None:
                sums.add((model or item[0], item[1]))
        batches.bill(gateway, call, provider, sums.shares(each["name"]))
        if each.get("done") is True:
            batches.free(gateway, call, provider, each["name"])


def _inline(operation: Mapping[str, Any]) -> list[Any]:
    for place in (("response",), ("metadata", "output")):
        answers = within(operation, *place, "inlinedResponses", "inlinedResponses")
        if isinstance(answers, list) and operation.get("done") is True:
            return answers
    return []


def _item(line: Any) -> Item | None:
    """Return the model and the usage of one answer: Anthropic's, Gemini's, or one in OpenAI's dialect."""
    for place in (("result", "message"), ("response", "body"), ("response",)):
        answer = within(line, *place)
        usage = reported(answer)
        if usage is not None and usage.as_dict():
            model = answer.get("model") or answer.get("modelVersion")
            return (model if isinstance(model, str) else ""), usage
    return None


def _step(gateway: Gateway, provider: Provider, model: str) -> float:
    price = gateway.book.find(provider.name, provider.kind, model, gateway.clock())
    if price is None:
        return float("inf")
    steps = price.steps.get(BATCH) or price.steps[STANDARD]
    return steps[-2].above if len(steps) > 1 else float("inf")


def _loaded(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
