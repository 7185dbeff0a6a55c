"""Lookups by the name a caller asked for."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from routing.rules import DEFAULT_RETRIES
from routing.snapshot import MAX_ASKED, REMEMBERED, Snapshot, compile
from routing.values import Conditions, Limits
from tests.routing.tables import route_names, table

LOCAL = {"name": "local", "kind": "openai-compatible", "base_url": "https://llm.example/v1"}
OTHER = {"name": "other", "kind": "stub"}


def compiled(*routes: dict[str, Any], providers: list[dict[str, Any]] | None = None) -> Snapshot:
    return compile(table(providers or [LOCAL, OTHER], list(routes)), {"local": "sk-1234"}, 7)


def route(name: str, *models: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "targets": [{"provider": "local", "model": model} for model in models or ("m",)], **fields}


def found(snapshot: Snapshot, model: str) -> str | None:
    match = snapshot.find(model)
    return match.route.name if match else None


def test_it_finds_nothing_in_an_empty_table() -> None:
    snapshot = compile({"providers": [], "routes": []}, {}, 0)
    assert snapshot.revision == 0
    assert snapshot.find("gpt-4") is None
    assert snapshot.names() == []


def test_it_prefers_the_exact_name_then_the_longest_pattern() -> None:
    snapshot = compiled(route("gpt-4o"), route("gpt-4*"), route("gpt*"), route("*-mini"), route("*"))
    assert found(snapshot, "gpt-4o") == "gpt-4o"
    assert found(snapshot, "gpt-4o-2024") == "gpt-4*"
    assert found(snapshot, "gpt-4") == "gpt-4*"
    assert found(snapshot, "gpt-3") == "gpt*"
    assert found(snapshot, "o1-mini") == "*-mini"
    assert found(snapshot, "gpt-4o-mini") == "*-mini"  # five literal characters, as in gpt-4*: the smaller name
    assert found(snapshot, "anything") == "*"


def test_it_does_not_let_the_halves_of_a_pattern_overlap() -> None:
    snapshot = compiled(route("aba*aba"))
    assert found(snapshot, "aba") is None
    assert found(snapshot, "ababa") is None
    assert found(snapshot, "abaaba") == "aba*aba"


def test_it_fills_in_what_the_wildcard_matched() -> None:
    snapshot = compiled(route("claude/*", "*", "anthropic/*-latest", "", "fixed"))
    match = snapshot.find("claude/opus")
    assert match is not None
    assert [each.model for each in match.targets] == ["opus", "anthropic/opus-latest", "claude/opus", "fixed"]
    assert match.targets[0].name == "local/opus"
    assert match.route.targets[0].model == "*"


def test_it_never_asks_for_an_empty_model() -> None:
    match = compiled(route("claude/*", "*")).find("claude/")
    assert match is not None
    assert match.targets[0].model == "claude/"


def test_it_asks_for_the_exact_name_where_a_target_is_blank() -> None:
    match = compiled(route("small", "")).find("small")
    assert match is not None
    assert (match.model, match.targets[0].name) == ("small", "local/small")


def test_it_passes_over_disabled_routes() -> None:
    snapshot = compiled(route("gpt-4", enabled=False), route("gpt*"), route("x*", enabled=False))
    assert found(snapshot, "gpt-4") == "gpt*"
    assert found(snapshot, "x1") is None
    assert snapshot.names() == []
    assert len(snapshot.routes) == 3


def test_it_leaves_out_targets_that_are_off() -> None:
    targets = [{"provider": "other"}, {"provider": "local", "enabled": False}, {"provider": "local", "model": "x"}]
    snapshot = compiled({"name": "small", "targets": targets}, providers=[LOCAL, {**OTHER, "enabled": False}])
    match = snapshot.find("small")
    assert match is not None
    assert [each.name for each in match.targets] == ["local/x"]


def test_it_reaches_every_model_of_a_provider_by_name_when_that_is_on() -> None:
    snapshot = compiled(route("local/known"), providers=[{**LOCAL, "by_name": True}, OTHER])
    match = snapshot.find("local/meta/llama3")
    assert match is not None
    assert [each.name for each in match.targets] == ["local/meta/llama3"]
    assert found(snapshot, "local/known") == "local/known"
    assert snapshot.find("local/") is None
    assert snapshot.find("local") is None
    assert snapshot.find("other/model") is None


def test_it_does_not_reach_a_disabled_provider_by_name() -> None:
    assert compiled(providers=[{**LOCAL, "by_name": True, "enabled": False}]).find("local/llama3") is None


def test_it_lists_exact_names_sorted() -> None:
    assert compiled(route("b"), route("a"), route("c*")).names() == ["a", "b"]


def test_it_keeps_the_secret_out_of_sight() -> None:
    snapshot = compiled(route("small"))
    assert snapshot.providers["local"].secret == "sk-1234"
    assert snapshot.providers["other"].secret is None
    assert "sk-1234" not in repr(snapshot)
    assert "sk-1234" not in repr(snapshot.find("small"))


def test_it_refuses_endless_names_and_remembers_a_bounded_number() -> None:
    snapshot = compiled(route("*"))
    assert snapshot.find("x" * (MAX_ASKED + 1)) is None
    for number in range(REMEMBERED + 10):
        assert snapshot.find(f"model-{number}") is not None
    assert len(snapshot._remembered) == REMEMBERED
    assert snapshot.find("model-5") == snapshot.find("model-5")


def test_it_carries_the_fields_of_the_document() -> None:
    timed = {**LOCAL, "free": True, "allow_private": True, "connect_timeout": 1, "idle_timeout": 2.5}
    snapshot = compiled(route("small", cache_ttl=0, answer_as_asked=True), providers=[timed])
    provider, found_route = snapshot.providers["local"], snapshot.routes[0]
    assert (provider.free, provider.allow_private, provider.connect_timeout) == (True, True, 1.0)
    assert (provider.idle_timeout, provider.total_timeout) == (2.5, None)
    assert (found_route.cache_ttl, found_route.answer_as_asked) == (0, True)


def test_it_carries_what_a_target_takes_and_its_time_limits() -> None:
    terms = {"tools": "only", "max_context": 8000, "tag": "tier=gold", "share": 5, "idle_timeout": 3, "weight": 4}
    snapshot = compiled({"name": "small", "targets": [{"provider": "local", "model": "m", **terms}]}, route("plain"))
    (target,) = snapshot.routes[1].targets
    assert target.conditions == Conditions(tools="only", max_context=8000, tag="tier=gold")
    assert target.limits == Limits(idle_timeout=3.0)
    assert (target.share, target.shadow, target.weight) == (5.0, None, 4)
    (plain,) = snapshot.routes[0].targets
    assert (plain.conditions, plain.limits) == (None, None)


def test_it_retries_a_little_unless_told_otherwise() -> None:
    snapshot = compiled(route("a"), route("b", retries=0), route("c", retries=3))
    assert [each.retries for each in snapshot.routes] == [DEFAULT_RETRIES, 0, 3]


def test_it_reads_documents_that_lack_newer_fields() -> None:
    old = {
        "providers": [{"name": "local", "kind": "stub"}],
        "routes": [{"name": "a", "targets": [{"provider": "local", "model": "m"}, {"provider": "gone", "model": "m"}]}],
    }
    match = compile(old, {}, 1).find("a")
    assert match is not None
    assert [each.name for each in match.targets] == ["local/m"]


def oracle(names: list[str], asked: str) -> str | None:
    """What should be found, by trying everything."""

    def matches(name: str) -> bool:
        before, star, after = name.partition("*")
        if not star:
            return name == asked
        return asked.startswith(before) and asked.endswith(after) and len(asked) >= len(before + after)

    fitting = [name for name in names if matches(name)]
    return min(fitting, key=lambda name: ("*" in name, -len(name), name), default=None)


names = st.lists(
    route_names | st.text(alphabet="ab*", min_size=1, max_size=5).filter(lambda x: x.count("*") < 2), unique=True
)


@given(names, st.text(alphabet="ab", max_size=8) | route_names.map(lambda name: name.replace("*", "")))
def test_it_agrees_with_trying_everything(names: list[str], asked: str) -> None:
    snapshot = compiled(*(route(name) for name in names))
    assert found(snapshot, asked) == oracle(names, asked)
    assert found(snapshot, asked) == oracle(names, asked)  # and so from memory
