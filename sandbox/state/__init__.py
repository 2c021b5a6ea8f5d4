"""What the sandbox's GitHub stores: repositories with git histories, pull requests, comments, tokens, calls."""
