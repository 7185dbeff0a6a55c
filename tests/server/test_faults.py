"""Apps that fail: each failure is answered or cut honestly, logged once, and costs later requests nothing."""

import pytest

from tests.server.client import Running


@pytest.fixture
def mine(start) -> Running:  # type: ignore[no-untyped-def]
    return start()


@pytest.mark.parametrize("path", ["/fail", "/fail-started", "/silent", "/bad-header", "/too-short", "/too-long"])
def test_it_answers_for_an_app_that_fails_before_the_first_byte(mine: Running, path: str) -> None:
    answer = mine.get(path)
    assert (answer.status, answer.code) == (500, "internal_error")
    assert "set-cookie" not in answer.headers
    assert mine.log().count("qlite.server") == 1


@pytest.mark.parametrize("path", ["/fail-late", "/too-short-late"])
def test_it_cuts_the_connection_when_an_app_fails_after_the_first_byte(mine: Running, path: str) -> None:
    with mine.connect() as client:
        client.ask("GET", path)
        with pytest.raises(ConnectionResetError):
            client.answer()
    assert mine.log().count("Traceback") == 1


def test_it_logs_each_failure_once_and_goes_on(mine: Running) -> None:
    for _ in range(20):
        with mine.connect() as client:
            client.ask("GET", "/fail-late")
            with pytest.raises(ConnectionResetError):
                client.answer()
        assert mine.get("/fail").status == 500
    assert mine.log().count("ValueError: boom after") == mine.log().count("ValueError: boom before") == 20
    before = mine.memory()
    with mine.connect() as client:
        for _ in range(3000):
            client.ask("GET", "/")
            client.answer()
    assert mine.memory() - before < 2**20
    assert mine.events()["in_flight"] == 1


def test_it_names_no_query_in_the_log(mine: Running) -> None:
    mine.get("/fail?key=sk-secret")
    assert "/fail" in mine.log() and "sk-secret" not in mine.log()


def test_it_keeps_quiet_about_ordinary_requests(mine: Running) -> None:
    mine.get("/?key=sk-secret")
    mine.get("/", "Upgrade: websocket", "Connection: Upgrade")
    mine.stop()
    assert mine.log() == ""
