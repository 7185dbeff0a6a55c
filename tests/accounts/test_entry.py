import json
import uuid

import orjson
import pytest

from accounts.ledger.entry import from_json, to_json, totals
from accounts.ledger.ids import uuid7
from tests.accounts.making import attempt, entry, settled


def test_it_comes_back_as_it_was_written() -> None:
    made = settled(tags={"app": "x"}, client_gone=True, first_token_us=7)
    assert from_json(to_json(made)) == made


def test_it_reads_what_a_newer_version_wrote() -> None:
    body = orjson.loads(to_json(settled()))
    newer = {**body, "colour": "red", "attempts": [{**body["attempts"][0], "shape": "round"}]}
    assert from_json(orjson.dumps(newer)) == from_json(orjson.dumps(body))


@pytest.mark.parametrize("wrong", [b"", b"{", b"[]", b"{}", b'{"attempts": 3}', b'"text"'])
def test_it_refuses_what_is_no_entry(wrong: bytes) -> None:
    with pytest.raises(ValueError):
        from_json(wrong)


def test_it_writes_down_whatever_a_caller_sends() -> None:
    raw = to_json(settled(model_asked="gpt\ud800", tags={"\udfff": "a\nb\0"}, tokens_saved=10**30))
    body = json.loads(raw)
    assert body["model_asked"] == "gpt?"
    assert body["tokens_saved"] == 10**30
    assert b"\n" not in raw


def test_it_sums_attempts_and_lets_doubt_win() -> None:
    made = entry(
        attempt(number=1, status="failed", usage=None, usage_source="none", cost_status="none", cost_nano=0),
        attempt(number=2, usage={"input": 5}, usage_source="estimated", cost_status="unpriced", cost_nano=0),
        attempt(number=3, provider="groq", model="llama", usage={"input": 10, "output": 1}, cost_nano=7),
    )
    assert (made.usage, made.cost_nano) == ({"input": 15, "output": 1}, 7)
    assert (made.usage_source, made.cost_status) == ("estimated", "unpriced")
    assert (made.provider, made.model) == ("groq", "llama")


def test_it_leaves_a_cache_hit_its_provider() -> None:
    made = entry(provider="openai", model="gpt-4o")
    totals(made)
    assert (made.provider, made.cost_nano, made.usage_source, made.cost_status) == ("openai", 0, "none", "none")


def test_it_makes_ids_that_sort_by_time() -> None:
    ids = [uuid7(1_763_640_000 + step / 1000) for step in range(2000)]
    assert ids == sorted(set(ids))
    parsed = uuid.UUID(uuid7(1_763_640_000.123))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == 1_763_640_000_123
    assert uuid7(1.0, lambda n: b"\xff" * n) == "00000000-03e8-7000-bfff-ffffffffffff"
