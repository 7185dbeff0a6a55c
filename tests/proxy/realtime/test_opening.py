"""Opening a session: who may, where it goes, and every error as an HTTP answer."""

from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.mockserver import Answer
from proxy.upstream import Timeouts
from tests.proxy.harness import GRANT
from tests.proxy.realtime.harness import COST, live
from tests.site.test_handler import KEY

UPGRADE_HEADERS = {"sec-websocket-key", "sec-websocket-version", "connection", "upgrade"}


async def test_the_provider_is_asked_with_our_credential_and_the_callers_parameters(tmp_path: Path) -> None:
    async with live(tmp_path) as gw:
        await gw.call(query="call_id=abc", openai_beta="realtime=v1", cookie="a=b")
        hit = gw.mock.hits[-1]
    assert hit.path == "/v1/realtime?model=gpt-realtime&call_id=abc"
    given = {name: value for name, value in hit.headers.items() if name not in UPGRADE_HEADERS}
    assert given.pop("host").startswith("127.0.0.1:")
    assert given == {"authorization": "Bearer sk-upstream-canary", "openai-beta": "realtime=v1"}


async def test_azure_is_asked_in_its_own_way(tmp_path: Path) -> None:
    async with live(tmp_path) as gw:
        caller = await gw.call("azure")
        assert caller.status == 101
        assert gw.mock.hits[-1].path == "/openai/v1/realtime?model=my%20deployment"
        assert gw.mock.hits[-1].headers["api-key"] == "sk-upstream-canary"


async def test_a_browsers_key_comes_as_a_subprotocol_and_goes_no_further(tmp_path: Path) -> None:
    async with live(tmp_path) as gw:
        offered = f"realtime, openai-insecure-api-key.{KEY.text}, openai-project.p, openai-beta.realtime-v1"
        caller = await gw.call(authorization="", sec_websocket_protocol=offered)
        assert caller.accepted["subprotocol"] == "realtime"
        assert gw.mock.hits[-1].headers["sec-websocket-protocol"] == "realtime,openai-beta.realtime-v1"
        assert KEY.text not in str(gw.mock.hits[-1].header_lines)


@pytest.mark.parametrize(
    ("query", "headers", "status", "code"),
    [
        ("", {"authorization": ""}, 401, "invalid_api_key"),
        ("", {"authorization": "Bearer sk-ql_wrong"}, 401, "invalid_api_key"),
        ("", {"authorization": "", "sec_websocket_protocol": "openai-insecure-api-key.no"}, 401, "invalid_api_key"),
        ("key=abc", {}, 400, "key_in_url"),
        ("", {"origin": "https://evil.example"}, 403, "origin_not_allowed"),
    ],
)
async def test_who_may_not_call_is_told_so_in_http(
    tmp_path: Path, query: str, headers: dict[str, str], status: int, code: str
) -> None:
    async with live(tmp_path) as gw:
        caller = await gw.call(query=query, **headers)
        await caller.over()
        assert (caller.status, caller.refusal["error"]["code"]) == (status, code)
        assert caller.headers["x-error-origin"] == "gateway" and caller.headers["x-qlite-id"]
        assert gw.mock.hits == [] and await gw.bench.rows() == []


async def test_a_page_of_our_own_may_call(tmp_path: Path) -> None:
    async with live(tmp_path) as gw:
        assert (await gw.call(origin="http://localhost")).status == 101


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("", 400, "missing_required_parameter"),
        ("unknown", 404, "model_not_found"),
        ("words", 400, "unsupported"),
        ("nobody", 502, "upstream_connection_error"),
    ],
)
async def test_a_model_that_cannot_be_served_is_told_in_http_and_recorded(
    tmp_path: Path, model: str, status: int, code: str
) -> None:
    async with live(tmp_path) as gw:
        caller = await gw.call(model)
        await caller.over()
        row = await gw.row()
    assert (caller.status, caller.refusal["error"]["code"]) == (status, code)
    assert (row.status, row.http_status, row.error, row.cost_nano) == ("failed", status, code, 0)


async def test_a_key_may_only_ask_for_its_models(tmp_path: Path) -> None:
    async with live(tmp_path) as gw:
        gw.gateway.keys = {KEY.digest: replace(GRANT, models=("azure",))}
        assert (await gw.call()).status == 404
        assert (await gw.call("azure")).status == 101


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (Answer(status=401, body=b'{"error":{"message":"sk-upstream-canary"}}'), 502, "upstream_auth_error"),
        (Answer(status=400, body=b'{"error":{"message":"No such voice","code":"bad_voice"}}'), 400, "bad_voice"),
        (Answer(status=429, headers={"retry-after": "7"}), 429, "upstream_rate_limited"),
        (Answer(status=302, headers={"location": "/elsewhere"}), 502, "upstream_redirect"),
        (Answer(status=200, body=b"<html>"), 502, "upstream_error"),
    ],
)
async def test_a_handshake_that_a_provider_refuses_is_told_in_http(
    tmp_path: Path, answer: Answer, status: int, code: str
) -> None:
    async with live(tmp_path) as gw:
        gw.mock.script("/v1/realtime", answer)
        caller = await gw.call()
        await caller.over()
        row = await gw.row()
        assert len(gw.mock.hits) == 1  # a redirect is not followed
    assert (caller.status, caller.refusal["error"]["code"]) == (status, code)
    assert "canary" not in str(caller.refusal)
    assert (row.status, row.cost_nano) == ("failed", 0)


async def test_a_handshake_without_an_answer_is_given_up(tmp_path: Path) -> None:
    async with live(tmp_path, timeouts=Timeouts(2.0, 0.1, 2.0, 10.0)) as gw:
        gw.mock.script("/v1/realtime", Answer(chunks=[0.5]))
        caller = await gw.call()
        assert (caller.status, caller.refusal["error"]["code"]) == (504, "upstream_timeout")
        assert (await gw.row()).cost_nano == 0


async def test_the_next_target_is_tried_before_the_accept(tmp_path: Path) -> None:
    async with live(tmp_path) as gw:
        caller = await gw.call("second")
        assert caller.headers["x-qlite-attempts"] == "nobody/x, my-openai/gpt-realtime"
        await caller.respond()
        caller.leave()
        await caller.over()
        row = await gw.row()
    assert [each.status for each in row.attempts] == ["failed", "settled"]
    assert row.cost_nano == COST


async def test_elsewhere_there_is_no_websocket(tmp_path: Path) -> None:
    async with live(tmp_path) as gw:
        caller = await gw.call(path="/v1/elsewhere")
        assert (caller.status, caller.refusal["error"]["code"]) == (404, "not_found")
