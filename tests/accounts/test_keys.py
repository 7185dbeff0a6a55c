import dataclasses
import hashlib

import pytest

from accounts.keys import ALPHABET, Grant, KeyRejected, admit, fingerprint, matches, may_use, mint, well_formed

GRANT = Grant(key_id="abcd1234", label="laptop", team="red")


def test_it_mints_keys_of_the_promised_form() -> None:
    minted = mint()
    assert len(minted.text) == 52
    assert minted.text.startswith("sk-ql_" + minted.id)
    assert set(minted.text[6:]) <= set(ALPHABET)
    assert minted.digest == hashlib.sha256(minted.text.encode()).hexdigest() == fingerprint(minted.text)
    assert minted.text.endswith(minted.last4)
    assert well_formed(minted.text)


def test_it_never_shows_the_key_in_a_repr() -> None:
    minted = mint()
    assert minted.text not in repr(minted)


def test_it_makes_the_same_key_from_the_same_bytes_and_others_from_others() -> None:
    assert mint(lambda n: bytes(n)) == mint(lambda n: bytes(n))
    assert len({mint().text for _ in range(200)}) == 200


@pytest.mark.parametrize("place", range(52))
def test_it_notices_any_mistyped_letter(place: int) -> None:
    text = mint().text
    for letter in ("0", "z", "*"):
        wrong = text[:place] + letter + text[place + 1 :]
        assert well_formed(wrong) == (wrong == text)


def test_it_admits_a_known_key_until_it_expires() -> None:
    key = mint()
    table = {key.digest: dataclasses.replace(GRANT, expires_at=100.0)}
    assert admit(table, key.text, now=99.9).team == "red"
    with pytest.raises(KeyRejected) as refused:
        admit(table, key.text, now=100.0)
    assert refused.value.reason == "expired"


def test_it_tells_the_caller_the_same_for_every_reason() -> None:
    key, other = mint(), mint()
    tables = {
        "disabled": {key.digest: dataclasses.replace(GRANT, disabled=True)},
        "team disabled": {key.digest: dataclasses.replace(GRANT, team_disabled=True)},
        "expired": {key.digest: dataclasses.replace(GRANT, expires_at=1.0)},
        "unknown": {other.digest: GRANT},
    }
    told = set()
    for reason, table in tables.items():
        with pytest.raises(KeyRejected) as refused:
            admit(table, key.text, now=2.0)
        assert refused.value.reason == reason
        told.add(str(refused.value))
    with pytest.raises(KeyRejected) as refused:
        admit({}, "sk-\udcff\0 no key", now=2.0)
    assert refused.value.reason == "malformed"
    assert {*told, str(refused.value)} == {str(refused.value)}


def test_it_keeps_a_key_to_its_models() -> None:
    assert may_use(GRANT, "anything")
    some = dataclasses.replace(GRANT, models=("gpt-4o", "claude-*", "*-mini"))
    assert may_use(some, "gpt-4o")
    assert may_use(some, "claude-x")
    assert may_use(some, "o4-mini")
    assert not may_use(some, "gpt-4o-2024")
    assert not may_use(some, "claude")


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("a*b", "ab", True),
        ("a*b", "aXb", True),
        ("ab*bc", "abc", False),
        ("*", "", True),
        ("gpt-*", "gpt-4*", True),
        ("gpt-4*", "gpt-*", False),
        ("gpt-4", "*", False),
    ],
)
def test_it_compares_patterns(pattern: str, text: str, expected: bool) -> None:
    assert matches(pattern, text) is expected
