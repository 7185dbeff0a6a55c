"""Dates and times as people give them on the command line."""

from argparse import ArgumentTypeError
from datetime import date, datetime

from django.utils import timezone


def moment(text: str) -> datetime:
    """Read an ISO date or time; without an offset it is on the organisation's clock."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no date or time such as 2027-01-31 or 2027-01-31T12:00Z") from None
    return found if timezone.is_aware(found) else timezone.make_aware(found)


def day(text: str) -> date:
    """Read an ISO date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no date such as 2027-01-31") from None
