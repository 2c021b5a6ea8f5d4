"""What an operator can do about rows of the admin: confirmed on a page, and logged with the user's name."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from reviews.github.facts import REDELIVERY_WINDOW
from telemetry.read_only_admin import ReadOnlyAdmin

OPERATE = "reviews.change_delivery"
"""Permission to run a failed delivery again, and to ask GitHub for one."""


class OperatedAdmin(ReadOnlyAdmin):
    """Rows that an operator can act on: each act is confirmed on a separate page, and logged."""

    acts: dict[str, tuple[str, str]] = {}
    """Acts by address: what the button says, and what it does."""

    def get_urls(self) -> list[URLPattern]:
        """Add the pages of the acts."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_act"
        return [path("<int:pk>/act/<slug:act>/", self.admin_site.admin_view(self.act), name=name), *super().get_urls()]

    def may_operate(self, request: HttpRequest) -> bool:
        """Return whether the user may act."""
        return request.user.has_perm(OPERATE) and self.has_view_permission(request)

    def open_acts(self, row: Any) -> list[str]:
        """Return the acts that make sense for a row now."""
        raise NotImplementedError

    def perform(self, request: HttpRequest, row: Any, act: str) -> tuple[int, str]:
        """Perform an act; return the level of the message and what to say."""
        raise NotImplementedError

    def act(self, request: HttpRequest, pk: int, act: str) -> HttpResponse:
        """Ask for a confirmation, then act."""
        if not self.may_operate(request):
            raise PermissionDenied
        row = self.get_object(request, str(pk))
        if row is None or act not in self.acts:
            raise Http404
        page = self._address("change", pk)
        if request.method == "POST":
            level, text = self.perform(request, row, act)
            self.log_change(request, row, text)
            self.message_user(request, text, level)
            return HttpResponseRedirect(page)
        title, text = self.acts[act]
        context = {**self.admin_site.each_context(request), "title": f"{title}?", "row": row, "text": text}
        context |= {"opts": self.opts, "button": title, "page": page, "is_open": act in self.open_acts(row)}
        return TemplateResponse(request, "admin/act.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a row, with buttons for its acts."""
        row = self.get_object(request, object_id)
        context = dict(extra_context or {})
        if row is not None and self.may_operate(request):
            context["acts"] = [(self._address("act", row.pk, act), self.acts[act][0]) for act in self.open_acts(row)]
        if row is not None and self.has_view_permission(request, row):
            context |= self.context_of(row)
        return super().change_view(request, object_id, form_url, context)

    def context_of(self, row: Any) -> dict[str, Any]:
        """Return what the page of a row shows besides its fields."""
        return {}


def ask_github(delivery_id: str, event_type: str) -> tuple[int, str]:
    """Ask GitHub to send a delivery again; return the level of the message and what to say."""
    # Imported here: the web process needs no client of GitHub, 60 MB and a second, but for this.
    from reviews.github.app import AppClient
    from reviews.github.errors import GitHubError
    from reviews.maintenance.redelivery import Outcome, request_one

    try:
        with AppClient() as github:
            outcome = request_one(github, delivery_id, event_type, timezone.now() - REDELIVERY_WINDOW)
    except GitHubError as error:
        return messages.ERROR, f"GitHub was not asked: {error}"
    if outcome is None:
        return messages.WARNING, "GitHub does not list this delivery any more, so that it cannot send it again."
    return messages.SUCCESS if outcome == Outcome.REQUESTED else messages.WARNING, f"{outcome.capitalize()}."
