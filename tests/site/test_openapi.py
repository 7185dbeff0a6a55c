"""The description of the API says what the code does: paths, methods, errors, and real answers of every surface."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from loadtest.mockserver import Answer, MockServer
from proxy.surfaces.status import nothing_here
from proxy.urls import urlpatterns
from qlite_site import __version__
from qlite_site.apidocs import DESCRIPTION
from tests.site.test_handler import Client, handled

ROOT = Path(__file__).parent.parent.parent
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
TOLD: dict[str, Any] = yaml.safe_load(DESCRIPTION.read_text())
REGISTRY = Registry().with_resource("urn:told", DRAFT202012.create_resource(TOLD))
USED = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}
# What the mock provider cannot say by itself.
TEXT = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "up",
    "choices": [{"text": "Hello", "index": 0, "finish_reason": "stop", "logprobs": None}],
}
ASK = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}
GEMINI = "/v1beta/models/m:"
# Headers that every server sends, or that say nothing of the API.
PLAIN_HEADERS = {"content-type", "content-length", "cache-control", "x-accel-buffering", "x-content-type-options"}


def looked_up(node: Any) -> Any:
    """What a reference leads to."""
    while isinstance(node, dict) and "$ref" in node:
        found: Any = TOLD
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        node = found
    return node


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    for each in node if isinstance(node, list) else ():
        yield from nodes(each)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in TOLD["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def check(value: Any, schema: Any) -> None:
    """Raise ValidationError unless `value` is as a schema of the description has it."""
    # References inside the schema are to the description, not to itself.
    Draft202012Validator(rebased(schema), registry=REGISTRY).validate(value)


def rebased(node: Any) -> Any:
    if isinstance(node, dict):
        return {name: f"urn:told{each}" if name == "$ref" else rebased(each) for name, each in node.items()}
    return [rebased(each) for each in node] if isinstance(node, list) else node


# --- Whether it is OpenAPI 3.1


def test_it_is_openapi_of_this_version() -> None:
    assert TOLD["openapi"].startswith("3.1.")
    assert set(TOLD) <= {"openapi", "info", "servers", "security", "tags", "paths", "components"}
    assert TOLD["info"]["title"] == "qlite"
    assert TOLD["info"]["version"] == __version__


def test_every_reference_leads_somewhere_and_every_part_is_used() -> None:
    named = {node["$ref"] for node in nodes(TOLD) if "$ref" in node}
    for reference in named:
        assert looked_up({"$ref": reference}) is not None, reference
    parts = {
        f"#/components/{kind}/{name}"
        for kind, held in TOLD["components"].items()
        for name in held
        if kind != "securitySchemes"
    }
    assert sorted(parts - named) == []


def test_every_operation_is_whole() -> None:
    known, tags, ids = TOLD["components"]["securitySchemes"], {tag["name"] for tag in TOLD["tags"]}, []
    for path, method, operation in operations():
        where = (path, method)
        allowed = {
            "operationId",
            "tags",
            "summary",
            "description",
            "parameters",
            "requestBody",
            "responses",
            "security",
        }
        assert set(operation) <= allowed, where
        assert set(operation["tags"]) <= tags, where
        assert operation["summary"], where
        ids += [operation["operationId"]] if "operationId" in operation else []
        for choice in operation.get("security", []):
            assert set(choice) <= set(known), where
        for status, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5](\d\d|XX)", status), where
            assert looked_up(response)["description"], where
        listed = [
            looked_up(each) for each in [*TOLD["paths"][path].get("parameters", []), *operation.get("parameters", [])]
        ]
        inside = {each["name"] for each in listed if each["in"] == "path"}
        assert inside == set(re.findall(r"{(\w+)}", path)), where
        assert len({(each["in"], each["name"]) for each in listed}) == len(listed), where
    assert len(set(ids)) == len(ids)


def test_its_schemas_are_schemas_and_its_examples_fit_them() -> None:
    for name, schema in TOLD["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        if "example" in schema:
            check(schema["example"], {"$ref": f"#/components/schemas/{name}"})
    for path, _, operation in operations():
        for media in looked_up(operation.get("requestBody", {})).get("content", {}).values():
            if "example" in media:
                check(media["example"], media["schema"])
            elif media:
                assert media["schema"], path


# --- Whether it describes this gateway


def spelled(pattern: str) -> set[str]:
    """Every path that a pattern of Django's stands for, with its open ends in braces."""
    text = re.sub(r"(?<!\(\?P)<(?:\w+:)?(\w+)>", r"{\1}", pattern.removeprefix("^").removesuffix("$"))
    text = re.sub(r"\(\?P<(\w+)>\.\+\)", r"{\1}", text)
    found, whole = {f"/{text}"}, set()
    group = re.compile(r"\((?:\?P<\w+>|\?:)([^()]*)\)(\??)")
    while found:
        each = found.pop()
        inner = group.search(each)
        if inner is None:
            whole.add(each)
            continue
        choices = [*inner[1].split("|"), *([""] if inner[2] else [])]
        found |= {each[: inner.start()] + choice + each[inner.end() :] for choice in choices}
    return whole


def test_it_has_the_paths_of_the_gateway_and_no_others() -> None:
    ours = {path for each in urlpatterns if each.callback is not nothing_here for path in spelled(str(each.pattern))}
    assert {"/v1/chat/completions", "/v1/models/{model}:countTokens", "/groq/openai/v1/{path}", "/"} <= ours
    assert sorted(set(TOLD["paths"]) - ours) == []
    assert sorted(ours - set(TOLD["paths"])) == []


async def test_it_has_the_methods_of_the_gateway_and_no_others(tmp_path: Path) -> None:
    described = {(path, method) for path, method, _ in operations()}
    async with MockServer() as mock, handled(tmp_path, mock) as (_, handler):
        for path in TOLD["paths"]:
            for method in ("get", "head", "put", "post", "delete", "patch", "options"):
                client = await Client(method.upper(), path.replace("{model}", "m").replace("{path}", "x"))(handler)
                like = "get" if method == "head" else method  # every GET may be a HEAD
                assert (client.status != 405) is ((path, like) in described), (path, method, client.status)


def test_it_has_every_documented_error_code() -> None:
    errors = (ROOT / "docs" / "api.md").read_text().partition("\n## Errors\n")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", errors, re.MULTILINE))
    assert set(TOLD["components"]["schemas"]["ErrorCode"]["enum"]) == documented
    said = "".join(TOLD["components"]["responses"][name]["description"] for name in ("OpenAI4XX", "OpenAI5XX"))
    assert sorted(code for code in documented if f"`{code}`" not in said) == []
    # Where the documents give one status, it is that one.
    for code, status in re.findall(r"^\| `([a-z_]+)` \| (\d{3}) \|", errors, re.MULTILINE):
        assert f"| {status} | `{code}` |" in said, (code, status)


def test_it_has_every_header_of_ours() -> None:
    documented = re.findall(r"^\| `(X-[\w-]+)` \|", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    assert {"X-Qlite-Id", "X-Cache"} <= set(documented) <= set(TOLD["components"]["headers"])


# --- Whether real answers are as described


@cache
def described(path: str, method: str) -> dict[str, Any]:
    return next(each for known, verb, each in operations() if (known, verb) == (path, method))


def answered(client: Client, path: str, *, passes: bool = False) -> Any:
    """What the description says of this answer, its headers checked: the schema of its content.

    Where an answer `passes`, headers of the provider are there too.
    """
    responses = described(path, client.scope["method"].lower())["responses"]
    known = responses.get(str(client.status)) or responses[f"{client.status // 100}XX"]
    response = looked_up(known)
    headers = {name.lower(): looked_up(header) for name, header in response["headers"].items()}
    assert passes or set(client.headers) - PLAIN_HEADERS <= set(headers)
    assert {name for name in client.headers if name.startswith(("x-qlite", "x-re", "x-up"))} <= set(headers)
    for name, header in headers.items():
        if name in client.headers:
            check(client.headers[name], header["schema"])
        else:
            assert not header.get("required"), name
    kind = client.headers["content-type"].partition(";")[0]
    return response["content"].get(kind, response["content"].get("*/*", {})).get("schema")


def events(body: bytes) -> list[tuple[str, Any]]:
    """The events of a stream, with their names; comments and [DONE] left out."""
    found = []
    for block in body.replace(b"\r\n", b"\n").decode().split("\n\n"):
        fields = [line.partition(": ") for line in block.splitlines()]
        data = "".join(value for name, _, value in fields if name == "data")
        name = "".join(value for name, _, value in fields if name == "event")
        found += [(name, orjson.loads(data))] if data and data != "[DONE]" else []
    return found


PLAIN = [
    ("/v1/chat/completions", "", ASK),
    ("/v1/completions", "", {"model": "m", "prompt": "Hello"}),
    ("/v1/responses", "", {"model": "m", "input": "Hello"}),
    ("/v1/messages", "", ASK | {"max_tokens": 10}),
    ("/v1/messages/count_tokens", "", ASK),
    ("/v1beta/models/{model}:generateContent", "", CONTENTS),
    ("/v1/models/{model}:generateContent", "", CONTENTS),
    ("/v1beta/models/{model}:countTokens", "", CONTENTS),
    ("/v1beta/models/{model}:streamGenerateContent", "", CONTENTS),
    ("/proxy", "", ASK),
]
STREAMS = [
    ("/v1/chat/completions", "", ASK | {"stream": True, "stream_options": {"include_usage": True}}),
    ("/v1/completions", "", {"model": "m", "prompt": "Hello", "stream": True}),
    ("/v1/responses", "", {"model": "m", "input": "Hello", "stream": True}),
    ("/v1/messages", "", ASK | {"max_tokens": 10, "stream": True}),
    ("/v1beta/models/{model}:streamGenerateContent", "alt=sse", CONTENTS),
    ("/proxy/stream", "", ASK),
]
ASKED = {path: body for path, _, body in [*PLAIN, *STREAMS]}


async def call(
    handler: Any, path: str, query: str = "", body: Any = None, method: str = "POST", **headers: str
) -> Client:
    client = Client(method, path.replace("{model}", "m"), body, **headers)
    client.scope["query_string"] = query.encode()
    return await client(handler)


@pytest.mark.parametrize(("path", "query", "body"), PLAIN)
async def test_answers_are_as_described(tmp_path: Path, path: str, query: str, body: Any) -> None:
    check(body, described(path, "post")["requestBody"]["content"]["application/json"]["schema"])
    async with MockServer() as mock, handled(tmp_path, mock) as (_, handler):
        mock.script("/v1/completions", Answer(body=orjson.dumps(TEXT | {"usage": USED})))
        client = await call(handler, path, query, body)
        assert client.status == 200, client.body
        schema = answered(client, path)
        check(client.json, schema)
        assert refused({}, schema)


def refused(value: Any, schema: Any) -> bool:
    """Whether the schema would notice that something is missing."""
    try:
        check(value, schema)
    except ValidationError:
        return True
    return False


@pytest.mark.parametrize("model", ["ok", "cut-2"])
@pytest.mark.parametrize(("path", "query", "body"), STREAMS)
async def test_pieces_of_streams_are_as_described(tmp_path: Path, path: str, query: str, body: Any, model: str) -> None:
    async with MockServer() as mock, handled(tmp_path, mock, model) as (_, handler):
        piece = b"data: " + orjson.dumps(TEXT | {"usage": None}) + b"\n\n"
        end = (piece, b"data: [DONE]\n\n") if model == "ok" else ()
        mock.script("/v1/completions", Answer(chunks=[piece, piece, *end], then="end" if end else "cut"))
        client = await call(handler, path, query, body)
        assert client.status == 200, client.body
        schema, pieces = answered(client, path), events(client.body)
        assert len(pieces) > 2
        assert refused({}, schema)
        for name, told in pieces:
            check(told, schema)
            assert name in ("", told.get("type"))
        # An error is the last piece, and only of a stream that was cut.
        last = pieces[-1][1]
        assert ("error" in last or last.get("type") == "response.failed") is (model == "cut-2")


@pytest.mark.parametrize("path", [path for path in ASKED if path != "/v1/models/{model}:generateContent"])
async def test_errors_are_as_described(tmp_path: Path, path: str) -> None:
    body = ASKED[path]
    async with MockServer() as mock, handled(tmp_path, mock, "up") as (_, handler):
        mock.script("up", Answer(status=500), Answer(status=429), Answer(status=400))
        clients = [
            await call(handler, path, "", body),
            await call(handler, path, "", body),
            await call(handler, path, "", body),
            await call(handler, path, "", {}),
            await call(handler, path, "", body, content_type="text/plain"),
            await call(handler, path, "", body, authorization="Bearer nothing"),
            await call(handler, path.replace("{model}", "unknown"), "", body | {"model": "unknown"}),
        ]
        statuses = [client.status for client in clients]
        counted = "ount" in path  # counting needs no provider here
        assert statuses == [*([200] * 3 if counted else [502, 429, 400]), 400, 415, 401, 404]
        for client in clients:
            schema = answered(client, path)
            check(client.json, schema)
            if client.status != 200:
                assert refused({"error": {}}, schema)


async def test_embeddings_are_as_described(tmp_path: Path) -> None:
    for vector in ([0.5, 1], "AACAPw=="):
        told = {
            "object": "list",
            "model": "up",
            "data": [{"embedding": vector, "index": 0}],
            "usage": {"prompt_tokens": 4},
        }
        async with MockServer() as mock, handled(tmp_path, mock, "up") as (_, handler):
            mock.script("/v1/embeddings", Answer(body=orjson.dumps(told)))
            client = await call(handler, "/v1/embeddings", "", {"model": "m", "input": "Hello"})
            check(client.json, answered(client, "/v1/embeddings"))


@pytest.mark.parametrize("path", ["/v1/images/generations", "/v1/audio/speech", "/v1/moderations", "/v1/rerank"])
async def test_what_just_passes_is_as_described(tmp_path: Path, path: str) -> None:
    async with MockServer() as mock, handled(tmp_path, mock, "up") as (_, handler):
        mock.script("up", Answer(body=b'{"data": []}'), Answer(status=500), Answer(status=400))
        for _ in range(3):
            client = await call(handler, path, "", {"model": "m", "input": "Hello"})
            schema = answered(client, path, passes=True)
            if schema:
                check(client.json, schema)


@pytest.mark.parametrize("path", [path for path in TOLD["paths"] if "{path}" in path])
async def test_errors_before_a_providers_own_api_are_as_described(tmp_path: Path, path: str) -> None:
    async with MockServer() as mock, handled(tmp_path, mock) as (_, handler):
        for method, more in (("GET", {}), ("POST", {"authorization": "Bearer nothing"})):
            client = await call(handler, path.replace("{path}", "x"), method=method, **more)
            assert client.status == (401 if more else 404)
            check(client.json, answered(client, path))


@pytest.mark.parametrize("headers", [{}, {"anthropic_version": "2023-06-01"}, {"x_goog_api_key": "x"}])
@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/{model}", "/v1beta/models", "/v1beta/models/{model}"])
async def test_models_are_as_described(tmp_path: Path, path: str, headers: dict[str, str]) -> None:
    async with MockServer() as mock, handled(tmp_path, mock) as (_, handler):
        for status, more in ((200, {}), (401, {"authorization": "Bearer nothing"})):
            client = await call(handler, path, method="GET", **headers, **more)
            assert client.status == status
            check(client.json, answered(client, path))
            assert refused({"object": "list"}, answered(client, path))


async def test_the_gateways_own_pages_are_as_described(tmp_path: Path) -> None:
    async with MockServer() as mock, handled(tmp_path, mock) as (gw, handler):
        await call(handler, "/v1/chat/completions", "", ASK)
        for path in ("/", "/health", "/healthz", "/readyz", "/metrics"):
            client = await call(handler, path, method="GET")
            assert client.status == 200
            schema = answered(client, path)
            check(client.json if path != "/metrics" else client.body.decode(), schema)
        gw.gateway.tables_read_at = 0.0
        client = await call(handler, "/readyz", method="GET")
        assert client.status == 503
        check(client.json, answered(client, "/readyz"))
