"""The routing table as YAML in the admin: out as a file, in after a look at what it would change."""

from typing import Any

from django import forms
from django.contrib import messages
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.csrf import csrf_protect

from routing import exchange, store
from routing.admin.draft import DraftPages
from routing.admin.publishing import tell
from routing.admin.trust import refuse_beyond
from routing.checks import ERROR
from routing.diff import changes
from routing.document import Document, DocumentError
from routing.grouped import grouped
from routing.places import located

SALT = "routing.import"
MOST = 4 * 1024 * 1024  # bytes of a file


class ImportForm(forms.Form):
    file = forms.FileField(required=False)
    text = forms.CharField(
        label="or paste it here",
        required=False,
        strip=False,
        max_length=MOST,
        widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "false", "class": "ql-code"}),
    )
    replace = forms.BooleanField(label="Remove what it does not mention", required=False)
    note = forms.CharField(required=False, max_length=500, help_text="Kept with the revision.")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        file = cleaned.get("file")
        if file is not None and file.size > MOST:
            raise forms.ValidationError("The file is larger than 4 MiB.")
        cleaned["whole"] = file.read() if file is not None else cleaned.get("text", "").encode()
        try:
            cleaned["table"] = _table_in(cleaned["whole"].decode())
        except UnicodeDecodeError as error:
            raise forms.ValidationError(f"Nothing can be read from it: {error}.") from None
        except DocumentError as error:
            where = located(str(error), cleaned["whole"].decode())
            raise forms.ValidationError(f"Nothing can be read from it: {where}.") from None
        return cleaned


class ExchangePages(DraftPages):
    """Import shows difference and checks first, and applies exactly what it showed."""

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("import/", wrap(self.take), name="routing_revision_import"),
            path("export/", wrap(self.export), name="routing_revision_export"),
            *super().get_urls(),
        ]

    def export(self, request: HttpRequest) -> HttpResponse:
        """Give a state of the table as a YAML file; secrets are never in it."""
        if not request.user.has_perm("routing.view_revision"):
            raise PermissionDenied
        state = request.GET.get("state", "serving")
        try:
            text = exchange.write(store.named(state))
        except store.RoutingRefused as refused:
            messages.error(request, str(refused))
            return HttpResponseRedirect(reverse("admin:routing_revision_changelist"))
        name = f"routes-{state}.yaml"  # a number or a word that `named` knows
        return HttpResponse(
            text, content_type="application/yaml", headers={"content-disposition": f'attachment; filename="{name}"'}
        )

    @method_decorator(csrf_protect)
    def take(self, request: HttpRequest) -> HttpResponse:
        """Read a table, show what it would change, apply what was shown."""
        if not request.user.has_perms(["routing.add_revision", "routing.change_provider", "routing.change_route"]):
            raise PermissionDenied
        try:
            if "apply" in request.POST:
                return self._apply(request)
            form = ImportForm(request.POST or None, request.FILES or None)
            if request.method == "POST" and form.is_valid():
                data = form.cleaned_data
                return self._shown(request, data["table"], bool(data["replace"]), data["note"])
        except store.RoutingRefused as refused:
            messages.error(request, f"Nothing was imported: {refused}.")
            form = ImportForm(initial={name: request.POST.get(name) for name in ("text", "replace", "note")})
        return self.page(request, "import", "Import a routing table", {"form": form})

    def _shown(self, request: HttpRequest, table: Document, replace: bool, note: str) -> HttpResponse:
        before, after = store.tried(table, replace=replace)
        refuse_beyond(request, before, after)
        found = store.findings(after)
        held = {"for": request.user.pk, "table": table, "replace": replace, "note": note, "seen": store.version()}
        context = {
            "groups": grouped(changes(before, after)),
            "errors": [each for each in found if each.level == ERROR],
            "warnings": [each for each in found if each.level != ERROR],
            "apply": signing.dumps(held, salt=SALT, compress=True),
            "note": note,
        }
        return self.page(request, "import", "What the import changes", context)

    def _apply(self, request: HttpRequest) -> HttpResponse:
        try:
            held = signing.loads(request.POST["apply"], salt=SALT)
        except signing.BadSignature:
            raise PermissionDenied from None
        if held["for"] != request.user.pk:
            raise PermissionDenied
        table, replace, note = held["table"], held["replace"], held["note"] or "Imported in the admin"
        if held["seen"] != store.version():
            messages.warning(request, "Somebody changed the routing table since you opened this page. Look again.")
            return self._shown(request, table, replace, held["note"])
        refuse_beyond(request, *store.tried(table, replace=replace))
        before = store.latest()
        kept = store.take(table, request.user.get_username(), note, replace=replace, seen=held["seen"])
        tell(request, kept, before)
        if kept.revision is not None:
            self.log_change(request, kept.revision, "Imported a table")
        return HttpResponseRedirect(reverse("admin:routing_revision_changelist"))


def _table_in(text: str) -> Document:
    """Read YAML without the server's environment, which is not for everybody. Raises DocumentError."""
    reading = exchange.read(text, {})
    if reading.secrets:
        raise DocumentError(
            f"provider {next(iter(reading.secrets))}: a credential in the clear does not belong here; "
            "enter it on the provider's own page, or name a variable"
        )
    return reading.document
