"""A change in the words of a person who has to decide on it."""

from collections.abc import Mapping

from accounts import scales
from accounts.pricelists.compare import Change, Version
from accounts.pricelists.offers import Offer
from accounts.prices import UNITS
from accounts.rates import Amounts


def line(change: Change) -> str:
    """Return one line for a terminal."""
    said = f"{change.status:9} {change.offer.kind}/{change.offer.model} from {change.effective_from:%Y-%m-%d}: "
    return said + (change.why or "; ".join(differences(change)))


def differences(change: Change) -> list[str]:
    """Return what is other than before, amounts in USD a million; of what is new, everything."""
    if change.former is None:
        return [part for part in told(change.offer) if part]
    parts = _amounts(change.former.amounts, change.offer.amounts)
    names = ("tiers", "service tiers")
    for name, before, after in zip(names, told(change.former)[1:], told(change.offer)[1:], strict=True):
        if before != after:
            parts.append(f"{name} {before or 'none'} -> {after or 'none'}")
    return parts


def told(each: Offer | Version) -> tuple[str, str, str]:
    """Return amounts, tiers and service tiers, a text each."""
    services: Mapping = each.services or {}  # type: ignore[type-arg]
    tiers = scales.write_tiers(each.tiers).replace("\n", "; ")
    return scales.write_amounts(each.amounts), tiers, scales.write_services(services).replace("\n", "; ")


def _amounts(before: Amounts, after: Amounts) -> list[str]:
    differ = [unit for unit in UNITS if before.get(unit) != after.get(unit)]
    return [f"{unit} {_usd(before, unit)} -> {_usd(after, unit)}" for unit in differ]


def _usd(amounts: Amounts, unit: str) -> str:
    return scales.write_amounts({unit: amounts[unit]}).partition(" ")[2] if unit in amounts else "none"
