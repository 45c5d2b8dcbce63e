"""Refuse to run when a foreign package hides or overwrites one of labkit's own packages."""

from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("analysis", "instruments", "simulation")

MARK = b"# One of labkit's own packages."
"""Stands in the ``__init__.py`` of each, so that a foreign one is told from it at once."""


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
        If a sibling is missing, hidden by a foreign package or folder of the same name, or was
        overwritten; the message says by which distribution, if one did, and how to repair it.
    """
    root = (home or Path(__file__).parent.parent).resolve()
    for name in PACKAGES:
        found, own = find_package(name), root / name
        if found == own and _is_own(own):
            continue
        if found is not None and found != own:
            message = (
                f"`import {name}` must load labkit's own package in {own}, but loads the foreign "
                f"file {found}: {_unhide(name, found)}"
            )
        elif (own / "__init__.py").is_file():
            message = (
                f"{own / '__init__.py'} must be labkit's own file, but {_overwritten(own)}, or use "
                "a separate virtual environment for each"
            )
        else:
            message = (
                f"labkit's package {name!r} must be beside labkit in {root}, but is missing (a "
                "package of the same name takes it along when it is uninstalled); reinstall labkit"
            )
        raise ImportError(message)


def _is_own(folder: Path) -> bool:
    try:
        return MARK in (folder / "__init__.py").read_bytes()
    except OSError:
        return False


def _unhide(name: str, found: Path) -> str:
    file = found / "__init__.py" if found.is_dir() else found
    owners = _owners(file)
    if owners:
        return (
            f"it belongs to {' and '.join(owners)}; uninstall that, or use a separate virtual "
            "environment"
        )
    return (
        f"no installed package owns it, so it is a folder or file of your own named {name!r}; "
        f"rename it, start Python elsewhere, or take {found.parent} off PYTHONPATH"
    )


def _overwritten(folder: Path) -> str:
    owners = [owner for owner in _owners(folder / "__init__.py") if not owner.startswith("labkit ")]
    if not owners:
        return "something changed it; reinstall labkit"
    return f"{' and '.join(owners)} overwrote it; uninstall that, then reinstall labkit"


def _owners(file: Path) -> list[str]:
    """Return the installed distributions whose record lists a file; slow, for messages only."""
    from importlib.metadata import distributions

    wanted = file.resolve()
    tail = f"{wanted.parent.name}/{wanted.name}"
    return [
        f"{each.name} {each.version}"
        for each in distributions()
        for entry in each.files or ()
        if str(entry).endswith(tail) and Path(str(each.locate_file(entry))).resolve() == wanted
    ]
