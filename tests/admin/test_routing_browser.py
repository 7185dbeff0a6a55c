"""A target's own page and the breakers in a real browser, light and dark, wide and narrow."""

import pytest
from pytest_django.live_server_helper import LiveServer

from routing.models import Breaker, Route
from tests.admin.test_browser import browsing, pytestmark, route

__all__ = ["pytestmark", "route"]


def test_a_target_gets_conditions_and_a_breaker_is_opened_and_closed(route: Route, live_server: LiveServer) -> None:
    with browsing(live_server.url) as olga:
        page = olga.page
        olga.open(f"/admin/routing/route/{route.pk}/change/")
        page.locator("td.field-terms a").first.click()
        page.select_option("#id_tools", "only")
        page.fill("#id_max_context", "8000")
        page.fill("#id_share", "5")
        page.fill("#id_why", "Small ones first")
        page.click("button[name=_save]")
        page.wait_for_selector("text=tools only, up to 8,000 tokens, canary 5 %")
        olga.open("/admin/routing/breaker/add/")
        page.fill("#id_target", "one/gpt-4o")
        page.fill("#id_note", "Too dear today")
        page.click("button[name=_save]")
        page.wait_for_selector("text=opened by hand")
        shown = page.inner_text("#content")
        page.click("text=one/gpt-4o")
        page.select_option("#id_act", "close")
        page.fill("#id_note", "Cheap again")
        page.click("button[name=_save]")
        page.wait_for_selector("text=closed")
    assert "Too dear today" in shown and "olga" in shown
    row = Breaker.objects.get()
    assert (row.state, row.forced, row.note) == ("closed", False, "Cheap again")


@pytest.mark.parametrize("width", [1400, 420])
def test_nothing_on_these_pages_is_wider_than_the_window(route: Route, live_server: LiveServer, width: int) -> None:
    Breaker.objects.create(target="one/gpt-4o", opened=1, reason="3 failures in a row, the last upstream_timeout")
    target = route.targets.get(provider__name="one")
    pages = ["breaker/", "breaker/add/", f"target/{target.pk}/change/"]
    with browsing(live_server.url) as olga:
        olga.page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            olga.page.emulate_media(color_scheme=scheme)
            for path in pages:
                olga.open(f"/admin/routing/{path}")
                assert olga.page.evaluate("document.documentElement.scrollWidth") <= width
