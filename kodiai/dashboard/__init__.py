"""The dashboard: what happened in a range of time, and how things stand now."""
