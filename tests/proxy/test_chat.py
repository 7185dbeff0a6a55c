import orjson
import pytest

from proxy import chat
from proxy.errors import BadRequest

ASK = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"model": None}, "model", "missing_required_parameter"),
        ({"model": 3}, "model", "invalid_type"),
        ({"model": ""}, "model", "invalid_value"),
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": "hi"}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": ["hi"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content", "invalid_type"),
        ({"stream": "true"}, "stream", "invalid_type"),
        ({"stream": 1}, "stream", "invalid_type"),
        ({"stream_options": {}}, "stream_options", "invalid_value"),
        ({"stream": True, "stream_options": []}, "stream_options", "invalid_type"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 10**9}, "n", "invalid_value"),
        ({"max_tokens": -1}, "max_tokens", "invalid_value"),
        ({"max_tokens": 1.0}, "max_tokens", "invalid_type"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"temperature": True}, "temperature", "invalid_type"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"api_base": "http://evil"}, "api_base", "unsupported_parameter"),
        ({"extra_headers": {}}, "extra_headers", "unsupported_parameter"),
        ({"metadata": {"base_url": "x"}}, "metadata.base_url", "unsupported_parameter"),
        ({"metadata": {"callback_URL": "x"}}, "metadata.callback_URL", "unsupported_parameter"),
    ],
)
def test_it_names_the_parameter_that_is_wrong(change: dict, param: str, code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        chat.parse(orjson.dumps(ASK | change))
    assert (caught.value.param, caught.value.code) == (param, code)


def test_it_keeps_the_bytes_and_unknown_fields() -> None:
    raw = orjson.dumps(ASK | {"stream": True, "stream_options": {"include_usage": True}, "brand_new": {"x": [1]}})
    parsed = chat.parse(raw)
    assert parsed.raw is raw
    assert (parsed.model, parsed.stream, parsed.wants_usage) == ("m", True, True)
