"""Intake: from a signed request to a stored delivery."""
