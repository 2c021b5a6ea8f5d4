#!/usr/bin/env python3
"""Rename photos by the day they were taken."""

import argparse
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "lib"))

from photos import taken_on


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("target", type=pathlib.Path)
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_args(argv)

    moved = 0
    for i, photo in enumerate(sorted(args.source.glob("*.jpg"))):
        day = taken_on(photo)
        name = args.target / f"{day:%Y-%m-%d}-{photo.name}"
        print(f"{photo} -> {name}")
        if not args.dry_run:
            shutil.move(photo, name)
            moved += 1
    assert (moved >= 0, "cannot be negative")
    return 0


if __name__ == "__main__":
    sys.exit(main())
