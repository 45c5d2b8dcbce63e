"""``labkit doctor``: whether this installation is sound, and which optional parts it has."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from analysis.plugins import GROUPS, describe, find_plugins, load_plugin
from labkit import __version__
from labkit._guard import PACKAGES, find_package
from labkit.cli.output import print_json, results

REQUIRED = ("numpy", "scipy", "numba", "h5py", "qcodes", "pyarrow", "xarray", "matplotlib", "typer")
OPTIONAL = {
    "snAPI": "PicoQuant snAPI, replay of tag files through the vendor's own reader",
    "Swabian.TimeTagger": "Swabian Time Tagger",
    "nidaqmx": "National Instruments analog output",
    "panel": "live dashboard",
}


def register(app: typer.Typer) -> None:
    """Add this room's command to the app."""
    app.command()(doctor)


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check versions, own packages, optional parts, numba cache."""
    cache, writable = numba_cache()
    findings: dict[str, object] = {
        "labkit": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in REQUIRED},
        "own_packages": {name: str(find_package(name)) for name in PACKAGES},
        "optional": {name: _present(name) for name in OPTIONAL},
        "plugins": plugins(),
        "numba_cache": {"folder": str(cache), "writable": writable},
    }
    if json:
        print_json(findings)
        return
    results.print(f"labkit {__version__} on Python {platform.python_version()}, {sys.platform}")
    for name in REQUIRED:
        results.print(f"  {name:<12} {_version(name) or 'missing: reinstall labkit'}")
    for name in PACKAGES:
        results.print(f"  {name:<12} labkit's own, {find_package(name)}", soft_wrap=True)
    for name, what in OPTIONAL.items():
        state = "present" if _present(name) else "not installed"
        results.print(f"  {name:<18} {state} (optional: {what})", soft_wrap=True)
    for plugin, trouble in plugins().items():
        results.print(f"  {plugin}: {trouble or 'ok'}", soft_wrap=True, markup=False)
    state = "writable" if writable else "NOT writable: kernels compile anew in every process"
    results.print(f"  numba cache  {cache}: {state}", soft_wrap=True)


def plugins() -> dict[str, str]:
    """Return the installed plug-ins, each with what is wrong with it or ""."""
    found = [point for group in GROUPS for point in find_plugins(group)]
    return {describe(point): load_plugin(point)[1] for point in found}


def numba_cache() -> tuple[Path, bool]:
    """Return the folder numba caches labkit's kernels in, and whether it can be written."""
    configured = os.environ.get("NUMBA_CACHE_DIR")
    kernels = find_package("analysis")
    if kernels is None:
        message = "labkit's package 'analysis' is missing; reinstall labkit"
        raise ImportError(message)
    folder = Path(configured) if configured else kernels / "counting" / "__pycache__"
    nearest = next(f for f in (folder, *folder.parents) if f.exists())
    return folder, os.access(nearest, os.W_OK)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _present(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False
