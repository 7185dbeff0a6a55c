"""Which models a provider says it has: one bounded question that no provider bills. Source: their API references."""

import time
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.errors import UpstreamError
from proxy.native.address import credential
from proxy.providers import azure
from proxy.providers.anthropic import VERSION
from proxy.providers.base import Outgoing
from proxy.upstream import Upstream, without_private
from routing.kinds import KINDS
from routing.values import Provider, Target

MOST = 2_000  # models; of what a provider lists beyond that nothing is read
BUILT_IN = ("stub", "stub/slow", "stub/429", "stub/cut")
GENERATES = {"generateContent", "embedContent"}


@dataclass(frozen=True, slots=True)
class Listing:
    """What came back: the HTTP status (None where there was no answer), how long it took, the models' own names."""

    status: int | None
    milliseconds: int
    models: tuple[str, ...] = ()
    trouble: str = ""


async def ask(upstream: Upstream, provider: Provider) -> Listing:
    """Ask `provider` for its models. Whatever goes wrong is said in the listing, without address and credential."""
    if not KINDS[provider.kind].network:
        return Listing(200, 0, BUILT_IN)
    started = time.monotonic()
    try:
        asked = Target("", provider, "")
        response = await upstream.pass_on(asked, "GET", request(provider))
        raw = await upstream.read(response, asked, started)
    except UpstreamError as error:
        return Listing(None, _since(started), trouble=without_private(error, provider).message)
    models = names(provider.kind, raw) if response.status_code == 200 else ()
    return Listing(response.status_code, _since(started), models)


def request(provider: Provider) -> Outgoing:
    """Return the question in the provider's own dialect."""
    base, headers = provider.base_url.rstrip("/"), credential(provider)
    if provider.kind == "anthropic":
        url = f"{base.removesuffix('/v1')}/v1/models?limit=1000"
        return Outgoing(url, (*headers, ("anthropic-version", VERSION)), b"")
    if provider.kind == "gemini":
        return Outgoing(f"{base.removesuffix('/v1beta')}/v1beta/models?pageSize=1000", headers, b"")
    if provider.kind == "azure-openai":
        return Outgoing(azure.address(provider, "models", ""), azure.credential(provider), b"")
    return Outgoing(f"{base}/models", headers, b"")


def names(kind: str, raw: bytes) -> tuple[str, ...]:
    """Read the names out of an answer, sorted; what is not understood is left out."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return ()
    if isinstance(body, dict):
        body = body.get("models") if kind == "gemini" else body.get("data")
    listed = [_name(each) for each in body if isinstance(each, dict)] if isinstance(body, list) else []
    return tuple(sorted({name for name in listed if name and len(name) <= 200 and name.isprintable()})[:MOST])


def _name(model: dict[str, Any]) -> str:
    """OpenAI and Anthropic say `id`; Gemini says `models/NAME`, and what the model is good for."""
    methods = model.get("supportedGenerationMethods")
    if isinstance(methods, list) and not any(method in GENERATES for method in methods):
        return ""
    name = model.get("id") or model.get("name")
    return name.removeprefix("models/") if isinstance(name, str) else ""


def _since(started: float) -> int:
    return int((time.monotonic() - started) * 1000)
