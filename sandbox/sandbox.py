"""The sandbox: a simulated GitHub that runs during a `with` block."""

import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.app import App, Json, installation_id, keep_account_id, key_pair
from sandbox.faults import Fault
from sandbox.routes import ROUTE_NAMES, find_route
from sandbox.server import Server
from sandbox.state.git import Content
from sandbox.state.repository import Repository
from sandbox.state.state import State
from sandbox.webhooks import HookDelivery, WebhookRequest, WebhookResponse, webhook_request


class Sandbox(State):
    """A simulated GitHub: an HTTP server on 127.0.0.1 whose repositories are real git repositories.

    Use it as a context manager, or call `start()` and `close()`. It listens on `port` (0: any free port) as soon as it
    is made, and responds once it is started.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        app_id: int = 1,
        app_slug: str = "kodiai",
        webhook_secret: str = "the-webhook-secret",
    ) -> None:
        self._server = Server(port)
        private_key, public_key = key_pair()
        app = App(app_id, app_slug, self._server.url, private_key, public_key, webhook_secret)
        super().__init__(app, ROUTE_NAMES)
        self._folder = tempfile.TemporaryDirectory(prefix="github-sandbox-")

    def start(self) -> Self:
        """Begin to respond."""
        self._server.serve(self)
        return self

    def close(self) -> None:
        """Close every connection, end every thread and remove the repositories. Safe to call again."""
        try:
            self._server.close()
            self.hook.close()
        finally:
            self._folder.cleanup()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The URL of the API, without a slash at its end."""
        return self.app.api_url

    @property
    def app_id(self) -> int:
        """The id of the App."""
        return self.app.id

    @property
    def app_slug(self) -> str:
        """The App's name in URLs; its bot is `{app_slug}[bot]`."""
        return self.app.slug

    @property
    def private_key(self) -> str:
        """The App's private key in PEM."""
        return self.app.private_key

    @property
    def webhook_secret(self) -> str:
        """The secret that signs webhooks."""
        return self.app.webhook_secret

    @property
    def hook_deliveries(self) -> list[HookDelivery]:
        """Every webhook sent, redeliveries included, newest first."""
        return self.hook.deliveries

    def backdate_hook_deliveries(self, by: timedelta) -> None:
        """Move the time of every webhook sent so far into the past."""
        self.hook.backdate(by)

    def create_repository(
        self, full_name: str = "octo/demo", files: Mapping[str, Content] | None = None, private: bool = False
    ) -> Repository:
        """Create a repository with the App installed and `files` in the first commit of `main`.

        Raises ValueError if it exists.
        """
        with self.lock:
            if full_name.lower() in self.repositories:
                raise ValueError(f"{full_name} already exists")
            folder = Path(self._folder.name) / f"{len(self.repositories) + 1}.git"
            files = {"README.md": f"# {full_name}\n"} if files is None else files
            repo = Repository(self.app, full_name, files, private=private, folder=folder)
            self.repositories[full_name.lower()] = repo
            return repo

    def rename_repository(self, repo: Repository, full_name: str) -> None:
        """Rename or transfer a repository; the App is installed on the new owner's account too.

        REST redirects the former name, GraphQL follows it. Raises ValueError if the new name is taken.
        """
        with self.lock:
            if full_name.lower() in self.repositories:
                raise ValueError(f"{full_name} already exists")
            former = repo.full_name.lower()
            self.former_names[former] = repo.id
            self.repositories[full_name.lower()] = self.repositories.pop(former)
            repo.move(full_name)

    def rename_app(self, slug: str) -> None:
        """Rename the App: its bot keeps its id, and everything that it has posted shows its new login."""
        with self.lock:
            former, login = self.app.bot_login, f"{slug}[bot]"
            keep_account_id(former, login)
            object.__setattr__(self.app, "slug", slug)
            for repo in self.repositories.values():
                for pull in repo.pulls.values():
                    for posted in (*pull.reviews, *pull.review_comments, *pull.comments):
                        if posted["user"]["login"] == former:
                            posted["user"]["login"] = login
                    for thread in pull.threads:
                        thread.resolved_by = login if thread.resolved_by == former else thread.resolved_by

    def fail(self, route: str, fault: Fault, times: int | None = 1, after: int = 0) -> Fault:
        """Inject a fault into the next `times` requests of a route (None: until cleared; "*": of any route).

        Before them, `after` requests are served normally. Faults of a route follow one another. Raises ValueError for
        an unknown route.
        """
        self.faults.add(route, fault, times, after)
        return fault

    def next_fault(self, method: str, path: str) -> Fault | None:
        """Return the fault that the next request of this method and path meets, if any."""
        return self.faults.peek(find_route(method, path)[0].name)

    def clear_faults(self) -> None:
        """Remove every planned fault."""
        self.faults.clear()

    def expire_tokens(self) -> None:
        """Make every installation token issued so far invalid: 401 "Bad credentials"."""
        self.tokens.revoke_all()

    def remove_installation(self, owner: str) -> None:
        """Uninstall the App from an account: its repositories are not found, its tokens are invalid."""
        with self.lock:
            self.removed_installations.add(installation_id(owner))

    def suspend_installation(self, owner: str) -> None:
        """Suspend the App's installation on an account: it gets no token, and no call is answered."""
        with self.lock:
            self.suspended_installations.add(installation_id(owner))

    def remove_repository(self, full_name: str) -> None:
        """Remove a repository from its installation, or delete it: to the App that is the same."""
        with self.lock:
            self.removed_repositories.add(full_name.lower())

    def withhold_permission(self, owner: str, name: str) -> None:
        """Withhold a permission that the App requests from its installation on an account."""
        with self.lock:
            self.withheld_permissions.setdefault(installation_id(owner), set()).add(name)

    def grant_permissions(self, owner: str) -> None:
        """Grant every permission that the App requests to its installation on an account."""
        with self.lock:
            self.withheld_permissions.pop(installation_id(owner), None)

    def reject_line(self, path: str, line: int) -> None:
        """Reject review comments on this line with 422, though it is in the diff."""
        with self.lock:
            self.rejected_lines.add((path, line))

    def webhook(
        self, event: str, payload: Json | bytes, delivery_id: str | None = None, secret: str | None = None
    ) -> WebhookRequest:
        """Return the body and headers of a signed webhook, for callers that send it themselves."""
        return webhook_request(self.app, event, payload, delivery_id, secret)

    def send_webhook(
        self, url: str, event: str, payload: Json | bytes, delivery_id: str | None = None, secret: str | None = None
    ) -> WebhookResponse:
        """Sign and POST a webhook, and record it in `hook_deliveries`.

        Errors of the receiver raise nothing: `status_code` is 0 if it cannot be reached or does not respond in 10 s.
        """
        return self.hook.send(url, event, self.webhook(event, payload, delivery_id, secret))

    def wait_for_redeliveries(self) -> None:
        """Wait until every requested redelivery has been sent. Raises TimeoutError where a response takes too long."""
        self.hook.wait_for_redeliveries()
