"""Precision and recall on real changes of public repositories: docs/verification/precision.md."""
