"""The one task of Kodiai, under the path that queued rows hold. Its argument is the key of a `Delivery`."""

from django_tasks import task


@task()
def process_delivery(delivery_pk: int) -> None:
    """Act on a delivery; see `reviews.runs.runner.process`."""
    # Here and not above: the web process queues tasks and has no use for the GitHub client, 60 MB and a second.
    from reviews.runs.runner import process

    process(delivery_pk)
