"""What a session costs, written down as it grows: after each response whose usage is reported, and at the end.

The session's model has one attempt. A model that transcribes what is heard has its own price, and so an attempt of its
own; the session's stays the last, since the record is named by it.
"""

from accounts.ledger.entry import Attempt
from accounts.prices import Usage
from proxy import admission, settle
from proxy.call import Call
from proxy.gateway import Gateway
from proxy.realtime.meter import Meter, plus
from routing.values import Target

SWITCHING = 101
NAMELESS = "(transcription)"  # no session event has said which model transcribes


class Bill:
    """One session's entry, which is open."""

    def __init__(self, gateway: Gateway, call: Call, attempt: Attempt, target: Target) -> None:
        self._gateway, self._call, self._attempt, self._target = gateway, call, attempt, target
        self._transcribing: dict[str, Attempt] = {}
        self._spent = 0  # nano-USD, up to the last response
        self.meter = Meter()
        self.entry = call.entry

    def record(self) -> None:
        """Write down what was reported so far. Raises JournalUnavailable."""
        self._price(self.meter.usage, "provider")
        self._gateway.journal.update(self.entry)

    def go_on(self) -> None:
        """Reserve for what comes next. Raises OverBudget where that was the last."""
        if self._call.reservation is not None:
            before, self._spent = self._spent, sum(attempt.cost_nano for attempt in self.entry.attempts)
            admission.go_on(self._gateway, self._call, self._spent, self._spent - before)

    def settle(self, error: str, *, blamed: bool, gone: bool) -> None:
        """Settle with what was reported, and an estimate of what was not. Raises Unavailable."""
        gateway, guess = self._gateway, self.meter.guess()
        cut, used = bool(self.meter.unfinished) or blamed, guess or self.meter.usage or self.meter.heard
        status = ("interrupted" if used else "failed") if cut else "settled"
        error = error or ("client_disconnected" if gone else "stream_interrupted" if cut else "")
        if guess is None:
            self._price(self.meter.usage, "provider")
        else:
            self._price(plus(self.meter.usage, guess), "estimated")
        for attempt in self.entry.attempts:
            if attempt.status == "open":
                attempt.status, attempt.http_status, attempt.error = status, SWITCHING, error
                attempt.latency_us = settle.passed(self._call)
        if blamed:
            gateway.health.failed(self._target.name, error, gateway.clock())
        else:
            gateway.health.succeeded(self._target.name, gateway.clock())
        settle.close(gateway, self._call, status=status, http_status=SWITCHING, error=error, client_gone=gone)

    def _price(self, usage: Usage | None, source: str) -> None:
        if usage is not None:
            self._attempt.latency_us = settle.passed(self._call)  # which may have a price
            settle.price_attempt(self._gateway, self._attempt, usage, source)
        for model, heard in self.meter.heard.items():
            settle.price_attempt(self._gateway, self._transcriber(model), heard, "provider")

    def _transcriber(self, model: str) -> Attempt:
        """Return the attempt of a model that transcribes."""
        if model not in self._transcribing:
            own = self._attempt
            self._transcribing[model] = Attempt(
                number=own.number,
                target=own.target,
                provider=own.provider,
                kind=own.kind,
                model=model or NAMELESS,
                cost_status="free" if own.cost_status == "free" else "none",
                started_at=self._gateway.clock(),
            )
            self.entry.attempts.insert(-1, self._transcribing[model])
            own.number += 1
        return self._transcribing[model]
