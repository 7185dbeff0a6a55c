"""What callers do all day, for locust: plain and streamed chat, through the gateway and straight to the mock.

    OPENAI_API_KEY=sk-ql_... locust -f loadtest/locustfile.py --host http://127.0.0.1:8080

Environment: OPENAI_API_KEY (the gateway's key), QLITE_TEST_MODEL (default `stub`), MOCK_URL (the mock server, such as
http://127.0.0.1:9999; without it the direct tasks are skipped).
"""

import os
import random
import time
from typing import Any
from uuid import uuid4

from locust import HttpUser, between, events, task
from locust.env import Environment
from locust.exception import RescheduleTaskImmediately

MODEL = os.environ.get("QLITE_TEST_MODEL", "stub")
KEY = os.environ.get("OPENAI_API_KEY", "")
MOCK_URL = os.environ.get("MOCK_URL", "").rstrip("/").removesuffix("/v1")

CHAT = "/v1/chat/completions"
END = b"data: [DONE]"
PARAGRAPH = "The gateway keeps one ledger for every team, and finance reads it at the end of the month. "
# A few prompts that come again, so that both answers of `X-Cache` are seen.
MEDIUM_PROMPTS = [f"Summarise report {number}: {PARAGRAPH * 20}" for number in range(20)]


@events.init.add_listener  # type: ignore[untyped-decorator]
def _refuse_without_key(environment: Environment, **_: Any) -> None:
    if not KEY:
        raise SystemExit("OPENAI_API_KEY is not set: the gateway answers nobody without a key")


class Caller(HttpUser):
    """One user of the gateway, who waits between half a second and two seconds."""

    wait_time = between(0.5, 2)
    host = "http://127.0.0.1:8080"

    @task(3)
    def chat_non_streaming(self) -> None:
        self._plain(CHAT, "chat_non_streaming", fresh_prompt())

    @task(3)
    def chat_streaming(self) -> None:
        self._stream(CHAT, "chat_streaming", "TTFB [stream]")

    @task(2)
    def chat_medium(self) -> None:
        self._plain(CHAT, "chat_medium", random.choice(MEDIUM_PROMPTS), must_have=("X-Cache", "X-Provider"))

    @task(1)
    def direct_non_streaming(self) -> None:
        self._plain(mock_url(), "direct_non_streaming", fresh_prompt())

    @task(1)
    def direct_streaming(self) -> None:
        self._stream(mock_url(), "direct_streaming", "TTFB [direct]")

    @task(1)
    def health_check(self) -> None:
        self.client.get("/health", name="health_check")

    def _plain(self, url: str, name: str, prompt: str, must_have: tuple[str, ...] = ()) -> None:
        with self.client.post(url, json=body(prompt), headers=headers(), name=name, catch_response=True) as answer:
            missing = [header for header in must_have if header not in answer.headers]
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
            elif missing:
                answer.failure(f"missing headers: {', '.join(missing)}")
            elif not answer.json().get("choices"):
                answer.failure("an answer without choices")

    def _stream(self, url: str, name: str, first_byte_name: str) -> None:
        asked = body(fresh_prompt()) | {"stream": True}
        started, first_byte, last = time.perf_counter(), 0.0, b""
        with self.client.post(
            url, json=asked, headers=headers(), name=name, stream=True, catch_response=True
        ) as answer:
            for part in answer.iter_content(chunk_size=None):
                first_byte = first_byte or time.perf_counter() - started
                last = (last + part)[-64:]
            # Locust's own clock stopped at the headers; a stream has been answered when its last byte is here.
            answer.request_meta["response_time"] = (time.perf_counter() - started) * 1000
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
            elif END not in last:
                answer.failure("the stream ended without [DONE]")
        if answer.status_code == 200 and first_byte:
            self._report(first_byte_name, first_byte)

    def _report(self, name: str, seconds: float) -> None:
        self.environment.events.request.fire(
            request_type="SSE", name=name, response_time=seconds * 1000, response_length=0, exception=None, context={}
        )


def fresh_prompt() -> str:
    """A prompt nobody has asked before, so that no cache answers it."""
    return f"Say hello, nonce-{uuid4().hex}"


def body(prompt: str) -> dict[str, Any]:
    """A chat request for the model under test."""
    return {"model": MODEL, "messages": [{"role": "user", "content": prompt}]}


def headers() -> dict[str, str]:
    """The caller's key, as OpenAI's clients send it."""
    return {"Authorization": f"Bearer {KEY}"}


def mock_url() -> str:
    """Where the direct tasks go; without MOCK_URL another task is taken."""
    if not MOCK_URL:
        raise RescheduleTaskImmediately
    return MOCK_URL + CHAT
