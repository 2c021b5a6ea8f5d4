"""Views: the webhook and the REST API of reviews."""
