"""Channels' routing: the addresses that are WebSockets. Any other is refused with the gateway's own error."""

from typing import Any

from channels.routing import URLRouter  # type: ignore[import-untyped]
from django.urls import path, re_path

from proxy.surfaces.realtime import Nowhere, Realtime

application: Any = URLRouter([path("v1/realtime", Realtime.as_asgi()), re_path("", Nowhere.as_asgi())])
