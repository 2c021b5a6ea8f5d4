"""A small file, before and after a change in which ruff finds three things."""

BEFORE = "def total(prices):\n    return sum(prices)\n"
AFTER = (
    "import os\n\n\n"
    "def total(prices):\n    return sum(prices)\n\n\n"
    "def label(price):\n    return {'price', 'price'}, undefined_name\n"
)
