"""Each model has one factory, and its rows are valid."""

import pytest
from django.apps import apps
from django.db.models import Model
from factory.django import DjangoModelFactory

from reviews.models import CheckRunReport, Review
from tests.support import factories

MODELS = [model for app in ("telemetry", "reviews") for model in apps.get_app_config(app).get_models()]
FACTORIES = [
    value
    for value in vars(factories).values()
    if isinstance(value, type) and issubclass(value, DjangoModelFactory) and value is not DjangoModelFactory
]


@pytest.mark.django_db
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_each_model_has_a_factory_of_valid_rows(model: type[Model]) -> None:
    [factory] = [factory for factory in FACTORIES if factory._meta.model is model]

    for row in factory.create_batch(2):
        stored = model._default_manager.get(pk=row.pk)
        stored.full_clean()


def test_no_row_of_a_factory_waits_for_anything(db: None) -> None:
    delivery = factories.ReviewFactory(repo="acme/shop", pr_number=7).delivery

    assert (delivery.repo, delivery.pr_number) == ("acme/shop", 7)
    assert not Review.objects.pending_rate_limit_event().exists()
    assert not Review.objects.pending_execution().exists()
    assert not CheckRunReport.objects.pending().exists()
