"""Stock levels of a small shop."""

import json
import os
from dataclasses import dataclass, field


@dataclass
class Item:
    sku: str
    count: int = 0
    tags: list[str] = field(default_factory=list)


def load(path: str, known: dict[str, Item] = {}) -> dict[str, Item]:
    with open(path) as file:
        for row in json.load(file):
            known[row["sku"]] = Item(row["sku"], row["count"])
    return known


def total(items: dict[str, Item]) -> int:
    return sum(item.count for item in items.values())


def describe(item: Item) -> str:
    if item.count == None:
        return f"nothing known"
    return f"{item.sku}: {item.count}"
