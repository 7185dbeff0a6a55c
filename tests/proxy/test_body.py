import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import body as bodies
from proxy.errors import BadRequest


def code_of(raw: bytes) -> str | None:
    with pytest.raises(BadRequest) as caught:
        bodies.parse(raw)
    return caught.value.code


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"null", "invalid_type"),
        (b"[]", "invalid_type"),
        (b'"x"', "invalid_type"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        ('{"a": 1}'.encode("utf-16"), "invalid_json"),
        ('{"a": "\xe9"}'.encode("latin-1"), "invalid_json"),
        (b"[" * 100_000, "json_too_deep"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "json_too_deep"),
        (b'{"a": NaN}', "invalid_number"),
        (b'{"a": -Infinity}', "invalid_number"),
        (b'{"a": 1e999}', "invalid_number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "invalid_number"),
        (b'{"a": 1, "a": 2}', "duplicate_key"),
        (b'{"a": {"b" : 1, "b": 2}}', "duplicate_key"),
        (b'{"a\\\\": 1, "a\\\\": 2}', "duplicate_key"),
        (b'{"a": "\\ud800"}', "invalid_unicode"),
    ],
)
def test_it_refuses_what_is_not_strict_json(raw: bytes, code: str) -> None:
    assert code_of(raw) == code


def test_it_takes_64_levels() -> None:
    raw = b'{"a":' * 64 + b"1" + b"}" * 64
    assert bodies.parse(raw)


def test_it_takes_text_that_looks_like_a_key() -> None:
    raw = json.dumps({"a": 'he said "b": 1', "c\\": '":":', "": "\\"}).encode()
    assert bodies.parse(raw) == json.loads(raw)


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
objects = st.dictionaries(st.text(), values, max_size=6)


@given(objects, st.sampled_from([None, 2]), st.booleans())
@settings(max_examples=300, deadline=None)
def test_it_takes_every_valid_object(value: dict, indent: int | None, ascii_only: bool) -> None:
    raw = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert bodies.parse(raw) == json.loads(raw)


@given(objects, st.text(min_size=1), st.sampled_from([None, 2]))
@settings(max_examples=300, deadline=None)
def test_it_sets_one_value_and_leaves_the_rest(value: dict, model: str, indent: int | None) -> None:
    asked = {**value, "model": "asked", "nested": {"model": "inner", "stream_options": {}}}
    raw = json.dumps(asked, indent=indent).encode()
    edited = bodies.with_value(raw, asked, "model", model)
    assert json.loads(edited) == asked | {"model": model}
    added = bodies.with_value(raw, asked, "stream_options", {"include_usage": True})
    assert json.loads(added) == asked | {"stream_options": {"include_usage": True}}


def test_it_keeps_every_other_byte() -> None:
    raw = b'{ "seed":12345678901234567890123, "x" :1.0 ,"model"  : "a\\"b" , "y": [ ] }'
    assert bodies.with_value(raw, bodies.parse(raw), "model", "new") == raw.replace(b'"a\\"b"', b'"new"')


def test_it_replaces_an_object_that_stands_twice() -> None:
    raw = b'{"tools": [{"stream_options": {"a": 1}}], "stream_options": {"include_usage": false}}'
    edited = bodies.with_value(raw, bodies.parse(raw), "stream_options", {"include_usage": True})
    assert edited == raw.replace(b'{"include_usage": false}', b'{"include_usage":true}')
