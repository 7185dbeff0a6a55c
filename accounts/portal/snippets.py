"""What a person pastes to make the first call with a key."""

import json
import shlex
from collections.abc import Iterable, Sequence

from accounts.keys import matches


def model_for(granted: Sequence[str], route_names: Iterable[str]) -> str:
    """A model that the key may use and a route serves; failing that, the first one granted by its whole name."""
    exact = [name for name in route_names if "*" not in name]
    named = [name for name in granted if "*" not in name]
    for name in exact:
        if not granted or any(matches(pattern, name) for pattern in granted):
            return name
    return next(iter([*named, *exact]), "MODEL")


def curl(base_url: str, secret: str, model: str) -> str:
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Say hello."}]})
    return (
        f"curl {base_url}/v1/chat/completions \\\n"
        f"  -H {shlex.quote(f'Authorization: Bearer {secret}')} \\\n"
        f"  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(body)}"
    )


def python(base_url: str, secret: str, model: str) -> str:
    return (
        "from openai import OpenAI\n\n"
        "client = OpenAI(\n"
        f'    base_url="{base_url}/v1",\n'
        f'    api_key="{secret}",\n'
        ")\n"
        "answer = client.chat.completions.create(\n"
        f"    model={json.dumps(model)},\n"
        '    messages=[{"role": "user", "content": "Say hello."}],\n'
        ")\n"
        "print(answer.choices[0].message.content)"
    )
