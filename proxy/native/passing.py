"""A call that passes as it is: what is read of it, who may serve it, and the request that goes out."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from accounts.keys import Grant, may_use
from accounts.prices import Usage
from proxy import body as bodies
from proxy.body import Json, with_value
from proxy.chat import refuse_forbidden
from proxy.dialects import checks
from proxy.dialects.base import Asked
from proxy.errors import BadRequest, ModelNotFound, NotAllowed, NotFound
from proxy.native import address, form
from proxy.native.form import Field
from proxy.native.operations import NAMELESS, OPENAI, Operation
from proxy.native.shapes import Shape
from proxy.providers import azure
from proxy.providers.anthropic import VERSION
from proxy.providers.base import Outgoing
from routing.snapshot import Snapshot
from routing.values import Match, Provider, Route, Target

OWN_API = "-native"  # stands behind the kind in the name of a surface


@dataclass(slots=True)
class Passing:
    """One call on its way through. `path` is what follows the version, `headers` those of the caller that may go on.

    `own_api`: it was asked for under a provider's own name, so that provider's every model and every answer will do;
    else it is an operation of `/v1`, whose model needs a route and whose errors are told in our words.
    """

    kinds: frozenset[str]
    operation: Operation
    method: str
    path: str
    version: str = "v1"
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = ""
    own_api: bool = True
    default_model: str = ""
    moved: Callable[[str], str] | None = None  # gives our own address for one that the provider sends the caller to
    shape: Shape = field(default_factory=lambda: Shape(OPENAI))
    _raw: bytes = b""
    _body: Json = field(default_factory=dict)
    _place: Field | None = None  # of the model in a form
    _told: Json = field(default_factory=dict)  # of a form: how many are asked for

    def parse(self, raw: bytes) -> Asked:
        """Return what is asked, with "" for a model where none is named. Raises BadRequest."""
        self._raw = raw
        address.check_path(self.path)
        model, stream = self._read(raw)
        return Asked(raw, self._body or self._told, model, stream, operation="pass")

    @property
    def counts(self) -> bool:
        """Whether the size of what is asked says something about its tokens."""
        return bool(self._body) and self.operation.known

    @property
    def least(self) -> Usage:
        """What a call that is billed as a whole has used, whatever becomes of it: of a text to be read, its letters."""
        text = self._body.get("input") if self.operation.makes == "audio_output" else None
        return Usage(requests=1, characters=len(text) if isinstance(text, str) else 0)

    def outgoing(self, target: Target) -> Outgoing:
        """Return the request for `target`: the caller's bytes, with another model only where the route says so."""
        raw, provider = self._raw, target.provider
        in_path = bool(self.operation.model) and target.model != self.operation.model
        if provider.kind == "azure-openai":
            url = azure.address(provider, self.path, target.model)
            credential = azure.credential(provider)
        else:
            url = address.address(target, self.version, self.path, self.query, model_in_path=in_path)
            credential = address.credential(provider)
        if not self.operation.model and target.model != NAMELESS:
            raw = self._renamed(raw, target.model)
        headers = self.headers
        if provider.kind == "anthropic" and not any(name == "anthropic-version" for name, _ in headers):
            headers = (*headers, ("anthropic-version", VERSION))
        return Outgoing(url, (*headers, *credential), raw)

    def _read(self, raw: bytes) -> tuple[str, bool]:
        """Return the model asked for, "" where none is named, and whether a stream is."""
        if self.operation.opaque:
            return "", False
        if self.operation.model:
            self._body = self._parsed(raw)
            return self.operation.model, self.operation.stream
        if self.content_type.lower().startswith("multipart/"):
            return self._read_form(raw)
        self._body = self._parsed(raw)
        # What we do not know may mean anything by these names; only where we know must they be what they seem.
        if not self.operation.known:
            model = self._body.get("model")
            return (model if isinstance(model, str) else ""), self._body.get("stream") is True
        model = checks.optional(self._body, "model", str)
        return model or self.default_model, checks.optional(self._body, "stream", bool) or False

    def _parsed(self, raw: bytes) -> Json:
        says_json = "json" in self.content_type.lower()
        if not raw or not (says_json or self.operation.known or raw.lstrip()[:1] == b"{"):
            return {}
        try:
            body = bodies.parse(raw)
        except BadRequest as error:
            if self.operation.known or error.code == "duplicate_key":
                raise
            return {}  # the provider's to judge
        if self.operation.known:
            refuse_forbidden(body)
        return body

    def _read_form(self, raw: bytes) -> tuple[str, bool]:
        found = form.fields(raw, self.content_type)
        self._place = found.get("model")
        texts: dict[str, str] = {}
        for name in ("model", "stream", "n"):
            if (place := found.get(name)) is not None:
                texts[name] = raw[place.start : min(place.end, place.start + 1000)].decode("utf-8", "replace").strip()
        self._told = {"n": texts["n"]} if "n" in texts else {}
        return texts.get("model", "") or self.default_model, texts.get("stream", "").lower() == "true"

    def _renamed(self, raw: bytes, model: str) -> bytes:
        if self._place is not None:
            place = self._place
            if raw[place.start : place.end].strip() == model.encode():
                return raw
            return raw[: place.start] + model.encode() + raw[place.end :]
        given = self._body.get("model")
        return with_value(raw, self._body, "model", model) if isinstance(given, str) and given != model else raw

    def match(self, grant: Grant, snapshot: Snapshot, model: str) -> Match:
        """Return where the call may go. Raises BadRequest, ModelNotFound, NotAllowed or NotFound."""
        if grant.models and not (model and self.operation.known):
            raise NotAllowed("This key is for certain models, and this call names none that could be checked.")
        if not model:
            return self._without_model(snapshot)
        routed = snapshot.find(model, grant.team)
        if routed is not None and may_use(grant, model):
            if (able := _able(routed, self.kinds)) is not None:
                return able
            if not self.own_api:
                why = f"No target of this model can serve {self.operation.name}."
                raise BadRequest(why, code="unsupported", param="model")
        provider = _open_provider(snapshot, self.kinds) if self.own_api else None
        if provider is None or not (may_use(grant, model) or may_use(grant, f"{provider.name}/{model}")):
            raise ModelNotFound(model)
        return _straight(provider, model)

    def _without_model(self, snapshot: Snapshot) -> Match:
        if not self.own_api:
            raise checks.missing("model")
        provider = _open_provider(snapshot, self.kinds)
        if provider is None:
            raise NotFound("No provider of this kind is open to calls without a route.")
        return _straight(provider, NAMELESS)


def again(snapshot: Snapshot, surface: str, model: str, team: str) -> Match | None:
    """Return where a recorded call of this surface would go by `snapshot`, None where it would be refused.

    What its key may use is not asked: keys have changed since.
    """
    routed, kind = snapshot.find(model, team), surface.removesuffix(OWN_API)
    if kind == surface:
        return routed
    kinds = frozenset({kind})
    if routed is not None and (able := _able(routed, kinds)) is not None:
        return able
    provider = _open_provider(snapshot, kinds)
    return None if provider is None else _straight(provider, model)


def _able(routed: Match, kinds: frozenset[str]) -> Match | None:
    """Return the route with those of its targets that take the call as it is, None where there is none."""
    targets = tuple(each for each in routed.targets if each.provider.kind in kinds)
    return replace(routed, targets=targets) if targets else None


def _open_provider(snapshot: Snapshot, kinds: frozenset[str]) -> Provider | None:
    """Return the first by name of those whose every model may be asked for."""
    able = (each for each in snapshot.providers.values() if each.kind in kinds)
    return min((each for each in able if each.enabled and each.by_name), key=lambda each: each.name, default=None)


def _straight(provider: Provider, model: str) -> Match:
    route = Route(f"{provider.name}/*", ())
    return Match(route, model, (Target(route.name, provider, model),))


def allowed(pairs: dict[bytes, bytes]) -> tuple[tuple[str, str], ...]:
    """Return those of a caller's headers that may go on to a provider."""
    return tuple(
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in pairs.items()
        if name in FORWARDED or name.startswith((b"x-stainless-", b"x-goog-upload-"))
    )


# No credential, no cookie, nothing that chooses an account, an organisation or a project, nothing about the connection.
FORWARDED: frozenset[Any] = frozenset(
    (
        *(b"content-type", b"accept", b"user-agent", b"idempotency-key", b"openai-beta", b"traceparent"),
        *(b"anthropic-version", b"anthropic-beta", b"x-goog-api-client"),
    )
)
