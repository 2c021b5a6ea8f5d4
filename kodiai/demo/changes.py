"""The pull requests of the story: small changes of the kind that people make, with the slips that people make."""

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

# A name misspelt, a default that all calls share, an import left over.
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

# What went wrong is caught, named, and then neither used nor logged.
REFUSED_CARDS = {
    "shop/payments.py": '''"""Taking money."""

import logging

from shop.gateway import CardRefused, gateway

logger = logging.getLogger(__name__)


def charge(card, amount):
    try:
        return gateway.charge(card, amount)
    except CardRefused as refusal:
        logger.warning(f"the card was refused")
        return None
'''
}

# Two comparisons that work, and are not how Python says it.
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
