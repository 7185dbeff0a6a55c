"""Files on their way to Google: its resumable uploads below /gemini/upload, with everything of the gateway around them.

Google answers the beginning of an upload with an address for the bytes, and clients send them there without a key: the
address is the permission. Ours leads back to the gateway and says by whom the upload was begun, signed, for this upload
alone and for a day. Where it goes from there is the provider's address, whatever else stands in it.
"""

import re
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from accounts.keys import Grant, KeyRejected, admit_by_id
from proxy.gateway import Gateway
from proxy.native.address import UPLOAD_MARK, without_keys
from proxy.native.operations import UPLOAD
from proxy.native.passing import OWN_API
from proxy.surfaces import access, native
from proxy.surfaces.answers import Answer
from proxy.surfaces.gateway import current
from proxy.surfaces.request import GatewayRequest

LASTS = 24 * 3600  # seconds
PREFIX = b"/gemini/upload/"
_PATH = re.compile(r"/upload/v1(?:beta)?/.+")


async def upload(request: GatewayRequest, *, version: str, path: str) -> Answer:
    """Any step of an upload; `version` is Google's."""
    gateway = current()
    passing = native.below(request, "gemini", f"/gemini/{version}/", version=version, operation=UPLOAD)
    grant = _grant_of(request, gateway)
    passing.moved = lambda url: ours(url, grant.key_id, gateway.clock())
    return await native.passed_on(request, "gemini" + OWN_API, passing, grant)


def ours(url: str, key_id: str, now: float) -> str:
    """Return the gateway's address for that of an upload at Google, "" where it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    path, upload_id = _PATH.search(parts.path), _upload_id(parts.query)
    if path is None or not upload_id:
        return ""
    mark = _mark(key_id, int(now) + LASTS, upload_id)
    return f"{settings.PUBLIC_URL}/gemini{path[0]}?{without_keys(parts.query)}&{UPLOAD_MARK}={mark}"


def begun_by(query: str, now: float) -> str:
    """Return the id of the key that began the upload which `query` names, "" where no mark of ours says so."""
    mark = _first(query, UPLOAD_MARK)
    key_id, _, rest = mark.partition(".")
    until = rest.partition(".")[0]
    if not (until.isascii() and until.isdigit() and len(until) < 12 and now < int(until)):
        return ""
    return key_id if constant_time_compare(mark, _mark(key_id, int(until), _upload_id(query))) else ""


def _grant_of(request: GatewayRequest, gateway: Gateway) -> Grant:
    query = request.scope.get("query_string", b"").decode("latin-1")
    key_id = "" if access.key_of(request.raw_headers) else begun_by(query, gateway.clock())
    if not key_id:
        return access.grant_of(request, gateway, key_in_url=True)
    try:
        return admit_by_id(gateway.keys, key_id, now=gateway.clock())
    except KeyRejected as rejection:
        raise access.turned_away(gateway, rejection, (request.scope.get("client") or ("",))[0]) from None


def _mark(key_id: str, until: int, upload_id: str) -> str:
    signature = salted_hmac("qlite.upload", f"{key_id}.{until}.{upload_id}", algorithm="sha256").hexdigest()
    return f"{key_id}.{until}.{signature}"


def _upload_id(query: str) -> str:
    return _first(query, "upload_id")


def _first(query: str, name: str) -> str:
    return parse_qs(query).get(name, [""])[0]
