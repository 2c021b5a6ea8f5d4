"""Every role on every view and action of the admin: allowed or 403. The table is docs/verification/roles.md.

`KODIAI_TEST_WRITE_ROLES=1` (`make roles`) writes it.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from rest_framework.authtoken.models import Token

from kodiai.roles import ADMINISTRATOR, OPERATOR, VIEWER
from reviews.models import Delivery, DeliveryStatus, IgnoredFinding, MissedDelivery
from tests.support import factories

pytestmark = pytest.mark.django_db

PAGE = Path(__file__).parents[2] / "docs" / "verification" / "roles.md"
WRITE = bool(os.environ.get("KODIAI_TEST_WRITE_ROLES"))
ROLES = ("nobody", "staff without a role", VIEWER, OPERATOR, ADMINISTRATOR)
ABOUT = """\
# Roles

Each role on each view and action of the admin. `yes`: allowed. `403`: refused. `log-in`: sent to the log-in page.
`own`: the page is there and shows what the role may see. A test asks for each and writes this table (`make roles`).

`migrate` makes the groups Viewer, Operator and Administrator and gives them what they lack; add a user to one, and set
"staff status". A superuser may do what an administrator may.
"""

Ask = Callable[[Client], Any]


def user_of(role: str) -> Client:
    client = Client()
    if role != "nobody":
        user = User.objects.create_user(role, is_staff=True)
        if role in (VIEWER, OPERATOR, ADMINISTRATOR):
            user.groups.add(Group.objects.get(name=role))
        client.force_login(user)
    return client


def rows() -> dict[str, Any]:
    """One row of each table, by the address of its list."""
    review = factories.ReviewFactory(delivery=factories.DeliveryFactory(status=DeliveryStatus.FAILED))
    made = [
        review.delivery,
        review,
        factories.IgnoredFindingFactory(),
        factories.MissedDeliveryFactory(),
        factories.ThumbsDownFactory(),
        factories.TurnFactory(),
        factories.GitHubLimitFactory(),
        factories.GitHubOutageFactory(),
        factories.NotificationFactory(),
        factories.ReportedFindingFactory(),
        factories.PeriodicTaskFactory(),
        factories.RateLimitEventFactory(),
        factories.ExecutionFactory(),
        User.objects.create_user("somebody"),
        Group.objects.create(name="some-group"),
    ]
    return {f"/admin/{row._meta.app_label}/{row._meta.model_name}/": row for row in made}


def asks() -> list[tuple[str, Ask]]:
    """What is asked for, with a name for each."""
    found: list[tuple[str, Ask]] = [("dashboard", _dashboard)]
    for address, row in rows().items():
        name = row._meta.verbose_name_plural
        page = f"{address}{row.pk}/"
        found.append((f"{name}: list", lambda client, a=address: client.get(a)))
        found.append((f"{name}: one", lambda client, p=page: client.get(f"{p}change/")))
        found.append((f"{name}: history", lambda client, p=page: client.get(f"{p}history/")))
        found.append((f"{name}: add", lambda client, a=address: client.get(f"{a}add/")))
        found.append((f"{name}: change", lambda client, p=page: client.post(f"{p}change/", {"name": "x"})))
        if row._meta.app_label in ("reviews", "telemetry") and row._meta.model_name != "periodictask":
            found.append((f"{name}: export", lambda client, a=address: client.get(f"{a}export.csv")))
        found.append((f"{name}: delete", lambda client, p=page: client.post(f"{p}delete/", {"post": "yes"})))
    found.append(("rules", lambda client: client.get("/admin/reviews/reportedfinding/rules/")))
    delivery = Delivery.objects.get()
    act = f"/admin/reviews/delivery/{delivery.pk}/act/"
    missed = f"/admin/reviews/misseddelivery/{MissedDelivery.objects.get().pk}/act/redeliver/"
    found.append(("deliveries: run again, confirmation", lambda client: client.get(f"{act}run-again/")))
    found.append(("deliveries: run again", lambda client: client.post(f"{act}run-again/")))
    found.append(("deliveries: ask GitHub to send again", lambda client: client.post(f"{act}redeliver/")))
    found.append(("deliveries: run several again", _run_several_again))
    found.append(("missed deliveries: ask GitHub to send again", lambda client, m=missed: client.post(m)))
    found.append(("tokens: list", lambda client: client.get("/admin/authtoken/tokenproxy/")))
    found.append(("queue: list", lambda client: client.get("/admin/django_tasks_database/dbtaskresult/")))
    return found


def _dashboard(client: Client) -> Any:
    answer = client.get("/admin/")
    return answer if answer.status_code != 200 or "Webhook to published" in answer.content.decode() else "own"


def _run_several_again(client: Client) -> Any:
    """Choose the action of the list. Django answers a role without it with the list, and does nothing."""
    Delivery.objects.update(status=DeliveryStatus.FAILED)
    keys = list(Delivery.objects.values_list("pk", flat=True))
    answer = client.post("/admin/reviews/delivery/", {"action": "queue_again", "_selected_action": keys})
    if Delivery.objects.filter(status=DeliveryStatus.FAILED).exists() and answer.status_code in (200, 302):
        return answer if "login" in answer.get("Location", "") else "403"
    return answer


def outcome(answer: Any) -> str:
    if isinstance(answer, str):
        return answer
    if answer.status_code == 302 and "/login/" in answer["Location"]:
        return "log-in"
    return "yes" if answer.status_code in (200, 302) else str(answer.status_code)


@pytest.mark.slow
def test_every_role_on_every_view_is_as_documented(github: object) -> None:
    table = [f"| view or action | {' | '.join(ROLES)} |", "| --- |" + " --- |" * len(ROLES)]
    asked = asks()
    clients = {role: user_of(role) for role in ROLES}
    for name, ask in asked:
        outcomes = []
        for role in ROLES:
            # Undone, so that a row which one role has deleted is there for the next.
            with transaction.atomic():
                outcomes.append(outcome(ask(clients[role])))
                transaction.set_rollback(True)
        table.append(f"| {name} | {' | '.join(outcomes)} |")
    page = "\n".join([ABOUT.rstrip(), "", *table]) + "\n"
    if WRITE:
        PAGE.write_text(page)

    assert PAGE.read_text() == page, "run `make roles`"


def test_a_viewer_changes_nothing_and_an_operator_little() -> None:
    """The table says what is refused; this says what happens in the database."""
    factories.IgnoredFindingFactory()
    delivery = factories.ReviewFactory(delivery=factories.DeliveryFactory(status=DeliveryStatus.FAILED)).delivery
    act = f"/admin/reviews/delivery/{delivery.pk}/act/run-again/"
    finding = f"/admin/reviews/ignoredfinding/{IgnoredFinding.objects.get().pk}/delete/"
    viewer, operator = user_of(VIEWER), user_of(OPERATOR)

    assert (viewer.post(act).status_code, viewer.post(finding, {"post": "yes"}).status_code) == (403, 403)
    delivery.refresh_from_db()
    assert (delivery.status, IgnoredFinding.objects.count()) == (DeliveryStatus.FAILED, 1)
    assert "Run again" not in viewer.get(f"/admin/reviews/delivery/{delivery.pk}/change/").content.decode()

    assert operator.get(act).status_code == 200
    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.FAILED
    assert (operator.post(act).status_code, operator.post(finding, {"post": "yes"}).status_code) == (302, 302)
    delivery.refresh_from_db()
    assert (delivery.status, IgnoredFinding.objects.count()) == (DeliveryStatus.QUEUED, 0)


def test_confirmations_need_the_forms_token() -> None:
    delivery = factories.DeliveryFactory(status=DeliveryStatus.FAILED)
    operator = user_of(OPERATOR)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies

    assert strict.post(f"/admin/reviews/delivery/{delivery.pk}/act/run-again/").status_code == 403
    delivery.refresh_from_db()
    assert delivery.status == DeliveryStatus.FAILED


def test_migrate_gives_back_what_a_group_lacks_and_takes_nothing() -> None:
    viewer = Group.objects.get(name=VIEWER)
    extra = Permission.objects.get(codename="change_delivery")
    viewer.permissions.set([extra])

    call_command("migrate", verbosity=0)

    codenames = set(viewer.permissions.values_list("codename", flat=True))
    assert {"view_delivery", "view_review", "view_execution", "change_delivery"} <= codenames
    assert not Token.objects.exists()
