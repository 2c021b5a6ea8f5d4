"""GitHub as Kodiai sees it: the client, its limits, its answers, the App's identity."""
