"""/docs and /redoc in a real browser, wide and narrow: whole, quiet, and able to call the gateway."""

import os
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.pages.test_browser import CHROMIUM, FLAGS, ROOT, Watched, free_port

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    told = {"QLITE_DATA_DIR": str(tmp_path_factory.mktemp("data")), "PORT": str(port), "QLITE_SCRIPT_NAME": ""}
    environ = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"} | told
    manage = [sys.executable, str(ROOT / "manage.py")]
    subprocess.run([*manage, "setup"], env=environ, check=True, capture_output=True)
    server = subprocess.Popen([*manage, "serve"], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=8)) as client:
            assert client.get(f"{address}/healthz").status_code == 200
        yield address
    finally:
        server.terminate()
        server.wait(20)


@pytest.fixture(params=[1400, 390], ids=["wide", "narrow"])
def seen(request: pytest.FixtureRequest, base: str) -> Iterator[Watched]:
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        size = {"width": request.param, "height": 900}
        watched = Watched(browser.new_page(viewport=size, color_scheme="light"), base)
        watched.watch()
        yield watched
        wide = watched.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        browser.close()
    assert wide == 0
    assert watched.trouble == []


def test_swagger_ui_shows_the_calls_and_makes_one(seen: Watched) -> None:
    page = seen.page
    page.goto(f"{seen.base}/docs")
    page.wait_for_selector("#operations-OpenAI-createChatCompletion")
    assert page.locator(".opblock").count() > 30
    assert page.locator(".errors-wrapper").count() == 0
    page.click("#operations-Gateway-getAlive .opblock-summary-control")
    with page.expect_response("**/healthz") as answered:
        page.click("#operations-Gateway-getAlive .execute")
    assert answered.value.url == f"{seen.base}/healthz"
    page.wait_for_selector("#operations-Gateway-getAlive .live-responses-table")
    assert "python" in page.inner_text("#operations-Gateway-getAlive .live-responses-table")


def test_swagger_ui_shows_a_call_with_its_errors(seen: Watched) -> None:
    page = seen.page
    page.goto(f"{seen.base}/docs")
    page.click("#operations-Anthropic-createMessage .opblock-summary-control")
    page.wait_for_selector("#operations-Anthropic-createMessage .response >> text=upstream_rate_limited")


def test_redoc_shows_the_calls(seen: Watched) -> None:
    page = seen.page
    page.goto(f"{seen.base}/redoc")
    page.wait_for_selector("[id='operation/createMessage']")
    text = page.inner_text("#api")
    for words in ("Chat completion", "stream_interrupted", "X-Qlite-Ignored", "Providers' own APIs"):
        assert words in text, words
    assert "Something went wrong" not in text


def test_swagger_ui_takes_the_colours_of_the_other_pages(seen: Watched) -> None:
    page = seen.page
    ground = "getComputedStyle(document.body).backgroundColor"
    page.emulate_media(color_scheme="dark")
    page.goto(f"{seen.base}/docs")
    page.wait_for_selector("#operations-OpenAI-createChatCompletion")
    assert page.evaluate(ground) == "rgb(28, 32, 34)"
    page.evaluate("localStorage.setItem('qlite-theme', 'light')")
    page.reload()
    page.wait_for_selector("#operations-OpenAI-createChatCompletion")
    assert page.evaluate(ground) == "rgb(255, 255, 255)"
