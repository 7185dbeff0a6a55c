"""What genai-prices does not tell: prices in units that it has no word for, from the providers' own price pages."""

from dataclasses import replace

from accounts.pricelists.offers import BEGINNING, List, Offer

ADDED = (
    Offer("openai", "omni-moderation*", BEGINNING, {"input": 0, "requests": 0}, note="Moderations are free."),
    Offer("openai", "text-moderation*", BEGINNING, {"input": 0, "requests": 0}, note="Moderations are free."),
    Offer("openai", "tts-1*", BEGINNING, {"characters": 15 * 10**9}, note="15 USD a million characters."),
    Offer("openai", "tts-1-hd*", BEGINNING, {"characters": 30 * 10**9}, note="30 USD a million characters."),
    Offer("openai", "whisper-1", BEGINNING, {"seconds": 100 * 10**9}, note="0.006 USD a minute."),
)
# Beside the tokens of a list: what a call costs of which the provider reports none.
BESIDE = {
    ("openai", "gpt-4o-mini-tts"): (
        {"characters": 15 * 10**9},
        "Without reported tokens by the character: OpenAI's 0.015 USD a minute, of about a thousand characters.",
    ),
}


def added(prices: List) -> List:
    """Return the list with ours, where it has no price for those models."""
    known = {offer.key for offer in prices.offers}
    more = [offer for offer in ADDED if offer.key not in known]
    offers = sorted((*prices.offers, *more), key=lambda each: (each.kind, each.model, each.effective_from or BEGINNING))
    return replace(prices, offers=tuple(offers))


def completed(prices: List) -> List:
    """Return the list with ours beside what it says of a model."""
    return replace(prices, offers=tuple(map(_beside, prices.offers)))


def _beside(offer: Offer) -> Offer:
    amounts, note = BESIDE.get((offer.kind, offer.model), ({}, ""))
    if amounts.keys() <= offer.amounts.keys():
        return offer
    return replace(offer, amounts={**amounts, **offer.amounts}, note=f"{offer.note} {note}".strip())
