"""Kodiai as a package: built as a wheel and installed into an environment with its dependencies and nothing else."""

import os
import shutil
import subprocess
import sys
from importlib.metadata import PathDistribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from tests.support.processes import ROOT


def install(folder: Path, extra: str = "") -> tuple[Path, set[str]]:
    """Build and install it in `folder`; return the environment, and the names of the packages beside it."""
    source, built, environment = folder / "source", folder / "built", folder / "environment"
    built.mkdir()
    for name in ("kodiai", "reviews", "telemetry"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    subprocess.run([sys.executable, "-c", build, str(built)], cwd=source, check=True, capture_output=True)
    [wheel] = built.glob("kodiai-*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--quiet", "--offline", "--no-deps", "--python"]
    subprocess.run([*uv, str(environment / "bin/python"), str(wheel)], check=True)
    return environment, link_dependencies("kodiai", environment, extra)


def link_dependencies(package: str, environment: Path, extra: str = "") -> set[str]:
    """Link what a package installed in `environment` depends on, from this environment; return its names."""
    [site] = environment.glob("lib/python*/site-packages")
    [metadata] = site.glob(f"{package}-*.dist-info")
    wanted = [(text, extra) for text in PathDistribution(metadata).requires or ()]
    linked: set[str] = set()
    seen: set[tuple[str, str]] = set()
    while wanted:
        text, of_extra = wanted.pop()
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": of_extra}):
            continue
        found = distribution(requirement.name)
        for each in {"", *requirement.extras} - {one for name, one in seen if name == requirement.name}:
            seen.add((requirement.name, each))
            wanted += [(text, each) for text in found.requires or ()]
        if requirement.name in linked:
            continue
        linked.add(requirement.name)
        for file in found.files or ():
            target = Path(os.path.normpath(site / file))
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                target.symlink_to(Path(str(found.locate_file(file))).resolve())
    return linked
