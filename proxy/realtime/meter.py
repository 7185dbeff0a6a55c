"""What a session has used, read from its events: usage as the provider reports it, and a guess at what it has not.

Source: OpenAI API reference, Realtime server events. Text, audio and cached tokens are counted inside each other there.
"""

from collections.abc import Mapping
from math import ceil
from typing import Any

import orjson

from accounts.prices import UNITS, Usage
from proxy.providers.openai import MAX_TOKENS

# Base64 of 16-bit samples, 24,000 a second: OpenAI counts 10 tokens a second of what it hears, 20 of what it says.
CHARS_PER_TOKEN_HEARD, CHARS_PER_TOKEN_SAID = 6400, 3200
CHARS_PER_TOKEN = 4
TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
# Marks of the events that have to be parsed; any other passes unread.
MARKS = ('"response.done"', '"response.created"', f'"{TRANSCRIBED}"', '"session.created"', '"session.updated"')
_AUDIO = ('"response.output_audio.delta"', '"response.audio.delta"')


class Meter:
    """One session. `usage` is what its responses have reported, `heard` what transcribing has, by model."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.heard: dict[str, Usage] = {}
        self.transcriber = ""
        self.unfinished: set[str] = set()  # responses that have begun
        self._done: set[str] = set()
        self._doubtful = False  # a response was done and did not say what it used
        self._last: Usage = Usage()
        self._asked_chars = self._heard_chars = self._said_chars = self._words = 0

    def sent(self, text: str) -> None:
        """Take note of what the caller says."""
        if '"input_audio_buffer.append"' in text[:200]:
            self._heard_chars += len(text)
        else:
            self._asked_chars += len(text)

    def received(self, text: str) -> bool:
        """Take note of one event of the provider's. Say whether something more has to be paid for."""
        if not any(mark in text for mark in MARKS):
            self._guess(text)
            return False
        event = _object(text)
        kind = event.get("type")
        if kind == "response.done":
            return self._response(_dict(event.get("response")))
        if kind == "response.created":
            self.unfinished.add(str(_dict(event.get("response")).get("id")))
        elif kind == TRANSCRIBED:
            return self._transcribed(_dict(event.get("usage")))
        elif kind in {"session.created", "session.updated"}:
            self._session(_dict(event.get("session")))
        return False

    def guess(self) -> Usage | None:
        """Return an estimate of what was used beyond what was reported, None if all was."""
        if not self.unfinished and not self._doubtful:
            return None
        return Usage(
            input=self._last.tokens_in + self._asked_chars // CHARS_PER_TOKEN,
            audio_input=self._heard_chars // CHARS_PER_TOKEN_HEARD,
            output=self._words,
            audio_output=self._said_chars // CHARS_PER_TOKEN_SAID,
        )

    def _guess(self, text: str) -> None:
        if '.delta"' in text[:200]:
            if any(mark in text[:200] for mark in _AUDIO):
                self._said_chars += len(text)
            else:
                self._words += 1  # a delta brings about one token

    def _response(self, response: Mapping[str, Any]) -> bool:
        id = str(response.get("id"))
        self.unfinished.discard(id)
        if id in self._done:
            return False
        self._done.add(id)
        usage = usage_of(_dict(response.get("usage")))
        if usage is None:
            self._doubtful = self._doubtful or response.get("status") not in ("failed", "cancelled")
            return False
        self.usage, self._last = plus(self.usage, usage), usage
        if not self._doubtful:
            self._asked_chars = self._heard_chars = self._said_chars = self._words = 0
        return True

    def _transcribed(self, reported: Mapping[str, Any]) -> bool:
        usage = usage_of(reported)
        if usage is not None:
            self.heard[self.transcriber] = plus(self.heard.get(self.transcriber), usage)
        return usage is not None

    def _session(self, session: Mapping[str, Any]) -> None:
        spoken = _dict(_dict(_dict(session.get("audio")).get("input")).get("transcription"))
        named = (spoken or _dict(session.get("input_audio_transcription"))).get("model")
        if isinstance(named, str):
            self.transcriber = named


def usage_of(reported: Mapping[str, Any]) -> Usage | None:
    """Return a reported usage in disjoint classes; None where it reports none, or nonsense."""
    if reported.get("type") == "duration":
        return _lasting(reported.get("seconds"))
    sent, made = _dict(reported.get("input_token_details")), _dict(reported.get("output_token_details"))
    cached_of = _dict(sent.get("cached_tokens_details"))
    total_in, total_out = reported.get("input_tokens"), reported.get("output_tokens", 0)
    cached, audio_in, image_in = _count(sent, "cached"), _count(sent, "audio"), _count(sent, "image")
    audio_out, reasoning = _count(made, "audio"), _count(made, "reasoning")
    cached_audio, cached_image = _count(cached_of, "audio"), _count(cached_of, "image")
    numbers = (total_in, total_out, cached, audio_in, image_in, audio_out, reasoning, cached_audio, cached_image)
    if not all(type(count) is int and 0 <= count <= MAX_TOKENS for count in numbers):
        return None
    if not cached_of:  # nobody says of which kind the cached ones are: text, as far as there is text
        cached_audio = min(audio_in, max(0, cached - (total_in - audio_in - image_in)))
        cached_image = min(image_in, max(0, cached - (total_in - image_in)))
    audio_in, image_in = audio_in - cached_audio, image_in - cached_image
    plain_in, plain_out = total_in - cached - audio_in - image_in, total_out - audio_out - reasoning
    cached_text = cached - cached_audio - cached_image
    if min(plain_in, plain_out, audio_in, image_in, cached_text) < 0:
        return None
    return Usage(
        input=plain_in,
        cached_input=cached_text,
        audio_input=audio_in,
        image_input=image_in,
        output=plain_out,
        reasoning=reasoning,
        audio_output=audio_out,
        cached_audio=cached_audio,
        cached_image=cached_image,
    )


def _lasting(seconds: Any) -> Usage | None:
    known = type(seconds) in {int, float} and 0 <= seconds <= MAX_TOKENS
    return Usage(seconds=ceil(seconds)) if known else None


def _count(details: Mapping[str, Any], kind: str) -> Any:
    return details.get(f"{kind}_tokens") or 0


def plus(one: Usage | None, other: Usage | None) -> Usage:
    """Return both together."""
    sums: dict[str, Any] = {unit: getattr(one, unit, 0) + getattr(other, unit, 0) for unit in UNITS}
    return Usage(**sums)


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _object(text: str) -> Mapping[str, Any]:
    try:
        return _dict(orjson.loads(text))
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        return {}
