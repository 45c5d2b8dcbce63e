"""``labkit doctor``: whether this installation is sound, and which optional parts it has."""

import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from shutil import disk_usage
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Annotated

import numpy as np
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
    compile: Annotated[  # noqa: A002  # the option's name
        bool, typer.Option("--compile", help="Compile the counting loops now, not at first use.")
    ] = False,
) -> None:
    """Check versions, packages, VISA, vendor libraries, permissions, disk and clock."""
    cache, writable = numba_cache()
    seconds = compile_kernels() if compile else None
    findings: dict[str, object] = {
        "labkit": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _version(name) for name in REQUIRED},
        "own_packages": {name: str(find_package(name)) for name in PACKAGES},
        "optional": {name: _present(name) for name in OPTIONAL},
        "plugins": plugins(),
        "numba_cache": {"folder": str(cache), "writable": writable, "compiled_s": seconds},
        "visa": visa_backends(),
        "vendor_libraries": vendor_libraries(),
        "serial_ports": serial_ports(),
        "here": {
            "folder": str(Path.cwd()),
            "writable": os.access(Path.cwd(), os.W_OK),
            "free_bytes": disk_usage(Path.cwd()).free,
        },
        "clock": datetime.now(UTC).isoformat(timespec="seconds"),
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
    if seconds is not None:
        results.print(f"  counting loops ready after {seconds:.1f} s")
    for line in _laboratory():
        results.print(f"  {line}", soft_wrap=True, markup=False, highlight=False)


def _laboratory() -> Iterator[str]:
    """Yield what a real laboratory needs of this machine, one line each."""
    for name, told in visa_backends().items():
        yield f"VISA backend {name}: {told}"
    for name, told in vendor_libraries().items():
        yield f"vendor library of {name}: {told}"
    for port, allowed in serial_ports().items():
        yield f"serial port {port}: {'may be opened' if allowed else 'NOT permitted to this user'}"
    here, free = Path.cwd(), disk_usage(Path.cwd()).free
    state = "writable" if os.access(here, os.W_OK) else "NOT writable"
    yield f"folder {here}: {state}, {free / 1e9:,.1f} GB free"
    yield f"clock {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC; compare it with a good one"


def visa_backends() -> dict[str, str]:
    """Return the installed VISA backends, each with its library or that it has none."""
    from pyvisa.highlevel import get_wrapper_class, list_backends

    paths = {name: list(get_wrapper_class(name).get_library_paths()) for name in list_backends()}
    return {
        name: f"installed ({found[0]})" if found else "its library is not installed"
        for name, found in paths.items()
    }


def vendor_libraries() -> dict[str, str]:
    """Return by device whether its vendor's library loads, for those made for this system."""
    from instruments.picoquant_harps.driver import HHLib, MHLib, PH330Lib
    from instruments.picoquant_timeharp260.library import FILE_NAMES

    devices = {
        "TimeHarp 260": FILE_NAMES, "MultiHarp": MHLib.file_names, "HydraHarp": HHLib.file_names,
        "PicoHarp 330": PH330Lib.file_names, "HighFinesse": {"win32": ("wlmData.dll",)},
        "Newport": {"win32": ("usbdll.dll",)},
    }  # fmt: skip
    here = {device: names.get(sys.platform, ()) for device, names in devices.items()}
    return {device: _loading(names) for device, names in here.items() if names}


def _loading(names: tuple[str, ...]) -> str:
    from instruments.links.vendor_library import load_library

    for name in names:
        try:
            load_library(name, "the vendor", {})
        except OSError:
            continue
        return f"loads, {name}"
    return f"not installed ({', '.join(names)})"


def serial_ports() -> dict[str, bool]:
    """Return the serial ports of this machine, each with whether this user may open it."""
    from serial.tools.list_ports import comports

    ports = [port.device for port in comports()]
    return {port: os.name == "nt" or os.access(port, os.R_OK | os.W_OK) for port in ports}


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


def compile_kernels() -> float:
    """Compile or load the loops for bright and long files of most harps; return the seconds taken.

    Numba keeps them in `numba_cache`: otherwise whoever counts such a file first waits for that.
    """
    from analysis.counting import count
    from analysis.gates import Gate, GateSet
    from analysis.tagfile.layouts import TIMEHARP_260N_T2, TIMEHARP_260N_T3
    from analysis.tagfile.ptu_writer import PtuWriter

    begin = perf_counter()
    pump = Gate(name="pump", start=0.0, stop=60e-9)
    gates = GateSet(period=50e-6, detectors={1: 0, 2: 1}, gates=(pump,))
    sync = 0x80000001  # a T2 file needs one
    files = [(TIMEHARP_260N_T3, 1e-9, 0), (TIMEHARP_260N_T2, 250e-12, sync)]
    with TemporaryDirectory() as place:
        for layout, resolution, record in files:
            path = Path(place) / f"{layout.mode}.ptu"
            with PtuWriter(
                path, layout=layout, resolution=resolution, sync_period=gates.period
            ) as writer:
                writer.write(np.array([record], np.uint32))
            count(path, gates, kernel="bright")
    return perf_counter() - begin


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
