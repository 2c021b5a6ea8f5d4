"""The files of the demo's pull requests: small changes with typical mistakes."""

SHOP = {
    "README.md": "# The shop\n",
    "shop/pricing.py": '''"""What an order costs."""


def total(lines):
    return sum(line.price * line.quantity for line in lines)
''',
    "shop/payments.py": '''"""Taking money."""

from shop.gateway import gateway


def charge(card, amount):
    return gateway.charge(card, amount)
''',
}

NEWSLETTER = {
    "README.md": "# The newsletter\n",
    "newsletter.py": '''"""Who gets the newsletter."""


def recipients(customers):
    for customer in customers:
        yield customer.email
''',
}

# A misspelt name, a mutable default, an unused import.
DISCOUNTS = {
    "shop/pricing.py": '''"""What an order costs."""

import json
from decimal import Decimal

DISCOUNTS = {100: Decimal("0.05"), 500: Decimal("0.10")}


def total(lines, earned=[]):
    amount = sum(line.price * line.quantity for line in lines)
    for threshold, discount in DISCOUNTS.items():
        if amount >= threshold:
            earned.append(discount)
    return amount * (1 - max(earnd, default=0))
'''
}

# A number is compared by identity, and the message has no argument for its placeholder.
REFUSED_CARDS = {
    "shop/payments.py": '''"""Taking money."""

import logging

from shop.gateway import CardRefused, gateway

logger = logging.getLogger(__name__)


def charge(card, amount):
    if amount is 0:
        return None
    try:
        return gateway.charge(card, amount)
    except CardRefused as refusal:
        logger.warning("the card was refused: %s %s", refusal)
        return None
'''
}

# Two comparisons that work, but are not idiomatic.
SHIPPED_TO = {
    "newsletter.py": '''"""Who gets the newsletter."""

SHIPS_TO = {"AT", "CH", "DE"}


def recipients(customers):
    for customer in customers:
        if customer.email == None:
            continue
        if not customer.country in SHIPS_TO:
            continue
        yield customer.email
'''
}
