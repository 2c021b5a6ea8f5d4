"""An app: a webhook in, a review out."""
