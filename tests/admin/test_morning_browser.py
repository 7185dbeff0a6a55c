"""The morning of somebody of ops, in a real browser: a new provider, a route, a draft tried, published, and undone."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from loadtest.mockserver import Answer, MockServer, in_thread
from tests.admin.test_browser import CHROMIUM, Browser
from tests.admin.test_serving_browser import Gateway, browsing, serving

MODEL = "bench-model"  # one of those that the mock lists

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")]


def add_provider(browser: Browser, name: str, mock: MockServer) -> None:
    page = browser.page
    browser.open("/admin/routing/provider/add/")
    page.fill("#id_name", name)
    page.select_option("#id_kind", "openai-compatible")
    page.fill("#id_base_url", mock.base_url)
    page.check("#id_free")
    page.check("#id_allow_private")
    page.click("button[name=_save]")
    page.wait_for_url("**/admin/routing/provider/**")
    assert name in page.inner_text("#result_list")


def ask(gateway: Gateway) -> httpx.Response:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Good morning"}]}
    headers = {"authorization": f"Bearer {gateway.key}", "cache-control": "no-cache"}
    return httpx.post(f"{gateway.base}/v1/chat/completions", json=body, headers=headers)


def answers(gateway: Gateway, who: str) -> bool:
    return ask(gateway).headers.get("x-provider") == who


def soon(happens: Callable[[], bool], *, seconds: float) -> bool:
    give_up = time.monotonic() + seconds
    while not (happened := happens()) and time.monotonic() < give_up:
        time.sleep(0.05)
    return happened


def publish(browser: Browser) -> None:
    browser.open("/admin/routing/revision/publish/")
    browser.page.fill("#id_note", "A route for the morning")
    if browser.page.locator("#id_confirmed").count():
        browser.page.check("#id_confirmed")
    browser.page.click("button:has-text('Publish')")
    browser.page.wait_for_selector("text=Live in every process within a second")


def test_a_provider_is_found_routed_tried_published_lost_and_rolled_back(tmp_path: Path) -> None:
    with ExitStack() as house:
        first, second = house.enter_context(in_thread()), house.enter_context(in_thread())
        gateway = house.enter_context(
            serving(tmp_path, QLITE_ROUTING_REVIEW="on", QLITE_ADMIN_PASSWORD="correct horse")
        )
        browser = house.enter_context(browsing(gateway.base, "admin"))
        page = browser.page

        add_provider(browser, "first", first)
        add_provider(browser, "second", second)

        page.click("#result_list >> text=first")
        page.click("text=Connection and models >> visible=true")
        page.click("text=Test the connection")
        assert "first answered after" in page.inner_text("#said")
        page.click("text=Discover models")
        page.check(f"input[value='{MODEL}']")
        page.click("text=Add routes for the chosen")
        page.wait_for_url("**/admin/routing/route/**")

        page.click(f"#result_list >> text={MODEL}")
        page.click("text=Add another Target")
        browser.choose("targets-1-provider", "second")
        page.fill("#id_targets-1-tier", "1")
        page.click("button[name=_save]")
        page.wait_for_url("**/admin/routing/route/**")
        assert ask(gateway).status_code == 404

        browser.open(f"/admin/routing/simulator/?model={MODEL}&tokens=1000&table=draft")
        way = page.inner_text("#way")
        assert way.index(f"first/{MODEL}") < way.index(f"second/{MODEL}")

        publish(browser)
        assert soon(lambda: answers(gateway, "first"), seconds=1.5)

        first.script(MODEL, Answer(status=500))
        for _ in range(8):
            assert answers(gateway, "second")
        assert soon(lambda: f"first/{MODEL}" in breakers(browser), seconds=5)
        browser.open("/admin/")
        assert f"first/{MODEL}" in page.inner_text("a:has-text('Targets in trouble')")

        browser.open("/admin/routing/revision/")
        page.click("#result_list a[href*='/change/'] >> nth=0")
        page.click("text=Undo: restore revision")
        page.click("button:has-text('Restore revision')")
        page.wait_for_selector("text=Live in every process within a second")
        assert soon(lambda: ask(gateway).status_code == 404, seconds=1.5)

        browser.open("/admin/routing/revision/")
        audit = page.inner_text("#result_list")
        assert "A route for the morning" in audit
        browser.open("/admin/admin/logentry/")
        assert "Asked for its models: first answered after" in page.inner_text("#result_list")


def breakers(browser: Browser) -> str:
    browser.open("/admin/routing/breaker/")
    return browser.page.inner_text("#content")
