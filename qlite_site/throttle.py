"""Passwords cannot be guessed at speed: ten failures in 15 minutes lock an account for that address for 15 more."""

from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils import timezone

from qlite_site.models import LoginFailure

FAILURES = 10
WINDOW = timedelta(minutes=15)
KEPT = timedelta(days=30)
SENTENCE = "Too many failed attempts. Try again in a quarter of an hour."


class ThrottledBackend(ModelBackend):
    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> Any:
        """Raises PermissionDenied, which ends the attempt, before a locked account's password is looked at."""
        account = username if username is not None else kwargs.get(get_user_model().USERNAME_FIELD)
        if request is None or account is None or password is None:
            return super().authenticate(request, username, password, **kwargs)
        account, address = account.replace("\0", "")[:150], request.META.get("REMOTE_ADDR", "")[:64]
        if locked(account, address, timezone.now()):
            messages.error(request, SENTENCE, fail_silently=True)
            raise PermissionDenied
        user = super().authenticate(request, username, password, **kwargs)
        if user is None:
            LoginFailure.objects.filter(at__lt=timezone.now() - KEPT).delete()
            LoginFailure.objects.create(account=account, address=address, at=timezone.now())
        else:
            LoginFailure.objects.filter(account=account, address=address, counts=True).update(counts=False)
        return user

    async def aauthenticate(self, request: HttpRequest | None, *args: Any, **kwargs: Any) -> Any:
        return await sync_to_async(self.authenticate)(request, *args, **kwargs)


def locked(account: str, address: str, now: datetime) -> bool:
    """Whether the last ten failures came within the window and the newest is younger than it."""
    failures = LoginFailure.objects.filter(account=account, address=address, counts=True).order_by("-at")
    newest = list(failures.values_list("at", flat=True)[:FAILURES])
    return len(newest) == FAILURES and newest[0] - newest[-1] <= WINDOW and now - newest[0] < WINDOW
