"""How targets are doing and what they cost at this moment: what the routing room asks when it decides."""

from dataclasses import dataclass

from accounts.prices import Book, Usage
from routing.health import Health
from routing.values import Target

EXPECTED_OUTPUT = 500  # tokens of an answer nobody has seen yet; the same for all, so only the order of prices counts


@dataclass(frozen=True, slots=True)
class Outlook:
    """Implements routing.decide.View. `now` is Unix seconds."""

    health: Health
    book: Book
    now: float

    @property
    def calm(self) -> bool:
        return self.health.calm

    def resting(self, target: Target) -> bool:
        return self.health.resting(target.name, self.now)

    def barred(self, target: Target) -> str:
        return self.health.barred(target.name)

    def seconds(self, target: Target, stream: bool) -> float | None:
        return self.health.seconds(target.name, stream)

    def cost(self, target: Target, tokens: int) -> int | None:
        provider = target.provider
        usage = Usage(input=tokens, output=EXPECTED_OUTPUT)
        free = provider.free or provider.kind == "stub"
        charge = self.book.charge(provider.name, provider.kind, target.model, usage, at=self.now, free=free)
        return None if charge.status == "unpriced" else charge.cost_nano
