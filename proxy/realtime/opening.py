"""A session on its way to a provider: which targets can speak Realtime, and the handshake with one of them."""

from dataclasses import dataclass, replace

from accounts.ledger.entry import Attempt
from proxy import forward, settle
from proxy.call import Call, Reply
from proxy.dialects import checks
from proxy.dialects.base import Asked
from proxy.errors import UpstreamError
from proxy.gateway import Gateway
from proxy.native.operations import Operation
from proxy.native.passing import Passing
from proxy.providers import ADAPTERS
from proxy.realtime import handshake
from proxy.transport import Wire
from proxy.upstream import without_private
from routing.values import Target

KINDS = frozenset({"openai", "azure-openai", "openai-compatible"})
REALTIME = Operation("realtime")


@dataclass(slots=True, kw_only=True)
class Opened(Reply):
    """A provider that has taken the session: the socket, and what is written down of it."""

    wire: Wire
    attempt: Attempt
    at: Target


@dataclass(slots=True)
class Opening(Passing):
    """A handshake that passes. `default_model` is the model asked for, `protocols` are those to offer."""

    protocols: tuple[str, ...] = ()

    def parse(self, raw: bytes) -> Asked:
        """Return that a session with the model is asked for. Raises BadRequest."""
        if not self.default_model:
            raise checks.missing("model")
        return Asked(raw, {}, self.default_model, stream=True, operation="pass")

    async def attempt(self, gateway: Gateway, call: Call, target: Target) -> Reply:
        """Open a session at `target`. Raises UpstreamError, and then another may be tried: nothing was billed."""
        out = handshake.outgoing(target, self.query, self.headers)
        if call.authorization:
            out = replace(out, headers=(*out.headers, *forward.header(call, target.provider)))
        attempt = await settle.opened(gateway, call, target)
        try:
            adapter = ADAPTERS[target.provider.kind]
            wire = await gateway.upstream.connect(target, out, adapter, protocols=self.protocols)
        except UpstreamError as error:
            blamed = forward.blamed(without_private(error, target.provider), call, target.provider)
            settle.attempt_failed(gateway, call, attempt, target, blamed)
            raise
        tried = [each.target for each in call.entry.attempts]
        return Opened(target.provider.name, target.name, attempts=tried, wire=wire, attempt=attempt, at=target)
