"""How pages write money: every digit of it, with those that hardly matter muted."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.money import usd

register = template.Library()


@register.filter
def dollars(nano: int | None) -> SafeString | str:
    """Nano-USD as `$1,234.567890123`: exact, so that what stands on a page can be added up."""
    if nano is None:
        return "—"
    sign, whole, part = _parts(nano)
    bright = _bright(whole, part)
    return format_html(
        '<span class="money{}">{}${}.{}<span class="tail">{}</span></span>',
        " money-minus" if sign else "",
        sign,
        f"{int(whole):,}",
        part[:bright],
        part[bright:],
    )


@register.filter
def change(nano: int) -> SafeString | str:
    """As `dollars`, with a plus where money is added; nothing for nothing."""
    if not nano:
        return "—"
    return format_html("{}{}", "+" if nano > 0 else "", dollars(nano))


@register.filter
def budget(nano: int | None) -> str:
    """Nano-USD as plain dollars, as short as it can be exact: `$250`, `$0.05`."""
    if nano is None:
        return "none"
    sign, whole, part = _parts(nano)
    cents = part.rstrip("0")
    return f"{sign}${int(whole):,}" + (f".{cents:0<2}" if cents else "")


@register.filter
def percent(part: int, whole: int) -> str:
    """`part` of `whole` as a percentage with one decimal; never 0 or 100 where that would be a lie."""
    if not whole or not part:
        return "0%"
    share = 100 * part / whole
    if 0 < share < 0.1:
        return "<0.1%"
    if 99.9 < share < 100:
        return ">99.9%"
    return f"{share:.1f}".removesuffix(".0") + "%"


@register.filter
def width(part: int, whole: int) -> str:
    """Length of a bar of 100 units: 0 to 100."""
    return f"{min(100.0, max(0.0, 100 * part / whole)):.2f}" if whole else "0"


@register.filter
def milliseconds(microseconds: int | None) -> str:
    """Microseconds as `1,234 ms`."""
    if microseconds is None:
        return "—"
    return f"{microseconds / 1000:,.0f} ms" if microseconds >= 10_000 else f"{microseconds / 1000:,.1f} ms"


def _parts(nano: int) -> tuple[str, str, str]:
    whole, part = usd(abs(nano)).split(".")
    return ("-" if nano < 0 else "", whole, part)


def _bright(whole: str, part: str) -> int:
    """How many decimals matter: cents, and for small sums the first three digits that are not zero."""
    if whole != "0" or not int(part):
        return 2
    zeros = len(part) - len(part.lstrip("0"))
    return min(len(part), max(2, zeros + 3))
