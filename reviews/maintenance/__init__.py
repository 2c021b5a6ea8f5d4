"""Periodic tasks: recovery, redelivery, retention."""
