"""Providers' own SDKs against their own APIs behind a running gateway: only base URL and key change."""

import io
from collections.abc import Iterator

import anthropic
import httpx
import openai
import pytest
from google import genai
from google.genai import errors as genai_errors
from google.genai import types as genai_types

from loadtest.mockserver import Answer, MockServer
from loadtest.upstream.hit import Hit
from tests.gateway import wires
from tests.gateway.conftest import Furnished
from tests.gateway.stand import Stand

TABLE = """\
providers:
  - {{name: p-openai, kind: openai, base_url: "http://127.0.0.1:{port}/v1", credential: sk-a, by_name: true}}
  - {{name: p-groq, kind: groq, base_url: "http://127.0.0.1:{port}/v1", credential: sk-g, by_name: true}}
  - {{name: p-anthropic, kind: anthropic, base_url: "http://127.0.0.1:{port}", credential: sk-b, by_name: true}}
  - {{name: p-gemini, kind: gemini, base_url: "http://127.0.0.1:{port}", credential: sk-c, by_name: true}}
routes: []
"""
HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture(scope="module")
def stand(furnished: Furnished, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    home, keys, mock = furnished
    moved = home.moved(tmp_path_factory.mktemp("own-apis") / "data")
    table = moved.folder / "own-apis.yaml"
    table.write_text(TABLE.format(port=mock.port))
    moved.run("import", str(table))
    stand = Stand(moved, keys, mock)
    try:
        yield stand
        assert stand.stop() == 0
        assert "The ledger is sound" in stand.verify()
    finally:
        stand.kill()


@pytest.fixture
def mock(stand: Stand) -> MockServer:
    return stand.mock


@pytest.fixture
def root(stand: Stand) -> str:
    return stand.base_url.removesuffix("/v1")


def test_googles_own_client_uploads_a_file(stand: Stand, mock: MockServer, root: str) -> None:
    """In pieces, of which only the first has a key; they are too large to be read from a stranger."""
    pieces: list[bytes] = []

    def google(hit: Hit) -> Answer:
        status, url = "active", f"https://google.example{hit.path}?upload_id=1&upload_protocol=resumable"
        if hit.headers["x-goog-upload-command"] != "start":
            pieces.append(hit.body)
            status = "final" if "finalize" in hit.headers["x-goog-upload-command"] else status
        body = b'{"file": {"name": "files/abc"}}' if status == "final" else b""
        return Answer(headers=wires.JSON | {"x-goog-upload-status": status, "x-goog-upload-url": url}, body=body)

    mock.script("*", google)
    with genai.Client(api_key=stand.key, http_options=genai_types.HttpOptions(base_url=f"{root}/gemini")) as client:
        file = io.BytesIO(b"x" * 9_000_000)
        assert client.files.upload(file=file, config={"mime_type": "text/plain"}).name == "files/abc"
    assert [len(piece) for piece in pieces] == [8 * 1024 * 1024, 9_000_000 - 8 * 1024 * 1024]


@pytest.mark.parametrize("before", ["/openai/v1", "/groq/openai/v1", "/groq/v1"])
def test_openais_own_client(stand: Stand, mock: MockServer, root: str, before: str) -> None:
    with openai.OpenAI(api_key=stand.key, base_url=root + before, max_retries=0) as client:
        wires.serve(mock, "openai-compatible", "text")
        answer = client.chat.completions.create(model="gpt-x", messages=HELLO)  # type: ignore[arg-type]
        assert answer.choices[0].message.content == wires.TEXT
        chunks = client.chat.completions.create(model="gpt-x", messages=HELLO, stream=True)  # type: ignore[arg-type]
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == wires.TEXT
        wires.serve(mock, "openai-compatible", "error")
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model="gpt-x", messages=HELLO)  # type: ignore[arg-type]
        assert caught.value.code == "context_length_exceeded"
        mock.script("*", Answer(body=b'{"object":"list","data":[]}', headers=wires.JSON))
        assert list(client.files.list()) == []
        assert (mock.hits[-1].method, mock.hits[-1].path) == ("GET", "/v1/files")
        mock.script("*", Answer(body=b'{"id":"file-1","object":"file","deleted":true}', headers=wires.JSON))
        assert client.files.delete("file-1").deleted
        mock.script("*", Answer(chunks=[b"\x00\x01", b"\x02"], headers={"content-type": "audio/mpeg"}))
        assert client.audio.speech.create(model="tts-x", voice="alloy", input="Hi").read() == b"\x00\x01\x02"
        mock.script("*", Answer(body=b'{"text":"Hi"}', headers=wires.JSON))
        assert client.audio.transcriptions.create(model="whisper-x", file=("a.wav", b"RIFF\r\n\x00")).text == "Hi"
        assert b"RIFF\r\n\x00" in mock.hits[-1].body


def test_anthropics_own_client(stand: Stand, mock: MockServer, root: str) -> None:
    with anthropic.Anthropic(api_key=stand.key, base_url=root + "/anthropic", max_retries=0) as client:
        wires.serve(mock, "anthropic", "text")
        answer = client.messages.create(model="claude-x", max_tokens=9, messages=HELLO)  # type: ignore[arg-type]
        assert answer.content[0].text == wires.TEXT  # type: ignore[union-attr]
        with client.messages.stream(model="claude-x", max_tokens=9, messages=HELLO) as stream:  # type: ignore[arg-type]
            assert stream.get_final_text() == wires.TEXT
        wires.serve(mock, "anthropic", "error")
        with pytest.raises(anthropic.BadRequestError):
            client.messages.create(model="claude-x", max_tokens=9, messages=HELLO)  # type: ignore[arg-type]
    with anthropic.Anthropic(api_key="sk-ql_wrong", base_url=root + "/anthropic", max_retries=0) as stranger:
        with pytest.raises(anthropic.AuthenticationError):
            stranger.messages.create(model="claude-x", max_tokens=9, messages=HELLO)  # type: ignore[arg-type]


def test_googles_own_client(stand: Stand, mock: MockServer, root: str) -> None:
    options = genai_types.HttpOptions(base_url=root + "/gemini")
    with genai.Client(api_key=stand.key, http_options=options) as client:
        wires.serve(mock, "gemini", "text")
        assert client.models.generate_content(model="gemini-x", contents="Hello").text == wires.TEXT
        streamed = client.models.generate_content_stream(model="gemini-x", contents="Hello")
        assert "".join(chunk.text or "" for chunk in streamed) == wires.TEXT
        assert mock.hits[-1].path.endswith("/models/gemini-x:streamGenerateContent?alt=sse")
        wires.serve(mock, "gemini", "error")
        with pytest.raises(genai_errors.ClientError):
            client.models.generate_content(model="gemini-x", contents="Hello")


def test_the_key_in_geminis_url_is_written_nowhere(stand: Stand, mock: MockServer, root: str) -> None:
    wires.serve(mock, "gemini", "text")
    address = f"{root}/gemini/v1beta/models/gemini-x:generateContent?key={stand.key}"
    answer = httpx.post(address, json={"contents": [{"parts": [{"text": "x" * 100_000}]}]})
    assert answer.status_code == 200
    row = stand.row(answer.headers["x-qlite-id"])
    assert (row["surface"], row["model_asked"], row["status"]) == ("gemini-native", "gemini-x", "settled")
    assert stand.key not in stand.log.read_text()
    assert stand.key not in str(mock.hits[-1].header_lines) + mock.hits[-1].path


def test_bytes_that_break_off_break_the_callers_connection(stand: Stand, mock: MockServer, root: str) -> None:
    mock.script("*", Answer(chunks=[b"\x00" * 100, 0.05], headers={"content-type": "audio/mpeg"}, then="reset"))
    headers = {"authorization": f"Bearer {stand.key}"}
    with pytest.raises(httpx.TransportError):
        httpx.post(f"{root}/openai/v1/audio/speech", json={"model": "tts-x", "input": "Hi"}, headers=headers)
    wires.serve(mock, "openai-compatible", "text")
    ask = {"model": "gpt-x", "messages": HELLO}
    assert httpx.post(f"{root}/openai/v1/chat/completions", json=ask, headers=headers).status_code == 200


def test_escapes_in_a_path_go_on_as_they_are(stand: Stand, mock: MockServer, root: str) -> None:
    mock.script("*", Answer(body=b"{}", headers=wires.JSON))
    assert stand.call("GET", "/openai/v1/models/a%2Fb:c%20d?x=%7e'").status == 200
    assert mock.hits[-1].path == "/v1/models/a%2Fb:c%20d?x=%7e'"
    for target in ("/openai/v1/a/../b", "/openai/v1/%2e%2e/b", "/open%61i/v1/files", "/openai/v1/"):
        assert stand.call("GET", target).status in {400, 404}
    assert len(mock.hits) == 1
