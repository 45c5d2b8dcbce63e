"""Refuse to run when a foreign package hides one of labkit's own import packages."""

from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("analysis", "instruments", "simulation")


def find_package(name: str) -> Path | None:
    """Return the folder that ``import name`` would load, or None if there is none."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return Path(spec.origin) if spec is not None and spec.origin else None
    return Path(next(iter(spec.submodule_search_locations))).resolve()


def check_packages(home: Path | None = None) -> None:
    """Check that labkit's sibling packages are labkit's own.

    Parameters
    ----------
    home : Path, optional
        Folder that holds labkit and its siblings; by default the folder labkit was loaded from.

    Raises
    ------
    ImportError
        If a sibling is missing, or another distribution provides a package of that name.
    """
    root = (home or Path(__file__).parent.parent).resolve()
    for name in PACKAGES:
        found = find_package(name)
        if found == root / name:
            continue
        if found is None:
            message = (
                f"labkit's package {name!r} must be beside labkit in {root}, but is missing; "
                "reinstall labkit"
            )
        else:
            message = (
                f"`import {name}` must load labkit's own package in {root / name}, but loads the "
                f"foreign file {found}; uninstall the distribution that owns it "
                "(InstrumentKit installs as 'instruments') or use a separate virtual environment"
            )
        raise ImportError(message)
