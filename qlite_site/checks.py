"""System checks with stable ids: what is doubtful about this installation, in a sentence each."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register
def bind_is_safe(**kwargs: Any) -> list[CheckMessage]:
    """qlite.E001: debugging pages show settings, so they may not leave the machine."""
    host = settings.BIND.rsplit(":", 1)[0]
    if settings.DEBUG and host not in {"127.0.0.1", "localhost", "[::1]"}:
        return [Error("QLITE_DEBUG is on while QLITE_BIND is open to other machines", id="qlite.E001")]
    return []
