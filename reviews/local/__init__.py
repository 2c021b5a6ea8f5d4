"""A review of a git range on one's own machine."""
