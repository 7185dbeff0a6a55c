"""Google's resumable uploads: the bytes come back to the gateway, with whoever began them, and nobody else."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings

from accounts.keys import KeyRejected, admit_by_id
from loadtest.mockserver import Answer
from loadtest.upstream.hit import Hit
from proxy.surfaces.uploads import LASTS, begun_by, ours
from tests.proxy.harness import GRANT
from tests.proxy.native.harness import SECRET, passing
from tests.site.test_handler import KEY

GOOGLES = "https://generativelanguage.googleapis.com/upload/v1beta/files?upload_id=A-1_x&upload_protocol=resumable"
DOUBLE = b'{"model": "a", "model": "b"}'


def google(hit: Hit) -> Answer:
    command = hit.headers.get("x-goog-upload-command", "")
    if command == "start":
        moved = {"x-goog-upload-url": GOOGLES, "x-goog-upload-control-url": GOOGLES, "x-goog-upload-status": "active"}
        return Answer(headers={"content-type": "text/plain"} | moved, body=b"")
    return Answer(headers={"content-type": "application/json", "x-goog-upload-status": "final"}, body=b'{"file":{}}')


async def test_a_file_goes_to_google_in_steps_of_which_only_the_first_needs_the_key(tmp_path: Path) -> None:
    async with passing(tmp_path, "gemini") as call:
        call.mock.script("*", google)
        begun = await call("/gemini/upload/v1beta/files", {"file": {}}, x_goog_upload_command="start")
        assert (begun.status, begun.headers["x-goog-upload-status"]) == (200, "active")
        assert "x-goog-upload-control-url" not in begun.headers
        url = begun.headers["x-goog-upload-url"]
        assert url.startswith(
            f"{settings.PUBLIC_URL}/gemini/upload/v1beta/files?upload_id=A-1_x&upload_protocol=resumable&"
        )
        assert KEY.text not in url
        parts = urlsplit(url)
        steps = {"x_goog_upload_command": "upload, finalize", "x_goog_upload_offset": "0"}
        done = await call(parts.path, DOUBLE, query=parts.query.encode(), authorization="", **steps)
        assert (done.status, done.json, done.headers["x-goog-upload-status"]) == (200, {"file": {}}, "final")
        first, second = call.mock.hits
        assert first.path == "/upload/v1beta/files"
        assert second.path == "/upload/v1beta/files?upload_id=A-1_x&upload_protocol=resumable"
        assert second.body == DOUBLE
        assert second.headers["x-goog-upload-offset"] == "0"
        assert {hit.headers["x-goog-api-key"] for hit in call.mock.hits} == {SECRET}
        rows = await call.bench.rows()
        assert [(row.status, row.key_id, row.usage_source) for row in rows] == [("settled", GRANT.key_id, "none")] * 2


@pytest.mark.parametrize(
    ("change", "with_key"),
    [
        (("A-1_x", "A-2_x"), ""),
        (("qlite_upload=", "qlite_upload=x"), ""),
        (("qlite_upload=", "qlite_upload=Zz"), ""),
        (("&qlite_upload=", "&other="), ""),
        (("", ""), "Bearer sk-ql_wrong"),
    ],
)
async def test_no_other_upload_is_open_and_no_other_caller(
    tmp_path: Path, change: tuple[str, str], with_key: str
) -> None:
    async with passing(tmp_path, "gemini") as call:
        query = urlsplit(ours(GOOGLES, GRANT.key_id, call.bench.gateway.clock())).query.replace(*change)
        refused = await call("/gemini/upload/v1beta/files", b"x", query=query.encode(), authorization=with_key)
        assert (refused.status, refused.json["error"]["status"]) == (401, "UNAUTHENTICATED")
        assert call.mock.hits == []


async def test_a_key_that_is_revoked_takes_its_uploads_along(tmp_path: Path) -> None:
    async with passing(tmp_path, "gemini") as call:
        query = urlsplit(ours(GOOGLES, GRANT.key_id, call.bench.gateway.clock())).query
        call.bench.gateway.keys = {KEY.digest: replace(GRANT, disabled=True)}
        refused = await call("/gemini/upload/v1beta/files", b"x", query=query.encode(), authorization="")
        assert (refused.status, call.mock.hits) == (401, [])


async def test_a_key_for_certain_models_uploads_nothing(tmp_path: Path) -> None:
    async with passing(tmp_path, "gemini") as call:
        call.allow("gemini-x")
        refused = await call("/gemini/upload/v1/files", {}, x_goog_upload_command="start")
        assert (refused.status, refused.json["error"]["status"]) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://x.example/other?upload_id=1",
        "https://x.example/upload/v1/files",
        "/upload",
        "https://[x/upload/v1/files?upload_id=1",
    ],
)
def test_what_is_no_address_of_an_upload_goes_to_nobody(url: str) -> None:
    assert ours(url, "k", 0.0) == ""


def test_a_mark_is_good_for_a_day() -> None:
    query = urlsplit(ours(GOOGLES, "k", 1000.0)).query
    assert begun_by(query, 1000.0) == begun_by(query, 999.0 + LASTS) == "k"
    assert begun_by(query, 1001.0 + LASTS) == ""
    later = query.replace(f".{1000 + LASTS}.", f".{2000 + LASTS}.")
    assert begun_by(later, 1001.0 + LASTS) == begun_by(query.replace("k.", "l."), 1000.0) == ""


@pytest.mark.parametrize("mark", ["", ".", "..", "k.x.y", "k.999999999999999999.y", "k.²³.y", "k.9999999999"])
def test_nonsense_is_no_mark(mark: str) -> None:
    assert begun_by(f"upload_id=1&qlite_upload={mark}", 0.0) == ""


def test_a_key_that_is_gone_is_not_found_by_its_id() -> None:
    assert admit_by_id({"digest": GRANT}, GRANT.key_id, now=0.0) is GRANT
    with pytest.raises(KeyRejected):
        admit_by_id({"digest": GRANT}, "other", now=0.0)
