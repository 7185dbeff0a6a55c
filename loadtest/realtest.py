"""A handful of real calls to a provider through a running gateway: what no scripted provider can prove. Costs money.

    QLITE_TEST_PROVIDER=openai QLITE_TEST_KEY=sk-ql_... python -m loadtest.realtest
    python -m loadtest.realtest --env-check

Environment: QLITE_TEST_PROVIDER (openai, anthropic, gemini or groq), that provider's key as the gateway has it (such
as OPENAI_API_KEY), QLITE_TEST_KEY (a key of the gateway), QLITE_TEST_URL (default http://127.0.0.1:8080, or PORT), and
QLITE_TEST_MODEL (default: a small one, as `provider/model`). A file `.env` in the current folder is read too.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import orjson

from qlite_site.env import read_file

CHAT = "/v1/chat/completions"
PATIENCE_SECONDS = 120.0
# Enough for models that think before they speak.
MOST_TOKENS = 2000
FAILED, NOT_READY = 1, 2

PROVIDERS = {
    "openai": ("OPENAI_API_KEY", "gpt-5.4-nano"),
    "anthropic": ("ANTHROPIC_API_KEY", "claude-haiku-4-5"),
    "gemini": ("GEMINI_API_KEY", "gemini-3.5-flash-lite"),
    "groq": ("GROQ_API_KEY", "llama-3.3-70b-versatile"),
}
TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city now.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
WEATHER = [{"role": "user", "content": "What is the weather in Paris? Use the tool."}]


class Wrong(Exception):
    """What an answer should have been and was not."""


@dataclass(slots=True)
class Seen:
    """What one call brought. `cost` is in US dollars, None where it is unpriced or was not said."""

    status: int = 0
    seconds: float = 0.0
    tokens: str = "-"
    cost: Decimal | None = None
    said: str = ""
    wrong: str = ""


@dataclass(slots=True)
class Talk:
    """The calls, in an order in which later ones may need what earlier ones brought."""

    client: httpx.Client
    provider: str
    model: str
    called: dict[str, Any] = field(default_factory=dict)  # the message in which the model called the tool

    def plain(self, seen: Seen) -> None:
        body = self._ask(seen, [{"role": "user", "content": "Say hello in three words."}])
        seen.said = _text(body)

    def stream(self, seen: Seen) -> None:
        asked = self._body([{"role": "user", "content": "Count from one to five in words."}])
        asked |= {"stream": True, "stream_options": {"include_usage": True}}
        with self.client.stream("POST", CHAT, json=asked) as answer:
            seen.status = answer.status_code
            if seen.status != 200:
                raise Wrong(answer.read().decode(errors="replace")[:300])
            events = [line.removeprefix("data:").strip() for line in answer.iter_lines() if line.startswith("data:")]
        if events[-1:] != ["[DONE]"]:
            raise Wrong(f"the stream ended in {str(events[-1:])[:300]}")
        chunks = [orjson.loads(event) for event in events[:-1]]
        choices = [choice for chunk in chunks for choice in chunk["choices"]]
        _count(seen, chunks[-1])
        seen.cost = _usd(chunks[-1].get("cost"))
        text = "".join(choice["delta"].get("content") or "" for choice in choices)
        seen.said = f"{len(chunks)} chunks: {text}"
        if not text:
            raise Wrong("the stream said nothing")

    def tool(self, seen: Seen) -> None:
        choice = {"type": "function", "function": {"name": "get_weather"}}
        message = self._ask(seen, WEATHER, tools=[TOOL], tool_choice=choice)["choices"][0]["message"]
        calls = message.get("tool_calls")
        if not calls:
            raise Wrong("the model did not call the tool")
        seen.said = f"{calls[0]['function']['name']}({calls[0]['function']['arguments']})"
        if type(orjson.loads(calls[0]["function"]["arguments"])) is not dict:
            raise Wrong("the arguments are no object")
        self.called = message

    def tool_result(self, seen: Seen) -> None:
        if not self.called:
            raise Wrong("there was no call to answer")
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": "21 degrees and sunny"}
            for call in self.called["tool_calls"]
        ]
        seen.said = _text(self._ask(seen, [*WEATHER, self.called, *results], tools=[TOOL]))

    def error(self, seen: Seen) -> None:
        asked = self._body(WEATHER) | {"model": f"{self.provider}/no-such-model"}
        answer = self.client.post(CHAT, json=asked)
        seen.status = answer.status_code
        error = answer.json()["error"]
        seen.said = f"{error['code']} ({answer.headers.get('x-error-origin')}): {error['message']}"
        if (seen.status, error["code"]) != (404, "model_not_found"):
            raise Wrong("404 model_not_found was to be expected")

    def _body(self, messages: list[Any]) -> dict[str, Any]:
        return {"model": self.model, "messages": messages, "max_completion_tokens": MOST_TOKENS}

    def _ask(self, seen: Seen, messages: list[Any], **more: Any) -> dict[str, Any]:
        answer = self.client.post(CHAT, json=self._body(messages) | more)
        seen.status = answer.status_code
        if seen.status != 200:
            raise Wrong(answer.text[:300])
        seen.cost = _usd(answer.headers.get("x-request-cost"))
        body: dict[str, Any] = answer.json()
        _count(seen, body)
        return body


def _usd(told: str | None) -> Decimal | None:
    if told is None:
        raise Wrong("the answer does not say what it cost")
    return None if told == "unpriced" else Decimal(told)


def _count(seen: Seen, body: Mapping[str, Any]) -> None:
    usage = body.get("usage") or {}
    seen.tokens = f"{usage.get('prompt_tokens', 0)}+{usage.get('completion_tokens', 0)}"
    if not (usage.get("prompt_tokens") and usage.get("completion_tokens")):
        raise Wrong(f"the answer's usage is {usage}")


def _text(body: Mapping[str, Any]) -> str:
    text = body["choices"][0]["message"].get("content")
    if not text:
        raise Wrong("the answer is empty")
    return str(text)


def run(talk: Talk) -> int:
    """Make all calls, print a line for each and the sum; the exit code."""
    calls: list[Callable[[Seen], None]] = [talk.plain, talk.stream, talk.tool, talk.tool_result, talk.error]
    all_seen = []
    print(f"{talk.model} through {talk.client.base_url}\n")
    print(f"{'call':<12} {'status':>6} {'ms':>7} {'tokens':>11} {'USD':>12}")
    for call in calls:
        seen = _timed(call)
        all_seen.append(seen)
        cost = f"{seen.cost:.9f}" if seen.cost is not None else "unpriced" if seen.status == 200 else "-"
        name = call.__name__.replace("_", " ")
        print(
            f"{name:<12} {seen.status:>6} {seen.seconds * 1000:>7.0f} {seen.tokens:>11} {cost:>12}  {_line(seen.said)}"
        )
        if seen.wrong:
            print(f"             WRONG: {_line(seen.wrong, 300)}")
    wrong = sum(bool(seen.wrong) for seen in all_seen)
    total = sum((seen.cost for seen in all_seen if seen.cost is not None), Decimal(0))
    print(f"\n{len(calls) - wrong} of {len(calls)} calls went well; they cost {total:.9f} USD.")
    return FAILED if wrong else 0


def _timed(call: Callable[[Seen], None]) -> Seen:
    seen, started = Seen(), time.perf_counter()
    try:
        call(seen)
    except Wrong as wrong:
        seen.wrong = str(wrong)
    except httpx.HTTPError as error:
        seen.wrong = f"{type(error).__name__}: {error}"
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        seen.wrong = f"the answer has another shape than OpenAI's: {error!r}"
    seen.seconds = time.perf_counter() - started
    return seen


def _line(text: str, most: int = 90) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 1]}…"


def gateway(environ: Mapping[str, str]) -> str:
    """Return where the gateway is, without a path."""
    given = environ.get("QLITE_TEST_URL") or f"http://127.0.0.1:{environ.get('PORT') or 8080}"
    return given.rstrip("/").removesuffix("/v1")


def env_check(environ: Mapping[str, str]) -> None:
    """Say what is set and what is missing, and never what it is set to."""
    names = [variable for variable, _ in PROVIDERS.values()] + ["QLITE_TEST_KEY"]
    for name in names:
        print(f"{name:<18} {'set' if environ.get(name) else 'missing'}")
    ready = [f"make test-{name}" for name, (variable, _) in PROVIDERS.items() if environ.get(variable)]
    if not environ.get("QLITE_TEST_KEY"):
        ready = []
    print(f"Can run: {', '.join(ready) or 'nothing yet'}. Gateway: {gateway(environ)}")


def missing(environ: Mapping[str, str]) -> str:
    """Return what is missing for a run as a sentence, "" if nothing is."""
    provider = environ.get("QLITE_TEST_PROVIDER", "")
    if provider not in PROVIDERS:
        return f"QLITE_TEST_PROVIDER must be one of {', '.join(PROVIDERS)}."
    variable = PROVIDERS[provider][0]
    if not environ.get(variable):
        return f"{variable} is not set: nothing was called. The gateway must have been started with the same key."
    if not environ.get("QLITE_TEST_KEY"):
        return (
            "QLITE_TEST_KEY is not set: nothing was called. Make one with `qlite createkey --team T --name N --quiet`."
        )
    return ""


def main() -> int:
    """Exit code 0 if all went well, 1 if a call did not, 2 if something is missing."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.realtest", description=__doc__)
    parser.add_argument("--env-check", action="store_true", help="say which keys are set, call nothing, exit with 0")
    asked = parser.parse_args()
    read_file(Path(".env"))
    if asked.env_check:
        env_check(os.environ)
        return 0
    if sentence := missing(os.environ):
        print(sentence, file=sys.stderr)
        return NOT_READY
    provider = os.environ["QLITE_TEST_PROVIDER"]
    model = os.environ.get("QLITE_TEST_MODEL") or f"{provider}/{PROVIDERS[provider][1]}"
    # A kept answer would prove nothing.
    headers = {"authorization": f"Bearer {os.environ['QLITE_TEST_KEY']}", "cache-control": "no-store"}
    with httpx.Client(
        base_url=gateway(os.environ), headers=headers, timeout=PATIENCE_SECONDS, trust_env=False
    ) as client:
        return run(Talk(client, provider, model))


if __name__ == "__main__":
    sys.exit(main())
