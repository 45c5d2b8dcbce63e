"""A VISA instrument on a link that may fail: bounded, one at a time, reopened, checked."""

import contextlib
import os
import re
import select
import socket
from collections.abc import Iterator
from functools import cache
from threading import RLock, Timer
from time import monotonic
from typing import TYPE_CHECKING, ClassVar

from pyvisa import ResourceManager
from pyvisa.constants import BufferOperation, ControlFlow, StatusCode
from pyvisa.errors import Error as VisaError
from pyvisa.errors import VisaIOError
from pyvisa.resources import MessageBasedResource, SerialInstrument, TCPIPSocket
from qcodes.instrument import VisaInstrument, VisaInstrumentKWArgs

from instruments.links.attendance import Attendant, attendant
from instruments.links.lateness import LOOK, is_excused, longest_wait, no_longer_waiting
from instruments.links.undivided import undivided

if TYPE_CHECKING:
    from typing import Unpack

    from serial import Serial


MAX_LATE_REPLIES = 8
"""Replies to earlier questions that a serial line may bring before the one that is wanted."""


@cache
def _usual_backend() -> str | None:
    """Return the backend that pyvisa takes if none is named; it searches the system every time."""
    if "PYVISA_LIBRARY" in os.environ:
        return None  # pyvisa obeys it without a search
    path = str(ResourceManager().visalib.library_path)
    return "@py" if path == "py" else f"{path}@ivi"


class VisaLink(VisaInstrument):
    """Base of the drivers that speak through VISA.

    Every exchange is bounded by `timeout`. One that fails (no reply, link cut, reply that is no
    text) raises and marks the link as broken; the next one opens it anew, checks that the same
    kind of instrument answers, and forgets cached values. Nothing is ever sent twice by itself.
    Bytes that wait unasked for (a late or garbled reply) also lead to a fresh link, so that no
    reply is taken for that of another question; a reply with something behind it is refused.

    Thread-safe: each exchange holds `lock`; hold it yourself around exchanges that belong together.

    Parameters
    ----------
    name : str
        Name in the station.
    address : str
        VISA resource name.
    **kwargs
        Of `qcodes.instrument.VisaInstrument`; `device_clear` is off for sockets, where it has no
        meaning.

    Raises
    ------
    ValueError
        If another instrument answers at `address`.
    TimeoutError, ConnectionError
        If nothing answers there.
    """

    default_timeout = 2.0
    default_terminator = "\n"
    identity: ClassVar[str] = ""
    """Regular expression that the reply to ``*IDN?`` must contain; empty: not asked."""
    baud_rate: ClassVar[int] = 9600
    """Of serial lines; 8 data bits, no parity, 1 stop bit."""
    hardware_handshake: ClassVar[bool] = False
    """Whether serial lines use RTS and CTS."""

    def __init__(self, name: str, address: str, **kwargs: "Unpack[VisaInstrumentKWArgs]") -> None:
        self.lock = RLock()
        self._wanted_address = address
        self._wanted_backend = kwargs.setdefault("visalib", _usual_backend())
        self._bound = self.default_timeout
        self._termination = self.default_terminator
        self._broken = self._reopening = False
        self._attendant: Attendant | None = None
        kwargs.setdefault("device_clear", not address.upper().endswith("SOCKET"))
        super().__init__(name, address, **kwargs)
        try:
            self._prepare_link(self.visa_handle)
            self._check_identity()
        except BaseException:
            self.close()
            raise

    def _connect_and_handle_error(self, address: str, visalib: str | None) -> MessageBasedResource:
        """Open the link; pyvisa-py hides a stop that comes meanwhile behind an error of its own."""
        with undivided():
            return super()._connect_and_handle_error(address, visalib)

    def write_raw(self, cmd: str) -> None:
        """Send a command that has no reply."""
        with self.lock, self._exchange(cmd):
            super().write_raw(cmd)
            self._attend()

    def ask_raw(self, cmd: str) -> str:
        """Send a query and return its reply without terminator."""
        with self.lock:
            self._make_ready()
            wire = _wire(self.visa_handle)
            if wire is None:
                with self._reading(cmd):
                    return self._alone(super().ask_raw(cmd).strip())
            wait = longest_wait(self._bound)
            try:
                return self._alone(self._ask_directly(wire, cmd, wait).strip())
            except BaseException as error:
                self._fail(cmd, error, wait)
                raise

    def _ask_directly(self, wire: "socket.socket | Serial", cmd: str, wait: float) -> str:
        """Ask past pyvisa-py, which reads serial lines byte by byte, each with a system call."""
        handle = self.visa_handle
        ends = handle.write_termination or "", handle.read_termination or "\n"
        with undivided():
            self.visa_log.debug("Querying: %s", cmd)
            send = wire.sendall if isinstance(wire, socket.socket) else wire.write
            send(f"{cmd}{ends[0]}".encode(handle.encoding))
            self._attend()
            address = self._wanted_address
            reply = _read_until(wire, ends[1].encode(), wait, address).decode(handle.encoding)
            self.visa_log.debug("Response: %s", reply)
        return reply

    def _alone(self, reply: str) -> str:
        """Return a reply that nothing stands behind."""
        if _bytes_are_waiting(self.visa_handle):
            message = f"{reply!r} came, and more after it"
            raise ConnectionResetError(message)
        return reply

    def write_bytes(self, data: bytes, what: str, chunk: int = 32_000) -> None:
        """Send bytes as one message, in chunks of bounded time even if nobody takes them.

        Parameters
        ----------
        data : bytes
            Whole message, terminator included.
        what : str
            Name of the data in errors.
        chunk : int
            Bytes per transfer; only the last one carries the end of message (EOI).
        """
        with self.lock, self._exchange(what):
            handle = self.visa_handle
            try:
                for start in range(0, len(data), chunk):
                    _mark_end(handle, last=start + chunk >= len(data))
                    with _abandoned_after(self._bound, handle):
                        handle.write_raw(data[start : start + chunk])
                    self._attend()
            finally:
                _mark_end(handle, last=True)

    def ask_bytes(self, cmd: str, count: int) -> bytes:
        """Send a query and return exactly `count` bytes of its reply, as they are."""
        with self.lock, self._exchange(cmd):
            super().write_raw(cmd)
            self._attend()
            self._await_first_byte()
            return self.visa_handle.read_bytes(count)

    def exchange_bytes(self, data: bytes, count: int, what: str) -> bytes:
        """Send bytes (or none) as they are and return exactly `count` bytes that come back.

        `what` names the exchange in errors.
        """
        with self.lock, self._reading(what) if not data else self._exchange(what):
            if data:
                self.visa_handle.write_raw(data)
                self._attend()
            self._await_first_byte()
            return self.visa_handle.read_bytes(count)

    def send_blindly(self, *commands: str) -> None:
        """Send commands on the link as it is, and ignore whether that works.

        For the safe state: an instrument that answers no more may still obey, and a link is opened
        anew only if the instrument answers.
        """
        with self.lock:
            for command in commands:
                with contextlib.suppress(VisaError, OSError):
                    super().write_raw(command)
                    self._attend()

    def close(self) -> None:
        """Close the link."""
        self._leave_attendant()
        super().close()

    def _attend(self) -> None:
        """Let an instrument that this process simulates take in what was written."""
        if self._attendant is not None:
            self._attendant.turn()

    def _leave_attendant(self) -> None:
        left, self._attendant = self._attendant, None
        if left is not None:
            left.release()

    def reconnect(self) -> None:
        """Open the link anew, check who answers, and forget cached values."""
        with self.lock:
            self.log.warning("opening the link to %s anew", self._wanted_address)
            self._broken = self._reopening = True
            try:
                self._open_again()
                self._check_identity()
            finally:
                self._reopening = False
            self._broken = False
            self.invalidate_cache()
            self._link_was_opened_anew()

    def _open_again(self) -> None:
        self._leave_attendant()
        try:
            self.set_address(self._wanted_address, self._wanted_backend)
            self.set_terminator(self._termination)
            self._set_visa_timeout(self._bound)
            self._prepare_link(self.visa_handle)
        except (VisaIOError, OSError) as error:
            what = "opening the link"
            raise self._link_error(what, error, self._bound) from error

    def set_terminator(self, terminator: str | None) -> None:
        """Set the characters that end a message in both directions."""
        super().set_terminator(terminator)
        if terminator is not None:
            self._termination = terminator

    def _set_visa_timeout(self, timeout: float | None) -> None:
        if timeout is None:
            message = f"{self.name}: `timeout` must be a number of seconds, but is None"
            raise ValueError(message)
        super()._set_visa_timeout(timeout)
        self._bound = timeout

    def _prepare_link(self, handle: MessageBasedResource) -> None:
        """Bring a link that was just opened into order."""
        if connection := _raw_socket(handle):
            # Without this a command and the query after it wait 40 ms for each other's
            # acknowledgement (Nagle's algorithm against delayed ACK).
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if isinstance(handle, SerialInstrument):
            handle.baud_rate = self.baud_rate
            handle.flow_control = (
                ControlFlow.rts_cts if self.hardware_handshake else ControlFlow.none
            )
            handle.flush(BufferOperation.discard_read_buffer | BufferOperation.discard_write_buffer)
        if _wire(handle) is not None:
            port = int(connection.getsockname()[1]) if connection else 0
            self._attendant = attendant(self._wanted_address, port)

    def _link_was_opened_anew(self) -> None:
        """React to a new link, behind which the instrument may have lost its settings."""

    def _check_identity(self) -> None:
        if not self.identity:
            return
        reply = self.ask_raw("*IDN?")
        if self._reopening:
            reply = self._past_late_replies(reply)
        if not re.search(self.identity, reply, re.IGNORECASE):
            message = (
                f"{self.name}: the instrument at {self._wanted_address} must identify itself as "
                f"{self.identity!r}, but answers {reply!r}; correct the address"
            )
            raise ValueError(message)

    def _past_late_replies(self, reply: str) -> str:
        """Return the reply after those to earlier questions, which a serial line still brings.

        Instruments answer in order: who has identified itself owes no other reply.
        """
        handle, what = self.visa_handle, "*IDN?"
        for _ in range(MAX_LATE_REPLIES):
            if not isinstance(handle, SerialInstrument):
                break
            if re.search(self.identity, reply, re.IGNORECASE):
                break
            with self._reading(what):
                self._await_first_byte()
                reply = str(handle.read()).strip()
        return reply

    def _await_first_byte(self) -> None:
        """Let an excused instrument begin its reply, whose bytes pyvisa then waits for."""
        wire, wait = _wire(self.visa_handle), longest_wait(self._bound)
        if wire is not None and not _bytes_are_waiting(self.visa_handle):
            _come(wire, monotonic() + wait, self._wanted_address)

    @contextlib.contextmanager
    def _exchange(self, what: str) -> Iterator[None]:
        self._make_ready()
        with self._reading(what):
            yield

    def _make_ready(self) -> None:
        """Open the link anew before an exchange that would otherwise go wrong."""
        if not self._reopening and (self._broken or _bytes_are_waiting(self.visa_handle)):
            self.reconnect()

    @contextlib.contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        """Take part in an exchange that has begun; one that fails marks the link as broken."""
        wait = longest_wait(self._bound)
        try:
            with self._time_out_of(wait):
                yield
        except BaseException as error:
            self._fail(what, error, wait)
            raise

    def _fail(self, what: str, error: BaseException, wait: float) -> None:
        """Mark the link as broken, and raise what befell it; after Ctrl-C a reply may still come.

        Raises
        ------
        TimeoutError, ConnectionError
            If the link is what failed.
        """
        self._broken = True
        if not isinstance(error, VisaIOError | OSError | UnicodeError):
            return
        failure = self._link_error(what, error, wait)
        if isinstance(failure, TimeoutError):
            no_longer_waiting()
        raise failure from error

    @contextlib.contextmanager
    def _time_out_of(self, seconds: float) -> Iterator[None]:
        """Let pyvisa wait so long for what it reads itself, if that is longer than usual."""
        handle = self.visa_handle
        if seconds <= self._bound:
            yield
            return
        handle.timeout = 1e3 * seconds
        try:
            yield
        finally:
            with contextlib.suppress(VisaError):
                handle.timeout = 1e3 * self._bound

    def _link_error(self, what: str, error: Exception, wait: float) -> OSError:
        where = f"{self.name} at {self._wanted_address}"
        advice = "check power, cable and address; the next command opens the link anew"
        if getattr(error, "error_code", None) == StatusCode.error_timeout:
            message = f"{where}: no complete reply to {what!r} within {wait} s; {advice}"
            return TimeoutError(message)
        if isinstance(error, UnicodeError):
            message = f"{where}: the reply to {what!r} is no text ({error}); {advice}"
        else:
            message = f"{where}: the link was lost during {what!r} ({error}); {advice}"
        return ConnectionError(message)


def _wire(handle: MessageBasedResource) -> "socket.socket | Serial | None":
    """Return what is beneath a pyvisa-py resource; ``None`` for other libraries and buses."""
    sessions = getattr(handle.visalib, "sessions", {})
    interface = getattr(sessions.get(handle.session), "interface", None)
    if isinstance(handle, SerialInstrument):
        return interface if hasattr(interface, "fileno") else None  # Windows waits in another way
    return interface if isinstance(interface, socket.socket) else None


def _come(wire: "socket.socket | Serial", deadline: float, address: str) -> bool:
    """Wait for bytes until a deadline, or longer if who is at the address is excused."""
    due = deadline
    while not select.select([wire], [], [], max(0.0, due - monotonic()))[0]:
        if not is_excused(address, monotonic() - deadline):
            return bool(select.select([wire], [], [], LOOK)[0])  # replied just before that look
        due = monotonic() + LOOK
    return True


def _read_until(wire: "socket.socket | Serial", end: bytes, seconds: float, address: str) -> bytes:
    """Return what comes up to an end of message.

    Raises
    ------
    VisaIOError
        If it has not come after so many seconds.
    ConnectionResetError
        If more comes after it.
    """
    received, deadline = b"", monotonic() + seconds
    while end not in received:
        part = _at_hand(wire)
        if part is None:
            if not _come(wire, deadline, address):
                raise VisaIOError(StatusCode.error_timeout)
            if isinstance(wire, socket.socket):
                part = wire.recv(1 << 16)
            else:
                part = os.read(wire.fileno(), 1 << 12)
        if not part:
            raise VisaIOError(StatusCode.error_timeout)  # hung up: nothing more will come
        received += part
    if not received.endswith(end) or received.count(end) > 1:
        message = f"{received!r} came, more than a reply"
        raise ConnectionResetError(message)
    return received


_AT_ONCE = getattr(socket, "MSG_DONTWAIT", 0)  # Windows has none


def _at_hand(wire: "socket.socket | Serial") -> bytes | None:
    """Return what a socket has received already; None if it has to be waited for."""
    if not (_AT_ONCE and isinstance(wire, socket.socket)):
        return None
    try:
        return wire.recv(1 << 16, _AT_ONCE)
    except BlockingIOError:
        return None


def _raw_socket(handle: MessageBasedResource) -> socket.socket | None:
    """Return the socket beneath a pyvisa-py resource, ``None`` for anything else."""
    wire = _wire(handle)
    return wire if isinstance(wire, socket.socket) else None


def _bytes_are_waiting(handle: MessageBasedResource) -> bool:
    """Tell whether there are bytes that nobody asked for, or the other side has hung up."""
    wire = _wire(handle)
    if isinstance(wire, socket.socket):
        sessions = getattr(handle.visalib, "sessions", {})
        if getattr(sessions[handle.session], "_pending_buffer", b""):
            return True
        return bool(select.select([wire], [], [], 0)[0])
    if wire is not None:
        return bool(wire.in_waiting)
    return isinstance(handle, SerialInstrument) and handle.bytes_in_buffer > 0


def _mark_end(handle: MessageBasedResource, *, last: bool) -> None:
    """Tell a bus whether the next transfer ends the message; sockets and serial lines have none."""
    if not isinstance(handle, SerialInstrument | TCPIPSocket):
        handle.send_end = last


@contextlib.contextmanager
def _abandoned_after(seconds: float, handle: MessageBasedResource) -> Iterator[None]:
    """Cut the link if the block takes longer: pyvisa-py waits without limit for a full socket."""
    connection = _raw_socket(handle)
    if connection is None:
        yield
        return
    watch = Timer(seconds, _shut, [connection])
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
