"""Failed sign-ins: what the throttle counts, and what stays for whoever asks later."""

from django.db import models


class LoginFailure(models.Model):
    account = models.CharField(max_length=150)
    address = models.CharField(max_length=64)
    at = models.DateTimeField()
    counts = models.BooleanField(default=True, help_text="Off once the right password was given.")

    class Meta:
        verbose_name = "failed sign-in"
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["account", "address", "-at"], name="site_login_failure"),
            models.Index(fields=["at"], name="site_login_failure_at"),
        ]

    def __str__(self) -> str:
        return f"{self.account} from {self.address}"
