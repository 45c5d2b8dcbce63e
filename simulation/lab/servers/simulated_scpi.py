"""A simulated SCPI instrument: command table, settings, error queue, conversations."""

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from threading import RLock
from typing import ClassVar

from simulation.lab.instrument_faults import InstrumentFaults
from simulation.lab.servers.scpi_grammar import (
    MessageFramer,
    MessageUnit,
    spellings,
    split_suffixes,
    units_of,
)
from simulation.lab.servers.scpi_values import Integer, Kind, Number, ScpiError, Value

ERRORS_QUEUED, EVENT_SUMMARY, SERVICE_REQUEST = 4, 32, 64
_MASK = Integer(low=0, high=255)

MOST_FOUND = 1024
"""Headers, as they came, whose place in the table is kept."""
EXECUTION_ERROR, COMMAND_ERROR, DEVICE_ERROR, QUERY_ERROR = 16, 32, 8, 4


@dataclass(frozen=True, slots=True)
class Call:
    """A command or query as it came: numeric suffixes of its header, and arguments."""

    suffixes: tuple[int, ...]
    arguments: tuple[bytes, ...]

    @property
    def channel(self) -> int:
        """First suffix."""
        return self.suffixes[0]

    def argument(self, kind: Kind, index: int = 0) -> Value:
        """Read the argument at `index` as `kind`."""
        if index >= len(self.arguments):
            raise ScpiError(-109)
        return kind.read(self.arguments[index])

    def expect(self, most: int) -> None:
        """Refuse more than so many arguments."""
        if len(self.arguments) > most:
            raise ScpiError(-108)

    def limit(self, kind: Kind, default: Value) -> Value:
        """Return the limit or default that a query asks for by ``MIN``, ``MAX`` or ``DEF``."""
        self.expect(1)
        if not isinstance(kind, Number):
            raise ScpiError(-108)
        match self.word():
            case "MIN" | "MINIMUM" | "MAX" | "MAXIMUM":
                return self.argument(kind)
            case "DEF" | "DEFAULT":
                return default
            case _:
                raise ScpiError(-141)

    def word(self, index: int = 0) -> str:
        """Return the argument at `index` in capitals."""
        if index >= len(self.arguments):
            raise ScpiError(-109)
        return self.arguments[index].upper().decode("latin-1")


Setter = Callable[[Call], None]
Getter = Callable[[Call], str]
Key = tuple[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An entry of the command table."""

    pattern: str
    set: Setter | None
    get: Getter | None


@dataclass(frozen=True, slots=True)
class Held:
    """A value that is held, set and queried by one header; positional, as rows of a table.

    Attributes
    ----------
    header : str
        Pattern as in the manual.
    name : str
        Key in `SimulatedScpi.values`.
    kind : Kind
    default : Value
        After power-on and ``*RST``.
    """

    header: str
    name: str
    kind: Kind
    default: Value


class SimulatedScpi:
    """Base of simulated SCPI instruments. Thread-safe: one message at a time, under `lock`.

    Subclasses list their `settings`, register commands with `on`, and override `changed`, which is
    called after a setting moved. Values are kept in `values` by (name, suffixes).

    Parameters
    ----------
    idn : str
        Reply to ``*IDN?``.
    """

    settings: ClassVar[tuple[Held, ...]] = ()
    channels: ClassVar[tuple[int, ...]] = (1,)
    error_depth: ClassVar[int] = 30
    error_query: ClassVar[str] = "SYSTem:ERRor[:NEXT]"
    no_error: ClassVar[str] = '0,"No error"'
    reply_end: ClassVar[bytes] = b"\n"
    block_ends: ClassVar[bool] = False

    def __init__(self, idn: str) -> None:
        self.idn = idn
        self.lock = RLock()
        self.faults = InstrumentFaults(self.understands)
        self.values: dict[Hashable, Value] = {}
        self.errors: deque[str] = deque()
        self._events = self._event_enable = self._service_enable = 0
        self._commands: dict[str, tuple[Command, tuple[bool, ...]]] = {}
        self._found: dict[str, tuple[Command, tuple[int, ...]]] = {}
        self._register_common()
        for setting in self.settings:
            self._register(setting)
        self.power_on()

    # --- to be overridden -----------------------------------------------------------------

    def changed(self, name: str, suffixes: tuple[int, ...]) -> None:
        """React to a setting that was set."""

    def check(self, name: str, suffixes: tuple[int, ...], value: Value) -> Value:
        """Return what the instrument makes of a new value, or raise `ScpiError`."""
        return value

    def block_interrupted(self) -> None:
        """React to a binary download that broke off."""

    def power_on(self) -> None:
        """Take the state after power-on and ``*RST``."""
        for setting in self.settings:
            for channel in self.channels_of(setting):
                self.values[setting.name, channel] = setting.default

    def channels_of(self, setting: Held) -> tuple[int, ...]:
        """Return the channels that have this setting; 0 stands for the whole instrument."""
        return self.channels if "#" in setting.header else (0,)

    def channel_of(self, setting: Held, call: Call) -> int:
        """Return the channel that a call acts on."""
        return call.channel if "#" in setting.header else 0

    # --- command table --------------------------------------------------------------------

    def on(self, pattern: str, *, set: Setter | None = None, get: Getter | None = None) -> None:  # noqa: A002  # the two halves of a SCPI command are its set and its get
        """Register a command by its header pattern."""
        command = Command(pattern=pattern, set=set, get=get)
        for spelling, flags in spellings(pattern).items():
            self._commands[spelling] = (command, flags)
        self._found.clear()

    def find(self, header: str) -> tuple[Command, tuple[int, ...]]:
        """Return the table entry and the suffixes of a header as it came."""
        if (known := self._found.get(header)) is not None:
            return known
        spelling, numbers = split_suffixes(header.lower().lstrip(":").removesuffix("?"))
        entry = self._commands.get(spelling)
        if entry is None:
            raise ScpiError(-113)
        command, flags = entry
        left = iter(numbers)
        found = command, tuple(next(left) if written else 1 for written in flags)
        if len(self._found) < MOST_FOUND:
            self._found[header] = found
        return found

    def understands(self, header: str) -> bool:
        """Tell whether a command header is in the table."""
        return split_suffixes(header.lower().lstrip(":").removesuffix("?"))[0] in self._commands

    def value(self, name: str, channel: int = 0) -> Value:
        """Return a setting's value."""
        return self.values[name, channel]

    def number(self, name: str, channel: int = 0) -> float:
        """Return a setting's value as a number."""
        return float(self.values[name, channel])

    def _register(self, setting: Held) -> None:
        def put(call: Call) -> None:
            key = self._key(setting, call)
            call.expect(1)
            value = self.check(setting.name, call.suffixes, call.argument(setting.kind))
            self.values[key] = value
            self.changed(setting.name, call.suffixes)

        def show(call: Call) -> str:
            key = self._key(setting, call)
            if call.arguments:
                return setting.kind.show(call.limit(setting.kind, setting.default))
            return setting.kind.show(self.values[key])

        self.on(setting.header, set=put, get=show)

    def _key(self, setting: Held, call: Call) -> tuple[str, int]:
        channel = self.channel_of(setting, call)
        if (setting.name, channel) not in self.values:
            raise ScpiError(-114)
        return setting.name, channel

    def _register_common(self) -> None:
        self.on("*IDN", get=lambda _: self.idn)
        self.on("*RST", set=lambda _: self.power_on())
        self.on("*CLS", set=lambda _: self._clear_status())
        self.on("*OPC", set=lambda _: self._note(1), get=lambda _: "1")
        self.on("*ESR", get=lambda _: str(self._take_events()))
        self.on("*ESE", set=self._enable_events, get=lambda _: str(self._event_enable))
        self.on("*SRE", set=self._set_service, get=lambda _: str(self._service_enable))
        self.on("*STB", get=lambda _: str(self._status_byte()))
        self.on("*TST", get=lambda _: "0")
        self.on("*WAI", set=lambda call: call.expect(0))
        self.on("*OPT", get=lambda _: "0")
        if self.error_query:
            self.on(self.error_query, get=lambda _: self._next_error())

    # --- error queue ------------------------------------------------------------------------

    def raise_error(self, error: ScpiError) -> None:
        """Put an error into the queue; a full queue ends with -350."""
        self._note(_event_of(error.code))
        if len(self.errors) < self.error_depth:
            self.errors.append(str(error))
        else:
            self.errors[-1] = str(ScpiError(-350))

    def _next_error(self) -> str:
        if fault := self.faults.take("error"):
            return f'{fault.code},"{fault.text}"'
        return self.errors.popleft() if self.errors else self.no_error

    def _clear_status(self) -> None:
        self.errors.clear()
        self._events = 0

    def _enable_events(self, call: Call) -> None:
        call.expect(1)
        self._event_enable = int(float(call.argument(_MASK)))

    def _set_service(self, call: Call) -> None:
        call.expect(1)
        self.enable_service(int(float(call.argument(_MASK))))

    def enable_service(self, mask: int) -> None:
        """Let bits of the status byte request service."""
        self._service_enable = mask & ~SERVICE_REQUEST

    def _status_byte(self) -> int:
        """Return bits of IEEE 488.2 and SCPI; no reply waits when this one is made."""
        byte = ERRORS_QUEUED if self.errors else 0
        byte |= EVENT_SUMMARY if self._events & self._event_enable else 0
        return byte | (SERVICE_REQUEST if byte & self._service_enable else 0)

    def _note(self, event: int) -> None:
        self._events |= event

    def _take_events(self) -> int:
        events, self._events = self._events, 0
        return events

    # --- conversations ----------------------------------------------------------------------

    def conversation(self) -> "ScpiConversation":
        """Begin to talk on a new connection."""
        return ScpiConversation(self)

    def execute(self, message: bytes) -> bytes | None:
        """Execute a message; return its replies joined by ``;``, or ``None`` if there is none."""
        with self.lock:
            replies = [reply for unit in units_of(message) if (reply := self._run(unit))]
        return ";".join(replies).encode("latin-1") + self.reply_end if replies else None

    def _run(self, unit: MessageUnit) -> str | None:
        try:
            command, suffixes = self.find(unit.header)
            call = Call(suffixes, unit.arguments)
            if unit.is_query and command.get:
                return command.get(call)
            if unit.is_query or command.set is None:
                raise ScpiError(-113)
            if not self._is_stuck(command, suffixes):
                command.set(call)
        except ScpiError as error:
            self.raise_error(error)
        return None

    def _is_stuck(self, command: Command, suffixes: tuple[int, ...]) -> bool:
        def acts_on(header: str) -> bool:
            return self.find(header) == (command, suffixes)

        if fault := self.faults.take("refuse", acts_on=acts_on):
            raise ScpiError(fault.code)
        return self.faults.take("stick", acts_on=acts_on) is not None


def _event_of(code: int) -> int:
    """Return the bit of the standard event register for an error code."""
    if code <= -400:
        return QUERY_ERROR
    if code <= -300 or code > 0:
        return DEVICE_ERROR
    return EXECUTION_ERROR if code <= -200 else COMMAND_ERROR


class ScpiConversation:
    """One client's stream of messages to a SCPI instrument."""

    def __init__(self, instrument: SimulatedScpi) -> None:
        self._instrument = instrument
        self._framer = MessageFramer(block_ends=instrument.block_ends)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes as they arrive; give each reply they cause."""
        for message in self._framer.feed(data):
            if reply := self._instrument.execute(message):
                yield reply

    def hang_up(self) -> None:
        """Tell the instrument whether the link was lost within a binary block."""
        if self._framer.inside_block:
            self._instrument.block_interrupted()
