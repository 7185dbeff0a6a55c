"""Sends budget alerts, by mail and webhook, on a thread of its own: nobody waits for a mail server.

It never meets the database: letters come out of one queue, and what became of them goes into another.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

from django.conf import settings
from django.core.mail import EmailMessage

from accounts.alerts import MAIL, WEBHOOK, Letter, signature
from accounts.store import alerts
from proxy.errors import UpstreamError
from proxy.providers.base import Outgoing
from proxy.upstream import Timeouts, Upstream, without_private
from routing.values import Provider, Target

log = logging.getLogger("qlite.alerts")

LIMITS = Timeouts(connect=5.0, first_byte=10.0, idle=10.0, total=20.0)
ANSWER_BYTES = 64 * 1024
Outcome = tuple[int, tuple[str, ...], str]


class Post:
    """Letters on their way. `exchange` is for the housekeeper, `send` for the thread that may wait."""

    def __init__(self) -> None:
        self._out: deque[Letter] = deque()
        self._done: deque[Outcome] = deque()

    def exchange(self) -> None:
        """Note what became of letters, and take those that are due."""
        while self._done:
            alerts.told(*self._done[0])
            self._done.popleft()
        self._out.extend(alerts.claim(channels(), tuple(settings.ALERT_EMAIL)))

    def send(self) -> None:
        """Send what is waiting; failures are told, and tried again later."""
        while self._out:
            letter = self._out.popleft()
            self._done.append(_sent(letter))


def channels() -> tuple[str, ...]:
    """The ways that are set up."""
    ways = ((MAIL, settings.EMAIL_URL), (WEBHOOK, settings.ALERT_WEBHOOK))
    return tuple(name for name, place in ways if place)


def _sent(letter: Letter) -> Outcome:
    ways: dict[str, Callable[[Letter], None]] = {MAIL: _mail, WEBHOOK: _call}
    taken, trouble = [], ""
    for name in letter.left:
        try:
            ways[name](letter)
            taken.append(name)
        except Exception as error:  # whatever a mail server comes up with
            said = str(error) if isinstance(error, UpstreamError) else type(error).__name__
            trouble = f"{name}: {said}"
            log.warning("alert %s was not taken by %s", letter.id, trouble)
    return letter.id, tuple(taken), trouble


def _mail(letter: Letter) -> None:
    EmailMessage(letter.subject, letter.text, to=list(letter.to)).send()


def _call(letter: Letter) -> None:
    asyncio.run(_posted(letter, int(time.time())))


async def _posted(letter: Letter, now: int) -> None:
    """Send the signed message through the one egress, with its rules about addresses; redirects are not followed."""
    body = letter.message()
    # Who runs the gateway has named the address, so it may be in their own network; plain http may be there only.
    place = Provider("the alert webhook", "webhook", settings.ALERT_WEBHOOK, allow_private=True)
    target = Target("", place, "")
    signed = signature(settings.ALERT_WEBHOOK_SECRET, body, now)
    headers = (("content-type", "application/json"), ("x-qlite-signature", signed), ("user-agent", "qlite"))
    upstream = Upstream(LIMITS, max_response_bytes=ANSWER_BYTES, transports={})
    try:
        async with asyncio.timeout(LIMITS.total):
            answer = await upstream.pass_on(target, "POST", Outgoing(place.base_url, headers, body))
            answer.stream.close()  # type: ignore[union-attr]
            if not 200 <= answer.status_code < 300:
                raise UpstreamError(f"answered {answer.status_code}")
    except UpstreamError as error:
        raise without_private(error, place) from None
    finally:
        await upstream.aclose()
