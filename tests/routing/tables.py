"""Routing tables for tests: a small one to read, and hypothesis strategies for any."""

from collections.abc import Collection, Mapping
from typing import Any

from hypothesis import strategies as st

from routing import document
from routing.document import Document
from routing.kinds import KINDS
from routing.values import Provider, Target


def table(providers: list[dict[str, Any]] | None = None, routes: list[dict[str, Any]] | None = None) -> Document:
    """Return a document in normal form; by default one provider `local` with the route `small`."""
    if providers is None:
        providers = [{"name": "local", "kind": "openai-compatible", "base_url": "https://llm.example/v1"}]
    if routes is None:
        routes = [{"name": "small", "targets": [{"provider": "local", "model": "llama3"}]}]
    return document.normal({"providers": providers, "routes": routes})


def target(name: str, *, tier: int = 0, weight: int = 1) -> Target:
    """Return the target `provider/model` for use without a table."""
    provider, _, model = name.partition("/")
    return Target("any", Provider(provider, "stub"), model or "m", tier, weight)


class Seen:
    """A view of targets for tests, by their names: who rests, who is barred and why, how fast and how dear they are."""

    def __init__(
        self,
        tired: Collection[str] = (),
        *,
        barred: Mapping[str, str] | None = None,
        seconds: Mapping[str, float] | None = None,
        costs: Mapping[str, int] | None = None,
    ) -> None:
        self._tired, self._barred = tired, barred or {}
        self._seconds, self._costs = seconds or {}, costs or {}

    @property
    def calm(self) -> bool:
        return not self._tired and not self._barred

    def resting(self, target: Target) -> bool:
        return target.name in self._tired

    def barred(self, target: Target) -> str:
        return self._barred.get(target.name, "")

    def seconds(self, target: Target, stream: bool) -> float | None:
        return self._seconds.get(target.name)

    def cost(self, target: Target, tokens: int) -> int | None:
        return self._costs.get(target.name)


_words = st.text(alphabet="abz019.-_", min_size=1, max_size=8)
_free_text = st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
_condition = st.sampled_from(["any", "only", "never"])
_seconds = st.none() | st.floats(min_value=0.001, max_value=86_400, allow_nan=False)
route_names = st.builds(lambda a, star, b: a + star + b, _words, st.sampled_from(["", "*"]), _words | st.just(""))


def _providers() -> st.SearchStrategy[list[dict[str, Any]]]:
    networked = sorted(kind.name for kind in KINDS.values() if kind.network)
    entry = st.fixed_dictionaries(
        {
            "name": _words.map(lambda text: f"p{text}"),
            "kind": st.sampled_from(networked),
            "base_url": st.just("https://llm.example/v1"),
            "credential": st.none() | st.just({"env": "SOME_KEY"}),
            "free": st.booleans(),
            "allow_private": st.booleans(),
            "by_name": st.booleans(),
            "enabled": st.booleans(),
            "connect_timeout": _seconds,
            "total_timeout": _seconds,
            "note": _free_text,
        }
    )
    return st.lists(entry, min_size=1, max_size=3, unique_by=lambda each: each["name"])


@st.composite
def tables(draw: st.DrawFn) -> Document:
    """Any small routing document in normal form, without stored credentials."""
    providers = draw(_providers())
    names = draw(st.lists(route_names, max_size=4, unique=True))
    return table(providers, [draw(_route(name, [each["name"] for each in providers])) for name in names])


def _route(name: str, providers: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    models = st.sampled_from(["", "up/stream", "*-eu"] if "*" in name else ["", "up/stream"])
    entry = st.fixed_dictionaries(
        {
            "provider": st.sampled_from(providers),
            "model": models,
            "tier": st.integers(0, 2),
            "weight": st.integers(0, 9),
            "enabled": st.booleans(),
            "streaming": _condition,
            "tools": _condition,
            "images": _condition,
            "json_schema": _condition,
            "max_context": st.none() | st.integers(0, 9000),
            "tag": st.sampled_from(["", "tier=gold"]),
            "share": st.none() | st.floats(0, 100),
            "first_byte_timeout": _seconds,
        }
    )
    return st.fixed_dictionaries(
        {
            "name": st.just(name),
            "team": st.sampled_from(["", "red"]),
            "enabled": st.booleans(),
            "strategy": st.sampled_from(["weighted", "fastest", "cheapest"]),
            "sticky": st.sampled_from(["", "user", "X-Session-Id"]),
            "retries": st.none() | st.integers(0, 5),
            "cache_ttl": st.none() | st.integers(0, 99),
            "answer_as_asked": st.booleans(),
            "description": _free_text,
            "targets": st.lists(entry, max_size=3),
        }
    )
