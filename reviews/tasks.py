"""The one task of Kodiai, under the path that queued rows hold. Its argument is the key of a `Delivery`."""

from django_tasks import task


@task()
def process_delivery(delivery_pk: int) -> None:
    """Act on a delivery, or on another one whose turn it is; see `reviews.runs.runner.take_turn`."""
    # Here and not above: the web process queues tasks and has no use for the GitHub client, 60 MB and a second.
    from reviews.runs.runner import take_turn

    take_turn(delivery_pk)
