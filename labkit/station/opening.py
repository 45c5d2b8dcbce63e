"""Open a station, hand it out, and leave it safe whatever happens."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from getpass import getuser
from io import StringIO
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any
from zlib import crc32

from labkit.run.sole_use import held
from labkit.station.config import StationFile
from labkit.station.ending import ending_on_sigterm, said, undisturbed
from labkit.station.entries import apply_parameters, fitted, read_entry
from labkit.station.references import import_object, resolve
from labkit.station.safety import SafetyReport, make_safe, with_safe_state
from labkit.station.watchdog import watched

if TYPE_CHECKING:
    from qcodes.instrument import Instrument


class StationError(RuntimeError):
    """An instrument could not be opened; the others are in their safe state and closed."""


@contextmanager
def open_instruments(
    file: StationFile,
    world: dict[str, Any] | None = None,
    failures: dict[str, str] | None = None,
) -> Iterator[dict[str, "Instrument"]]:
    """Open the instruments of a station file in its order; safe and close them at the end.

    Parameters
    ----------
    file : StationFile
    world : dict, optional
        What ``world:`` references stand for.
    failures : dict of str to str, optional
        If given, an instrument that cannot be opened goes in here with the reason, and the next
        one is opened.

    Yields
    ------
    dict of str to Instrument

    Raises
    ------
    StationError
        If an instrument cannot be opened; names it, its address and what it said.
    """
    opened: dict[str, Instrument] = {}
    try:
        for name in file.instruments:
            try:
                opened[name] = _open(file, name, world or {}, opened)
            except StationError as error:
                if failures is None:
                    raise
                failures[name] = str(error)
        yield opened
    finally:
        with undisturbed():
            report = make_safe(with_safe_state(opened))
            for instrument in reversed(opened.values()):
                _close(instrument)
            shout(report)


def shout(report: SafetyReport) -> None:
    """Say on stderr, last and loud, who is not safe."""
    if not report.all_safe:
        sys.stderr.write(f"\n{report}\n")
        sys.stderr.flush()


def _open(
    file: StationFile, name: str, world: dict[str, Any], opened: dict[str, "Instrument"]
) -> "Instrument":
    entry = file.instruments[name]
    try:
        known = read_entry(entry, f"instruments.{name}")
        kind = import_object(known.type, file.path.parent)
        options = fitted(kind, resolve(known.options(), world, opened))
        if known.enable_forced_reconnect:
            _close_former(name)
        with redirect_stdout(StringIO()):  # drivers greet on stdout, where results belong
            instrument: Instrument = kind(name, **options)
    except Exception as error:
        raise _not_opened(file, name, error) from error
    try:
        apply_parameters(instrument, known)
    except Exception as error:
        make_safe(with_safe_state({name: instrument}))
        _close(instrument)
        raise _not_opened(file, name, error) from error
    return instrument


def _not_opened(file: StationFile, name: str, error: Exception) -> StationError:
    entry = file.instruments[name]
    message = (
        f"{file.path}: instrument {name!r} ({entry['type']}, address "
        f"{entry.get('address', 'none')}) cannot be opened: {type(error).__name__}: {said(error)}"
    )
    return StationError(message)


def _close_former(name: str) -> None:
    from qcodes.instrument import Instrument

    if Instrument.exist(name):
        Instrument.find_instrument(name).close()


def _close(instrument: "Instrument") -> None:
    try:
        instrument.close()
    except Exception as error:  # the others must be closed too
        sys.stderr.write(f"{instrument.name}: closing failed: {type(error).__name__}: {error}\n")


@contextmanager
def start_world(file: StationFile, session: int = 1) -> Iterator[dict[str, Any]]:
    """Start the world a station file names; yields what ``world:`` references stand for.

    A file of real instruments names none, and nothing is started. From the second session of a
    run on, the world is told which one it is, so that its chance events differ.
    """
    config = file.config.world
    if config is None:
        yield {}
        return
    factory = import_object(config.factory, file.path.parent)
    again = {"session": session} if session > 1 else {}
    with factory.start(**config.options, **again) as world:
        yield {**world.addresses, **world.objects}


@contextmanager
def sole_control(file: StationFile) -> Iterator[None]:
    """Hold a station's instruments, against a second run of this user that would end in darkness.

    A virtual lab is each process's own. Other users, and other computers, are not kept away.

    Raises
    ------
    RuntimeError
        If another process holds a station with the same instruments.
    """
    if file.config.world is not None:
        yield
        return
    places = sorted(
        f"{str(entry['type']).rpartition('.')[2]} {entry.get('address', '')}"
        for entry in file.instruments.values()
    )
    folder = Path(gettempdir()) / f"labkit-{getuser()}"
    folder.mkdir(exist_ok=True)
    refusal = (
        f"{file.path}: another process works with these instruments, and its light would be "
        "switched off at the end of this one; wait for its end"
    )
    with held(folder / f"station-{crc32(repr(places).encode()):08x}.lock", refusal):
        yield


@contextmanager
def open_station(
    file: StationFile,
    log: Path | None = None,
    session: int = 1,
    failures: dict[str, str] | None = None,
) -> Iterator[dict[str, "Instrument"]]:
    """Start the world, if any, and open the instruments; all is safe and closed at the end.

    Parameters
    ----------
    file : StationFile
    log : Path, optional
        If given, a watchdog process makes the instruments safe should this process die, and
        writes there what it did.
    session : int
        See `start_world`.
    failures : dict of str to str, optional
        See `open_instruments`.
    """
    with ExitStack() as stack:
        stack.enter_context(ending_on_sigterm())
        stack.enter_context(sole_control(file))
        world = stack.enter_context(start_world(file, session))
        if log is not None:
            stack.enter_context(watched(file, world, log))
        yield stack.enter_context(open_instruments(file, world, failures))
