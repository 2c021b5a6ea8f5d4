"""An app that records what happened to runs, and knows nothing of reviews."""
