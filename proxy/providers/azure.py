"""Azure OpenAI: OpenAI's bytes at a company's own address, with the key in a header of its own.

Two forms of address. Without an `api-version` in the provider's address the newer one, /openai/v1, with the deployment
in the body's `model`; with one the older, /openai/deployments/NAME. Source: Azure OpenAI REST API reference.
"""

from urllib.parse import quote, urlsplit

from proxy.body import Json
from proxy.chat import Chat
from proxy.providers.base import Outgoing
from proxy.providers.openai import PATHS, OpenAI
from routing.values import Provider, Target

WITHOUT_DEPLOYMENT = ("responses", "models", "realtime")  # in the older form too the model stands in the body


class Azure(OpenAI):
    def request(self, chat: Chat, target: Target) -> Outgoing:
        return _moved(super().request(chat, target), target, "chat")

    def native(self, raw: bytes, body: Json, target: Target, *, operation: str, stream: bool) -> Outgoing:
        return _moved(super().native(raw, body, target, operation=operation, stream=stream), target, operation)


def address(provider: Provider, path: str, model: str) -> str:
    """Return the URL of `path`, such as "chat/completions", for the deployment `model`."""
    parts = urlsplit(provider.base_url)
    root = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
    root = root.removesuffix("/v1").removesuffix("/openai") + "/openai"
    if not parts.query:
        return f"{root}/v1/{path}"
    if path.partition("/")[0] in WITHOUT_DEPLOYMENT:
        return f"{root}/{path}?{parts.query}"
    return f"{root}/deployments/{quote(model, safe='')}/{path}?{parts.query}"


def credential(provider: Provider) -> tuple[tuple[str, str], ...]:
    return (("api-key", provider.secret),) if provider.secret else ()


def _moved(out: Outgoing, target: Target, operation: str) -> Outgoing:
    url = address(target.provider, PATHS[operation].lstrip("/"), target.model)
    headers = (("content-type", "application/json"), *credential(target.provider))
    return Outgoing(url, headers, out.body, out.ignored)
