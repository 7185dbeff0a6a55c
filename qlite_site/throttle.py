"""Passwords cannot be guessed at speed: ten failures in 15 minutes lock an account for that address for 15 more.

A failure is a wrong password, at sign-in or as the old one where it is changed.
"""

from datetime import datetime, timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth import authenticate, forms, get_user_model, views
from django.contrib.auth.backends import ModelBackend
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

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
        account, address = _who(account, request)
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


class PasswordChangeForm(forms.PasswordChangeForm):
    """The old password counts as one given to sign in: who finds a session open cannot guess it either."""

    def __init__(self, *args: Any, request: HttpRequest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request

    @sensitive_variables("old")
    def clean_old_password(self) -> str:
        old: str = self.cleaned_data["old_password"]
        account = self.user.get_username()
        if locked(*_who(account, self.request), timezone.now()):
            raise ValidationError(SENTENCE)
        if authenticate(self.request, username=account, password=old) is None:
            raise ValidationError(self.error_messages["password_incorrect"])
        return old


class PasswordChangeView(views.PasswordChangeView):
    form_class = PasswordChangeForm
    template_name = "registration/password.html"

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "request": self.request}


def _who(account: str, request: HttpRequest) -> tuple[str, str]:
    """Return account and address, as failures are counted."""
    return account.replace("\0", "")[:150], request.META.get("REMOTE_ADDR", "")[:64]


def locked(account: str, address: str, now: datetime) -> bool:
    """Whether the last ten failures came within the window and the newest is younger than it."""
    failures = LoginFailure.objects.filter(account=account, address=address, counts=True).order_by("-at")
    newest = list(failures.values_list("at", flat=True)[:FAILURES])
    return len(newest) == FAILURES and newest[0] - newest[-1] <= WINDOW and now - newest[0] < WINDOW
