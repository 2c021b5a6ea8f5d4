"""The groups Viewer, Operator and Administrator, which `migrate` makes and keeps up to date.

A group gets the permissions that it lacks and loses none, so that an installation can give it more. Whoever wants fewer
permissions makes another group. A user also needs "staff status" to log in to the admin.
"""

from collections.abc import Iterable
from typing import Any

from django.apps import AppConfig
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Q

VIEWER, OPERATOR, ADMINISTRATOR = "Viewer", "Operator", "Administrator"
SEEN = ("reviews", "telemetry", "django_tasks_database")
"""Apps whose rows everybody with a role may see."""
OPERATES = ("reviews.change_delivery", "reviews.delete_ignoredfinding")
"""What an operator may do besides looking: run deliveries again, ask GitHub to send them again, and report an ignored
finding again."""


def keep_up(app_config: AppConfig, using: str, **kwargs: Any) -> None:
    """Make the groups, and give them what they lack. Run after migrations."""
    if using != DEFAULT_DB_ALIAS:
        return
    # Django makes them after this: its receiver is connected later.
    create_permissions(app_config, using=using, verbosity=0)
    views = Q(content_type__app_label__in=SEEN, codename__startswith="view_")
    operates = Q()
    for permission in OPERATES:
        app, _, codename = permission.partition(".")
        operates |= Q(content_type__app_label=app, codename=codename)
    # Users, groups, and tokens of the API. Who may change users can become anything.
    administers = Q(content_type__app_label__in=("auth", "authtoken")) | Q(codename="view_logentry")
    for name, granted in (
        (VIEWER, views),
        (OPERATOR, views | operates),
        (ADMINISTRATOR, views | operates | administers),
    ):
        group, _ = Group.objects.get_or_create(name=name)
        _grant(group, Permission.objects.filter(granted))


def _grant(group: Group, permissions: Iterable[Permission]) -> None:
    has = set(group.permissions.values_list("pk", flat=True))
    if missing := [permission for permission in permissions if permission.pk not in has]:
        group.permissions.add(*missing)
