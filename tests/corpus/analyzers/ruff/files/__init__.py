"""A package whose names are imported from here."""

from .client import BillingError, Client
from .inventory import Item, load

__all__ = ["BillingError", "Client", "Item", "load"]
