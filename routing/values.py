"""What a routing table is made of: frozen values, and what a lookup among them found."""

from dataclasses import dataclass, field

from routing.rules import ANY, WEIGHTED


@dataclass(frozen=True, slots=True)
class Provider:
    """A place we call. Time limits are seconds, None for the default."""

    name: str
    kind: str
    base_url: str = ""
    secret: str | None = field(default=None, repr=False, compare=False)
    free: bool = False
    allow_private: bool = False
    enabled: bool = True
    connect_timeout: float | None = None
    first_byte_timeout: float | None = None
    idle_timeout: float | None = None
    total_timeout: float | None = None
    allow_insecure: bool = False
    by_name: bool = False
    forward_authorization: bool = False


@dataclass(frozen=True, slots=True)
class Conditions:
    """Which calls a target takes. Each word is "any", "only" or "never"; `max_context` is tokens, `tag` name=value."""

    streaming: str = ANY
    tools: str = ANY
    images: str = ANY
    json_schema: str = ANY
    max_context: int | None = None
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a target has of its own, None where its provider's hold."""

    connect_timeout: float | None = None
    first_byte_timeout: float | None = None
    idle_timeout: float | None = None
    total_timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """One way to serve a route. In a pattern's target, `model` may hold a `*`; in a Match it never does.

    `share` and `shadow` are percent: of the calls that try this target first, and of those it gets a copy of.
    """

    route: str
    provider: Provider
    model: str
    tier: int = 0
    weight: int = 1
    conditions: Conditions | None = None
    limits: Limits | None = None
    share: float | None = None
    shadow: float | None = None

    @property
    def name(self) -> str:
        return f"{self.provider.name}/{self.model}"


@dataclass(frozen=True, slots=True)
class Route:
    """A model name or pattern. `cache_ttl` is seconds, 0 for no cache, None for the default."""

    name: str
    targets: tuple[Target, ...]
    cache_ttl: int | None = None
    answer_as_asked: bool = False
    enabled: bool = True
    team: str = ""
    alias_of: str = ""
    default: bool = False
    strategy: str = WEIGHTED
    sticky: str = ""
    retries: int = 0
    off: tuple[Target, ...] = ()  # targets that are switched off, for those who explain


@dataclass(frozen=True, slots=True)
class Match:
    """What a lookup found: the targets that can serve `model`, disabled providers left out.

    `model` is the name that was asked for with every alias followed. `shadows` are targets that only get copies.
    `plain`: nothing but tiers and weights decides among the targets.
    """

    route: Route
    model: str
    targets: tuple[Target, ...]
    shadows: tuple[Target, ...] = ()
    plain: bool = True
