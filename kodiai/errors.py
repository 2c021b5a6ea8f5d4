"""Error reports of the web process, without secrets."""

from django.utils.safestring import SafeString, mark_safe
from django.views.debug import ExceptionReporter

from reviews.redaction import redact


class Reporter(ExceptionReporter):
    """Django's exception report (debug page, mails to admins) with secrets redacted."""

    def get_traceback_html(self) -> SafeString:
        """Return the report as HTML, redacted."""
        return mark_safe(redact(super().get_traceback_html()))  # noqa: S308  # Django's own, with words replaced

    def get_traceback_text(self) -> SafeString:
        """Return the report as plain text, redacted."""
        return mark_safe(redact(super().get_traceback_text()))  # noqa: S308
