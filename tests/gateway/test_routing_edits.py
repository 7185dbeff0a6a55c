"""Edits of the routing table while a gateway serves: in force within a second, and no call is harmed."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack

from loadtest.mockserver import Answer
from tests.gateway.conftest import Start
from tests.gateway.stand import Stand
from tests.server.client import until

STREAMS = 200  # catalogue U-26, issue "must hold"
WORD = b'data: {"id":"x","choices":[{"index":0,"delta":{"content":" word"},"finish_reason":null}]}\n\n'
PLAIN = b'{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3}}'
END = (
    b'data: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"x","choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3}}\n\n'
    b"data: [DONE]\n\n"
)


def publish(stand: Stand, route: str) -> None:
    """Publish one route as YAML, as `qlite import` does."""
    file = stand.home.folder / "edit.yaml"
    file.write_text(f"routes:\n  - {route}\n")
    stand.home.run("import", str(file))


def test_u26_live_streams_survive_edit_switching_off_and_deletion_of_their_route(start: Start) -> None:
    stand = start()
    over = threading.Event()

    def words() -> Iterator[bytes | float]:
        while not over.is_set():
            yield WORD
            yield 1.0
        yield END

    stand.mock.script("held", lambda hit: Answer(chunks=words()) if hit.stream else Answer(body=PLAIN))
    publish(stand, "{name: live, cache_ttl: 0, targets: [{provider: mock, model: held}]}")
    until(lambda: stand.call(body=stand.ask("live")).status == 200, bool)
    ask = stand.ask("live") | {"stream": True}
    with ExitStack() as opened:
        callers = []
        for _ in range(STREAMS):
            client = opened.enter_context(stand.connect())
            stand.send(client, body=ask)
            status, _ = client.head()
            assert status == 200
            assert WORD.strip() in client.chunk()
            callers.append(client)
        publish(stand, "{name: live, cache_ttl: 0, targets: [{provider: mock, model: ok}]}")
        until(lambda: stand.call(body=stand.ask("live")).headers.get("x-qlite-target") == "mock/ok", bool)
        publish(stand, "{name: live, enabled: off, targets: [{provider: mock, model: ok}]}")
        until(lambda: stand.call(body=stand.ask("live")).status == 404, bool)
        stand.home.run("shell", "-v", "0", "-c", DELETE)
        assert stand.call(body=stand.ask("live")).status == 404
        over.set()
        for client in callers:
            said = b""
            while piece := client.chunk():
                said += piece
            assert said.endswith(b"data: [DONE]\n\n")
            assert b'"error"' not in said
    rows = until(
        lambda: stand.rows("route = 'live' AND stream = 1 AND status = 'settled'"), lambda r: len(r) == STREAMS
    )
    assert {row["model"] for row in rows} == {"held"}


DELETE = """
from routing import store
from routing.models import Route
Route.objects.filter(name="live").delete()
store.publish("test")
"""


def test_a_breaker_is_shared_and_a_hand_on_it_is_in_force_within_a_second(start: Start) -> None:
    stand = start()
    for _ in range(3):
        assert stand.call(body=stand.ask("second-chance")).headers["x-qlite-attempts"] == "nobody/ok, mock/ok"
    later = stand.call(body=stand.ask("second-chance")).headers
    assert (later["x-qlite-target"], later.get("x-qlite-attempts")) == ("mock/ok", None)
    (row,) = until(lambda: breakers(stand), bool)
    assert (row["target"], row["state"], row["forced"]) == ("nobody/ok", "open", 0)
    assert row["reason"].startswith("3 failures in a row")
    assert stand.call("GET", "/health").json["providers"]["nobody"]["resting_targets"] == 1
    stand.home.run("shell", "-v", "0", "-c", BAR.format(target="mock/ok", note="too dear"))
    refused = until(lambda: stand.call(body=stand.ask("alias")), lambda got: got.status == 503)
    assert refused.error["code"] == "no_target"
    stand.home.run("shell", "-v", "0", "-c", CLOSE)
    until(lambda: stand.call(body=stand.ask("alias")).status == 200, bool)


def breakers(stand: Stand) -> list[dict[str, object]]:
    with stand.database() as db:
        return [dict(row) for row in db.execute("SELECT * FROM routing_breaker")]


BAR = """
from routing.models import Breaker
Breaker.objects.create(target="{target}", state="open", forced=True, note="{note}", author="olga")
"""
CLOSE = """
from django.utils import timezone
from routing.models import Breaker
Breaker.objects.filter(target="mock/ok").update(state="closed", forced=False, origin="", changed_at=timezone.now())
"""
