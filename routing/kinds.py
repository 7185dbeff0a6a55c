"""The kinds of provider: names, labels and default addresses of the dialects we speak."""

import re
from dataclasses import dataclass

from routing.address import check_url

_API_VERSION = re.compile(r"\?api-version=[0-9A-Za-z.-]{1,40}$")


@dataclass(frozen=True, slots=True)
class Kind:
    """One dialect. `base_url` is where it usually lives, '' where every installation has its own."""

    name: str
    label: str
    base_url: str
    credential_required: bool
    network: bool = True  # False: answered in this process, so an address makes no sense
    versioned: bool = False  # its address may end in ?api-version=...

    def check_url(self, url: str, *, allow_private: bool, allow_insecure: bool) -> None:
        """Judge a base address of this kind, as `routing.address.check_url` does. Raises AddressRefused."""
        plain = _API_VERSION.sub("", url) if self.versioned else url
        check_url(plain, allow_private=allow_private, allow_insecure=allow_insecure)


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("openai", "OpenAI", "https://api.openai.com/v1", credential_required=True),
        Kind("anthropic", "Anthropic", "https://api.anthropic.com", credential_required=True),
        Kind("gemini", "Google Gemini", "https://generativelanguage.googleapis.com", credential_required=True),
        Kind("groq", "Groq", "https://api.groq.com/openai/v1", credential_required=True),
        Kind("azure-openai", "Azure OpenAI", "", credential_required=True, versioned=True),
        Kind("openai-compatible", "OpenAI compatible", "", credential_required=False),
        Kind("stub", "Stub (built in, no network)", "", credential_required=False, network=False),
    )
}
