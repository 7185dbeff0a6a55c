"""The registry of dialects: a kind's name and its adapter. Adding a kind is one module and one line here."""

from proxy.providers.anthropic import Anthropic
from proxy.providers.azure import Azure
from proxy.providers.base import Adapter
from proxy.providers.gemini import Gemini
from proxy.providers.openai import OpenAI

ADAPTERS: dict[str, Adapter] = {
    "openai": OpenAI(),
    "anthropic": Anthropic(),
    "gemini": Gemini(),
    "groq": OpenAI(),
    "azure-openai": Azure(),
    "openai-compatible": OpenAI(),
    "stub": OpenAI(),
}
