"""GitHub: the client, its rate limits, its answers (schemas), the App's identity."""
