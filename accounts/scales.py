"""Context tiers and service tiers of a price: as they are stored, and as people write them. Plain.

People write one tier a line, amounts in USD a million:

    above 200000: input 6, cached_input 0.6, output 22.5

and one service tier a line, by a factor or by amounts of its own, which may have tiers too:

    batch: 0.5
    priority: input 5, output 30
    flex: input 1.25, output 7.5
    flex above 272000: input 2.5, output 11.25
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from accounts.money import NotMoney, nano, usd
from accounts.prices import UNITS
from accounts.rates import THOUSAND, Amounts, Service, Tier

LINE = re.compile(r"(?:(?P<name>[a-z][a-z0-9_-]{0,31})\s*)?(?:above\s+(?P<above>[0-9_., ]{1,20}))?\s*:\s*(?P<rest>.+)")
LARGEST_FACTOR = 100_000  # per mille


class NotAScale(ValueError):
    """The line or the stored value is no tier; the sentence says why."""


def tiers_of(stored: Any) -> tuple[Tier, ...]:
    """Read tiers as they are stored, the lowest first. Raises NotAScale."""
    try:
        tiers = tuple(Tier(_whole(each["above"]), _amounts(each["amounts"])) for each in stored)
    except (TypeError, KeyError, AttributeError) as error:
        raise NotAScale(f"{str(stored)[:80]} are no tiers") from error
    if len({tier.above for tier in tiers}) < len(tiers):
        raise NotAScale("Two tiers begin at the same number of tokens.")
    return tuple(sorted(tiers, key=lambda tier: tier.above))


def services_of(stored: Any) -> dict[str, Service]:
    """Read service tiers as they are stored. Raises NotAScale."""
    try:
        return {name: _service(each) for name, each in stored.items()}
    except (TypeError, KeyError, AttributeError) as error:
        raise NotAScale(f"{str(stored)[:80]} are no service tiers") from error


def as_tiers(tiers: Iterable[Tier]) -> list[dict[str, Any]]:
    """Return tiers as they are stored."""
    return [{"above": tier.above, "amounts": dict(tier.amounts)} for tier in tiers]


def as_services(services: Mapping[str, Service]) -> dict[str, Any]:
    """Return service tiers as they are stored."""
    return {
        name: {"per_mille": each.per_mille}
        if each.amounts is None
        else {"amounts": dict(each.amounts), "tiers": as_tiers(each.tiers)}
        for name, each in services.items()
    }


def read_tiers(text: str) -> tuple[Tier, ...]:
    """Read what a person wrote. Raises NotAScale with a sentence for them."""
    tiers = []
    for name, above, rest in _lines(text):
        if name or above is None:
            raise NotAScale(f"A tier begins with how many tokens it is above: above 200000: {rest[:40]}")
        tiers.append(Tier(above, _written_amounts(rest)))
    return tiers_of(as_tiers(tiers))


def read_services(text: str) -> dict[str, Service]:
    """Read what a person wrote. Raises NotAScale with a sentence for them."""
    services: dict[str, Service] = {}
    for name, above, rest in _lines(text):
        if not name:
            raise NotAScale(f"A service tier begins with its name: batch: {rest[:40]}")
        former = services.get(name)
        if above is not None:
            if former is None or former.amounts is None:
                raise NotAScale(f"{name}: first its amounts, then those above {above} tokens.")
            tiers = tiers_of(as_tiers([*former.tiers, Tier(above, _written_amounts(rest))]))
            services[name] = Service(amounts=former.amounts, tiers=tiers)
        elif former is not None:
            raise NotAScale(f"{name} is there twice.")
        else:
            services[name] = _written_service(rest)
    return services


def write_tiers(tiers: Iterable[Tier], name: str = "") -> str:
    """Return tiers as people write them, one a line."""
    before = f"{name} " if name else ""
    return "\n".join(f"{before}above {tier.above}: {write_amounts(tier.amounts)}" for tier in tiers)


def write_services(services: Mapping[str, Service]) -> str:
    """Return service tiers as people write them, one a line."""
    lines = []
    for name, each in services.items():
        if each.amounts is None:
            lines.append(f"{name}: {_short(Decimal(each.per_mille) / THOUSAND)}")
        else:
            lines.append(f"{name}: {write_amounts(each.amounts)}")
            lines.extend(write_tiers(each.tiers, name).splitlines())
    return "\n".join(lines)


def write_amounts(amounts: Amounts) -> str:
    """Return amounts as people write them: USD a million, in the order of the unit classes."""
    return ", ".join(f"{unit} {_short(Decimal(usd(amounts[unit])))}" for unit in UNITS if unit in amounts)


def _service(stored: Mapping[str, Any]) -> Service:
    if "amounts" in stored:
        return Service(amounts=_amounts(stored["amounts"]), tiers=tiers_of(stored.get("tiers", ())))
    per_mille = _whole(stored["per_mille"])
    if per_mille > LARGEST_FACTOR:
        raise NotAScale("A service tier of more than a hundred times the price is a mistake.")
    return Service(per_mille)


def _amounts(stored: Mapping[str, Any]) -> dict[str, int]:
    unknown = stored.keys() - set(UNITS)
    if unknown or not stored:
        raise NotAScale(f"{min(unknown, default='nothing')} is no class of units: {', '.join(UNITS)}.")
    return {unit: _whole(amount) for unit, amount in stored.items()}


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise NotAScale(f"{str(value)[:40]} is no whole number above zero")
    return value


def _lines(text: str) -> Iterable[tuple[str, int | None, str]]:
    for line in text.splitlines():
        if not line.strip():
            continue
        found = LINE.fullmatch(line.strip())
        if found is None:
            raise NotAScale(f"{line.strip()[:60]!r} is not understood. Write: above 200000: input 6, output 22.5")
        digits = re.sub(r"[_., ]", "", found["above"] or "")
        name = found["name"] or ""
        if name == "above" and not digits:
            raise NotAScale(f"{line.strip()[:60]!r}: above how many tokens?")
        yield name, int(digits) if digits else None, found["rest"].strip()


def _written_amounts(text: str) -> dict[str, int]:
    amounts: dict[str, int] = {}
    for part in text.split(","):
        unit, _, amount = part.strip().partition(" ")
        if unit in amounts:
            raise NotAScale(f"{unit} is there twice.")
        try:
            amounts[unit] = nano(amount)
        except NotMoney as error:
            raise NotAScale(f"{unit}: {error}") from None
    return _amounts(amounts)


def _written_service(text: str) -> Service:
    if not text[:1].isdigit():
        return Service(amounts=_written_amounts(text))
    try:
        per_mille = Decimal(text) * THOUSAND
    except InvalidOperation:
        raise NotAScale(f"{text[:40]!r} is no factor, such as 0.5") from None
    if per_mille != per_mille.to_integral_value() or per_mille > LARGEST_FACTOR:
        raise NotAScale(f"{text[:40]} is no factor with up to three decimal places, such as 0.5")
    return Service(int(per_mille))


def _short(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
