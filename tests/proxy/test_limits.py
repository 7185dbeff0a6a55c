"""A provider's rate-limit headers, in its own words and in OpenAI's."""

from datetime import UTC, datetime, timedelta

from proxy.limits import told


def test_openais_pass_in_lower_case_and_nothing_else_does() -> None:
    raw = [(b"X-RateLimit-Limit-Requests", b"500"), (b"content-type", b"x"), (b"x-ratelimit-reset-tokens", b"6m0s")]
    assert told(raw) == ((b"x-ratelimit-limit-requests", b"500"), (b"x-ratelimit-reset-tokens", b"6m0s"))
    assert told([(b"content-type", b"application/json"), (b"my-ratelimit-x", b"1")]) == ()


def test_anthropics_are_said_in_openais_words_too() -> None:
    reset = (datetime.now(UTC) + timedelta(seconds=90)).isoformat().encode()
    raw = [
        (b"anthropic-ratelimit-requests-limit", b"50"),
        (b"anthropic-ratelimit-tokens-reset", reset),
        (b"anthropic-ratelimit-input-tokens-remaining", b"7"),
    ]
    found = dict(told(raw))
    assert found[b"x-ratelimit-limit-requests"] == b"50"
    assert found[b"x-ratelimit-reset-tokens"] in {b"89s", b"90s"}
    assert found[b"anthropic-ratelimit-input-tokens-remaining"] == b"7"


def test_what_is_no_time_or_no_plain_text_is_left_out() -> None:
    raw = [
        (b"anthropic-ratelimit-tokens-reset", b"soon"),
        (b"x-ratelimit-limit-tokens", b"1\x00"),
        (b"x-ratelimit-limit-requests", b"9" * 65),
    ]
    assert told(raw) == ((b"anthropic-ratelimit-tokens-reset", b"soon"),)
