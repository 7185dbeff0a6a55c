"""Ops in a real browser against a real server: what an edit in the admin does to the next call."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from loadtest.bench.rig import UNWANTED, free_port
from tests.admin.test_browser import CHROMIUM, FLAGS, Browser

ROOT = Path(__file__).parent.parent.parent
WITHIN = 1.5  # seconds: one for the promise, the rest for a busy machine
FURNISH = """
from django.core.management import call_command
call_command("setup", verbosity=0)
from django.contrib.auth.models import Group, User
from routing import store
for name in ("olga", "otto"):
    User.objects.create_user(name, password="correct horse", is_staff=True).groups.add(Group.objects.get(name="ops"))
table = {
    "providers": [{"name": name, "kind": "stub", "credential": None, "free": True} for name in ("here", "there")],
    "routes": [{"name": "errand", "cache_ttl": 0, "targets": [{"provider": "here", "model": "stub"}]}],
}
store.apply(table, "test")
"""

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason="needs Debian's chromium")]


@dataclass
class Gateway:
    """A running `qlite serve` and a key for it."""

    base: str
    key: str

    def provider(self) -> str:
        """Who answers the route `errand` now."""
        ask = {"model": "errand", "messages": [{"role": "user", "content": "Hello"}]}
        headers = {"authorization": f"Bearer {self.key}"}
        answer = httpx.post(f"{self.base}/v1/chat/completions", json=ask, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.headers["x-provider"]

    def seconds_until(self, provider: str, *, at_most: float = WITHIN) -> float:
        """How long it takes until `provider` answers."""
        begin = time.monotonic()
        while self.provider() != provider:
            assert time.monotonic() - begin < at_most, f"{provider} does not answer after {at_most} s"
            time.sleep(0.02)
        return time.monotonic() - begin


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Gateway]:
    port = free_port()
    told = {"QLITE_DATA_DIR": str(folder), "PORT": str(port), "QLITE_BIND": f"127.0.0.1:{port}", **settings}
    environ = {name: value for name, value in os.environ.items() if not name.startswith(UNWANTED)} | told
    manage = [sys.executable, str(ROOT / "manage.py")]
    subprocess.run([*manage, "shell", "-v", "0", "-c", FURNISH], env=environ, check=True, capture_output=True)
    make = [*manage, "createkey", "--team", "demo", "--name", "browser", "--quiet"]
    key = subprocess.run(make, env=environ, check=True, capture_output=True, text=True).stdout.strip()
    server = subprocess.Popen([*manage, "serve"], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    base = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=10)) as client:
            assert client.get(f"{base}/healthz").status_code == 200
        yield Gateway(base, key)
    finally:
        server.terminate()
        server.wait(20)


@contextmanager
def browsing(base: str, name: str = "olga") -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=list(FLAGS))
        browser = Browser(chromium.new_page(viewport={"width": 1400, "height": 1200}), base)
        browser.sign_in(name)
        yield browser
        chromium.close()
    assert browser.trouble == []


def edit(browser: Browser, provider: str) -> None:
    """Let the route `errand` lead to `provider`, and save."""
    browser.open("/admin/routing/route/?q=errand")
    browser.page.click("#result_list >> text=errand")
    browser.choose("targets-0-provider", provider)
    browser.page.click("button[name=_save]")
    browser.page.wait_for_url("**/admin/routing/route/**")


def test_an_edited_target_answers_the_next_call_within_a_second(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway, browsing(gateway.base) as browser:
        assert gateway.provider() == "here"
        edit(browser, "there")
        assert "Live in every process within a second" in browser.page.content()
        gateway.seconds_until("there")


def test_a_draft_serves_when_it_is_published_and_no_more_when_it_is_rolled_back(tmp_path: Path) -> None:
    with serving(tmp_path, QLITE_ROUTING_REVIEW="on") as gateway, browsing(gateway.base) as browser:
        page = browser.page
        edit(browser, "there")
        assert "unpublished changes" in page.inner_text(".ql-banner")
        page.click(".ql-banner >> text=Look and publish")
        page.wait_for_load_state("networkidle")
        shown = page.inner_text("#content")
        assert "removed target here/stub" in shown and "added target there/stub" in shown
        time.sleep(WITHIN)
        assert gateway.provider() == "here"
        page.fill("#id_note", "There is quieter")
        page.click("button:has-text('Publish')")
        page.wait_for_selector("text=Live in every process within a second")
        gateway.seconds_until("there")
        page.click("text=Undo: restore revision")
        page.click("button:has-text('Restore revision')")
        page.wait_for_selector("text=Live in every process within a second")
        gateway.seconds_until("here")


def test_a_publication_goes_live_by_itself_within_a_second_of_its_time(tmp_path: Path) -> None:
    with serving(tmp_path, QLITE_ROUTING_REVIEW="on") as gateway, browsing(gateway.base) as browser:
        page = browser.page
        edit(browser, "there")
        browser.open("/admin/routing/revision/publish/")
        due = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=4)
        page.fill("#id_at", due.strftime("%Y-%m-%dT%H:%M:%S"))
        page.click("button:has-text('Publish')")
        page.wait_for_selector("text=Goes live by itself at")
        while datetime.now(UTC) < due - timedelta(seconds=0.2):
            assert gateway.provider() == "here"
            time.sleep(0.05)
        gateway.seconds_until("there")
