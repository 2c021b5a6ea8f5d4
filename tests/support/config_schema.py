"""The published JSON Schema of `.kodiai.yml`: `make schema` writes it, and a test holds it to the code."""

import json
from pathlib import Path

from reviews.config.repository import schema

FILE = Path(__file__).parent.parent.parent / "docs" / "kodiai.schema.json"


def as_text() -> str:
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(as_text())
