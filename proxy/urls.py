"""The gateway's own URLs, served by the lean handler. Pages are in qlite_site/urls.py."""

from django.conf import settings
from django.urls import path, re_path

from proxy.dialects.completions import Completions
from proxy.dialects.embeddings import Embeddings
from proxy.dialects.messages import Messages
from proxy.dialects.minimal import Minimal
from proxy.dialects.responses import Responses
from proxy.surfaces import chat, gemini, models, native, realtime, status, uploads

# The older API: the URL says whether it streams, and a model need not be named.
MINIMAL = {"model": settings.DEFAULT_MODEL}
minimal = chat.surface("minimal", Minimal())
messages = chat.surface("messages", Messages())

urlpatterns = [
    path("", status.root),
    path("v1/chat/completions", chat.chat_completions),
    path("v1/completions", chat.surface("completions", Completions())),
    path("v1/embeddings", chat.surface("embeddings", Embeddings())),
    path("v1/responses", chat.surface("responses", Responses())),
    path("v1/messages", messages),
    path("v1/messages/count_tokens", messages, {"operation": "count_tokens"}),
    path("proxy", minimal, MINIMAL),
    path("proxy/stream", minimal, MINIMAL | {"stream": True}),
    re_path(rf"^v1(?:beta)?/models/(?P<model>.+):(?P<method>{'|'.join(gemini.METHODS)})$", gemini.generate),
    path("v1/models", models.list_models),
    path("v1/models/<path:model>", models.one_model),
    path("v1beta/models", models.list_models, {"gemini": True}),
    path("v1beta/models/<path:model>", models.one_model, {"gemini": True}),
    path("health", status.health),
    path("healthz", status.alive),
    path("readyz", status.ready),
    path("metrics", status.metrics),
    path("v1/images/generations", native.operation("images/generations")),
    path("v1/audio/speech", native.operation("audio/speech")),
    path("v1/audio/transcriptions", native.operation("audio/transcriptions")),
    path("v1/audio/translations", native.operation("audio/translations")),
    path("v1/moderations", native.operation("moderations", model="omni-moderation-latest")),
    path("v1/realtime", realtime.without_upgrade),
    path("v1/rerank", native.operation("rerank")),
    re_path(r"^(?P<before>openai)/(?P<version>v1)/(?P<path>.+)$", native.own_api("openai")),
    re_path(r"^(?P<before>anthropic)/(?P<version>v1)/(?P<path>.+)$", native.own_api("anthropic")),
    re_path(r"^(?P<before>gemini)/(?P<version>v1|v1beta)/(?P<path>.+)$", native.own_api("gemini")),
    re_path(r"^gemini/(?P<version>upload/(?:v1|v1beta))/(?P<path>.+)$", uploads.upload),
    re_path(r"^(?P<before>groq(?:/openai)?)/(?P<version>v1)/(?P<path>.+)$", native.own_api("groq")),
    re_path(r"^(?:v1|v1beta|proxy|openai|anthropic|gemini|groq)(?:/.*)?$", status.nothing_here),
]
