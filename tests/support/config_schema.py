"""The published JSON Schemas: `make schema` writes them, and a test holds them to the code."""

import json
from pathlib import Path
from typing import Any

from reviews.config.repository import schema
from reviews.findings import coverage_schema

DOCS = Path(__file__).parent.parent.parent / "docs"
SCHEMAS = {"kodiai.schema.json": schema, "coverage.schema.json": coverage_schema}


def as_text(described: dict[str, Any]) -> str:
    return json.dumps(described, indent=2) + "\n"


if __name__ == "__main__":
    for name, describe in SCHEMAS.items():
        (DOCS / name).write_text(as_text(describe()))
