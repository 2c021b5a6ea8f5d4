"""Commands that people write in comments, and their replies."""
