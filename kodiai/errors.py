"""What is shown when something goes wrong in the web process."""

from django.utils.safestring import SafeString, mark_safe
from django.views.debug import ExceptionReporter

from reviews.redaction import redact


class Reporter(ExceptionReporter):
    """Django's report of an exception (the page of DEBUG, and mails to admins) without the secrets in it."""

    def get_traceback_html(self) -> SafeString:
        return mark_safe(redact(super().get_traceback_html()))  # noqa: S308  # Django's own, with words replaced

    def get_traceback_text(self) -> SafeString:
        return mark_safe(redact(super().get_traceback_text()))  # noqa: S308
