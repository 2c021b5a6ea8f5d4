"""Runs: who runs what, with leases and queues."""
