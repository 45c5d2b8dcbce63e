"""Open a station, hand it out, and leave it safe whatever happens."""

import re
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, redirect_stdout, suppress
from functools import cache, partial
from getpass import getuser
from inspect import Parameter as Argument
from inspect import signature
from io import StringIO
from pathlib import Path
from tempfile import gettempdir
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar
from zlib import crc32

from instruments import roles as ask
from instruments.links.attendance import attended_by
from instruments.links.lateness import excused_while
from instruments.links.undivided import undivided
from labkit.run.sole_use import held
from labkit.station.config import StationFile, own_addresses, stands_on
from labkit.station.ending import Terminated, ending_on_sigterm, postponed, said, undisturbed
from labkit.station.entries import apply_parameters, fitted, nearest, read_entry
from labkit.station.references import WORLD, import_object, resolve
from labkit.station.roles import ROLES
from labkit.station.safety import SafetyReport, make_safe, with_safe_state
from labkit.station.watchdog import Heart, watched
from simulation.lab.servers.wire import Connection, connection_at, owes_a_reply

if TYPE_CHECKING:
    from qcodes.instrument import Instrument


OWN = ("serial", "device", "index", "channel", "slot", "slots")
"""Options that tell apart what has no address: boards and library devices of one kind."""

NOT_KNOWN = "it cannot be opened, and in what state it is nobody knows"

LOOKERS = (ask.TimeTagger, ask.Thermometer, ask.PowerMeter, ask.Wavemeter, ask.TunableFilter)
"""Roles that no light and no current depends on."""

Told = Callable[[SafetyReport], object]
T = TypeVar("T")


class StationError(RuntimeError):
    """An instrument could not be opened; the others are in their safe state and closed."""


@contextmanager
def open_instruments(
    file: StationFile,
    world: dict[str, Any] | None = None,
    failures: dict[str, str] | None = None,
    told: Told | None = None,
) -> Iterator[dict[str, "Instrument"]]:
    """Open the instruments of a station file in its order; safe and close them at the end.

    Parameters
    ----------
    file : StationFile
    world : dict, optional
        What ``world:`` references stand for.
    failures : dict of str to str, optional
        If given, an instrument that cannot be opened goes in here with the reason, and what comes
        after it is handed out all the same.
    told : callable, optional
        Given what came of making all safe at the end.

    Yields
    ------
    dict of str to Instrument

    Raises
    ------
    StationError
        If an instrument cannot be opened; names it, its address and what it said.
    """
    opening = _Opening(file, world or {})
    with excused_while(owes_a_reply), attended_by(_attendant):
        try:
            with postponed():
                _import_drivers(file)
            for name in file.instruments:
                opening.open(name)
            if opening.closed and failures is None:
                raise next(iter(opening.closed.values()))  # now: the others must be made safe too
            if failures is not None:
                failures |= {name: str(error) for name, error in opening.closed.items()}
            yield opening.opened
        finally:
            names_closed = failures is None or bool(opening.left_out())
            try:
                with undisturbed():
                    opening.leave(told, names_closed=names_closed)
            except (KeyboardInterrupt, Terminated):  # just before it was undisturbed, or just after
                with undisturbed():
                    opening.leave(told, names_closed=names_closed)
                raise


class _WholeTurns:
    """Attends to a link to a simulated instrument; no signal cuts its work in half."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def turn(self) -> None:
        with undivided():
            self._connection.turn()

    def release(self) -> None:
        self._connection.release()


def _attendant(address: str, port: int) -> _WholeTurns | None:
    connection = connection_at(address, port)
    return _WholeTurns(connection) if connection is not None and connection.rest() else None


def _import_drivers(file: StationFile) -> None:
    """Import them before the first instrument is touched; who fails is told when it is opened."""
    for entry in file.instruments.values():
        with suppress(Exception):
            import_object(str(entry["type"]), file.path.parent)


class _Opening:
    """The instruments of a station from the first one's opening to the last one's closing.

    Attributes
    ----------
    opened : dict of str to Instrument
    closed : dict of str to StationError
        Those that could not be opened.
    """

    def __init__(self, file: StationFile, world: dict[str, Any]) -> None:
        self.file, self._world = file, world
        self.opened: dict[str, Instrument] = {}
        self.closed: dict[str, StationError] = {}
        self._has_left = False

    def open(self, name: str) -> None:
        """Open one, or note why not."""
        try:
            self.opened[name] = _open(self.file, name, self._world, self.opened)
        except StationError as error:
            self.closed[name] = error

    def left_out(self) -> list[str]:
        """Return who was not reached, since work was stopped while opening."""
        return [n for n in self.file.instruments if n not in self.opened.keys() | self.closed]

    def leave(self, told: Told | None, *, names_closed: bool) -> None:
        """Make all safe, also who was not reached, and close them, once; tell what came of it."""
        if self._has_left:
            return
        for name in _that_act(self.file, self.left_out()):
            _close_former(name)
            self.open(name)
        report = make_safe(with_safe_state(self.opened))
        looking = {n: why for n, why in report.failed.items() if _only_looks(self.file, n)}
        for name, why in looking.items():
            sys.stderr.write(f"{name}: not at rest, but no light or bias depends on it: {why}\n")
        report = report.without(looking)
        if names_closed:
            report = report.joined_by({n: NOT_KNOWN for n in self.closed if _acts(self.file, n)})
        for instrument in reversed(self.opened.values()):
            _close(instrument)
        self._has_left = True
        shout(report)
        if told is not None:
            told(report)


def _that_act(file: StationFile, names: Sequence[str]) -> list[str]:
    """Return those that have a safe state to be brought to, and what these stand on, in order."""
    standing = stands_on(file.instruments)
    needed = {name for name in names if _acts(file, name)}
    while more := {lower for name in needed for lower in standing[name]} - needed:
        needed |= more
    return [name for name in names if name in needed]


def _acts(file: StationFile, name: str) -> bool:
    """Tell whether an instrument plays a role that has a safe state to be brought to."""
    return any(
        ROLES[role].protocol not in LOOKERS
        for role, names in file.config.roles.items()
        if name in ([names] if isinstance(names, str) else names.values())
    )


def _only_looks(file: StationFile, name: str) -> bool:
    """Tell whether an instrument plays roles, and none that has a safe state to be brought to."""
    played = any(
        name in ([names] if isinstance(names, str) else names.values())
        for names in file.config.roles.values()
    )
    return played and not _acts(file, name)


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
        _check_is_instrument(instrument, known.type)
    except Exception as error:
        raise _not_opened(file, name, error) from error
    _exchange_one_at_a_time(instrument)
    try:
        apply_parameters(instrument, known)
    except BaseException as error:
        with undisturbed():
            make_safe(with_safe_state({name: instrument}))
            _close(instrument)
        if not isinstance(error, Exception):
            raise
        raise _not_opened(file, name, error) from error
    return instrument


def _check_is_instrument(made: object, kind: str) -> None:
    from qcodes.instrument import InstrumentBase

    if not isinstance(made, InstrumentBase):
        message = f"`type` must be a QCoDeS instrument, but {kind} makes a {type(made).__name__}"
        raise TypeError(message)


def _exchange_one_at_a_time(instrument: "Instrument") -> None:
    """Keep one thread's question and another's answer apart in a driver without a lock of its own.

    The monitor, interlocks and safe states have threads of their own.
    """
    lock = RLock()
    if isinstance(getattr(instrument, "lock", None), type(lock)):
        return
    for name in ("ask_raw", "write_raw"):
        if (exchange := getattr(instrument, name, None)) is not None:
            setattr(instrument, name, partial(_held_during, lock, exchange))


def _held_during(
    lock: AbstractContextManager[bool], exchange: Callable[[str], T], command: str
) -> T:
    with lock:
        return exchange(command)


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
    arguments = signature(factory.start).parameters
    takes_all = any(argument.kind is Argument.VAR_KEYWORD for argument in arguments.values())
    known = tuple(arguments)
    for name in config.options:
        if name not in known and not takes_all:
            message = f"{file.path}: labkit.world.options.{name}: this key is not known"
            raise ValueError(message + nearest(name, known))
    again = {"session": session} if session > 1 else {}
    with factory.start(**config.options, **again) as world:
        yield {**world.addresses, **world.objects}


@contextmanager
def sole_control(file: StationFile) -> Iterator[None]:
    """Hold a station's instruments, against a second run of this user that would end in darkness.

    Each instrument by itself, by its address: it does not matter what else a station file names.
    What lives in a virtual lab is each process's own. Other users, and other computers, are not
    kept away.

    Raises
    ------
    RuntimeError
        If another process holds one of the instruments; names it.
    ValueError
        If two instruments of the file have one address, however it is written.
    """
    folder = Path(gettempdir()) / f"labkit-{getuser()}"
    folder.mkdir(exist_ok=True)
    with ExitStack() as stack:
        for place, name in sorted(_places(file).items()):
            refusal = (
                f"{file.path}: another process works with instrument {name!r} ({place}), and its "
                "light would be switched off at the end of this one; wait for its end"
            )
            lock = folder / f"instrument-{crc32(place.encode()):08x}.lock"
            stack.enter_context(held(lock, refusal))
        yield


def _places(file: StationFile) -> dict[str, str]:
    """Return what this station must have for itself, with the instrument's name."""
    places: dict[str, str] = {}
    standing = stands_on(file.instruments)
    for name, entry in file.instruments.items():
        if WORLD in repr(entry) or standing[name]:
            continue
        init = entry.get("init")
        options: Mapping[str, Any] = init if isinstance(init, Mapping) else {}
        addresses = own_addresses(entry)
        kind = str(entry["type"]).rpartition(".")[2]
        outputs = options.get("outputs")
        lines = [
            str(output["line"])
            for output in (outputs.values() if isinstance(outputs, Mapping) else ())
            if isinstance(output, Mapping) and "line" in output
        ]
        has_address = bool(addresses)
        if not (addresses or lines):
            own = [f"{key} {options[key]}" for key in OWN if key in options]
            addresses = [" ".join([kind, *own])]
        for address in (*addresses, *lines):
            place = one_address(address)
            if (other := places.setdefault(place, name)) != name and (has_address or lines):
                message = (
                    f"{file.path}: instruments {other!r} and {name!r} must have different "
                    f"addresses, but both have {place}, in one spelling or another"
                )
                raise ValueError(message)
    return places


def one_address(address: str) -> str:
    """Return one spelling for addresses that mean the same.

    VISA addresses by case, board 0 and ``inst0``; hosts by their IP address, if they have one; USB
    numbers in any base; serial ports by the file that a link leads to.
    """
    head, *parts = address.split("::")
    kind = head.upper()
    if kind.startswith("ASRL") and "/" in head:
        return f"ASRL{Path(head[4:]).resolve()}"
    if serial := re.fullmatch(r"(?:COM|ASRL)(\d+)", kind):
        return f"ASRL{serial[1]}"
    if url := re.fullmatch(r"(\w+://)([^/:]+)(.*)", address):
        return f"{url[1].lower()}{_ip_address(url[2])}{url[3].rstrip('/')}"
    kind = kind.removesuffix("0") if kind in ("TCPIP0", "USB0", "GPIB0") else kind
    if kind.startswith("TCPIP") and parts:
        parts[0] = _ip_address(parts[0])
    if kind.startswith("USB"):
        parts[:2] = [_number(part) for part in parts[:2]]
    rest = (part.upper() for part in parts)
    return "::".join([kind, *(part for part in rest if part not in ("INST0", "INSTR"))])


@cache
def _ip_address(host: str) -> str:
    try:
        return socket.gethostbyname(host)
    except (OSError, UnicodeError):
        return host.upper()  # nobody knows it now: two spellings of it are two


def _number(text: str) -> str:
    try:
        return str(int(text, 0))
    except ValueError:
        return text


@contextmanager
def open_station(
    file: StationFile,
    log: Path | None = None,
    session: int = 1,
    failures: dict[str, str] | None = None,
    *,
    heart: Heart | None = None,
    told: Told | None = None,
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
    heart : Heart, optional
        Of this process; beats if there is a `log`.
    told : callable, optional
        See `open_instruments`.
    """
    with ExitStack() as stack:
        stack.enter_context(ending_on_sigterm())
        stack.enter_context(sole_control(file))
        world = stack.enter_context(start_world(file, session))
        if log is not None:
            stack.enter_context(watched(file, world, log, heart))
        yield stack.enter_context(open_instruments(file, world, failures, told))
