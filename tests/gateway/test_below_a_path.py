"""Mounted below a path by a proxy that takes the path off."""

from tests.gateway.conftest import Start


def test_pages_and_the_api_work_below_a_path(start: Start) -> None:
    stand = start(QLITE_SCRIPT_NAME="/qlite")
    sent = stand.call("GET", "/keys/", key=None)
    assert (sent.status, sent.headers["location"]) == (302, "/qlite/login/?next=/qlite/keys/")
    form = stand.call("GET", "/admin/login/", key=None).body
    assert b'action="/qlite/admin/login/"' in form
    style = stand.call("GET", "/static/qlite/qlite.css", key=None)
    assert style.status == 200
    assert stand.call(body=stand.ask()).status == 200
    assert stand.call("GET", "/", key=None, accept="text/html").body.count(b'href="/qlite/keys/"') > 0
