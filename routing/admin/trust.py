"""What an edit of the table may not do, however it comes in: move a credential, or trust more than ops may."""

from django.http import HttpRequest

from routing import store
from routing.document import Document, Entry
from routing.grouped import words

# As in the provider's form: where a call may go, and whose secret goes with it.
SUPERUSER_FIELDS = ("allow_private", "allow_insecure", "forward_authorization")


def refuse_beyond(request: HttpRequest, before: Document, after: Document) -> None:
    """Refuse what the person could not do in a provider's form. Raises RoutingRefused."""
    known: dict[str, Entry] = {entry["name"]: entry for entry in before["providers"]}
    for entry in after["providers"]:
        refuse_provider(request, known.get(entry["name"]), entry)


def refuse_provider(request: HttpRequest, was: Entry | None, entry: Entry) -> None:
    """The same for one provider, `was` before. Raises RoutingRefused."""
    root = request.user.is_superuser
    if not root:
        _refuse_trust(entry, was)
    if was is not None and _would_leak(was, entry, root):
        raise store.RoutingRefused(
            f"provider {entry['name']}: its credential belongs to the old address; change that on its own page"
        )


def _would_leak(was: Entry, now: Entry, root: bool) -> bool:
    """Whether a credential that this person cannot read would be sent to another host than before."""
    there, then = was["credential"], now["credential"]
    return bool(there and then) and ("stored" in then or not root) and store.moved(was, now)


def _refuse_trust(entry: Entry, was: Entry | None) -> None:
    for field in SUPERUSER_FIELDS:
        if entry[field] != (was[field] if was is not None else False):
            raise store.RoutingRefused(f"provider {entry['name']}: only a superuser may change {words(field)}")
    variable, before = ((each or {}).get("credential") or {} for each in (entry, was))
    if variable.get("env", "") not in ("", before.get("env", "")):
        raise store.RoutingRefused(f"provider {entry['name']}: only a superuser may name a variable as its credential")
    trusted = was is not None and any(was[field] for field in SUPERUSER_FIELDS)
    if was is not None and trusted and entry["base_url"] != was["base_url"]:
        raise store.RoutingRefused(f"provider {entry['name']}: only a superuser may change its address")
