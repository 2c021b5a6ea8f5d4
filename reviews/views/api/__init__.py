"""The REST API of deliveries, runs, limits and aggregates. docs/api.md describes it for callers."""
