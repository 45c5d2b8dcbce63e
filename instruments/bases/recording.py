"""Recording with a time tagger: from the device to a sink, with two threads and fixed buffers."""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from queue import LifoQueue, SimpleQueue
from threading import Event, Lock, Thread
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from qcodes.instrument import Instrument

from instruments.roles import RecordSink, TaggerEvent, TaggerEventKind

Buffer = NDArray[np.uint32]

_PAGE = 4096
"""Alignment of buffers, bytes."""

_SYNC_INTERVAL = 5.0
"""Longest time that records wait to reach the disk, s."""

STOP_TIMEOUT = 10.0
"""Longest wait for the end of a recording that is stopped, s."""


class Fault(NamedTuple):
    """Something wrong with a measurement, and whether it ends it."""

    kind: TaggerEventKind
    message: str
    ends: bool = False


class RecordReader(Protocol):
    """The device's side of a recording; called by one thread only."""

    def faults(self) -> Sequence[Fault]:
        """Return what is wrong now."""

    def read(self, buffer: Buffer) -> int:
        """Put waiting records into `buffer` and return their number, 0 if none wait."""

    def ended(self) -> bool:
        """Tell whether the device has stopped measuring; records may still wait."""

    def stop(self) -> None:
        """Make the device stop measuring; waiting records stay readable.

        Called once at the end of every recording, also of one that ended by itself: a device may
        need it to leave its measuring state.
        """


class BlockReader(ABC):
    """Base of readers whose device hands out blocks of its own size."""

    def __init__(self) -> None:
        self._waiting: Buffer = np.empty(0, np.uint32)

    @abstractmethod
    def next_block(self) -> Buffer:
        """Return the records that the device has now."""

    def read(self, buffer: Buffer) -> int:
        """Put waiting records into `buffer` and return their number."""
        if len(self._waiting) == 0:
            self._waiting = self.next_block()
        count = min(len(buffer), len(self._waiting))
        buffer[:count] = self._waiting[:count]
        self._waiting = self._waiting[count:]
        return count


class Recording:
    """One recording: a thread reads the device, a second one writes to the sink.

    The reader never waits for the disk while a free buffer is left; memory is allocated once.
    The sink is synced every 5 s and at the end.

    Thread-safe: `stop`, `wait` and `events` may be called from any thread.

    Parameters
    ----------
    reader : RecordReader
        Already measuring.
    sink : RecordSink
        Used by the writing thread alone until the recording has ended.
    name : str
        For messages and thread names.
    buffers, buffer_records : int, optional
        How much may wait for the sink before the device has to wait.
    poll : float, optional
        Time between looks at a device that has nothing, s; who waits for the end makes it look.
    """

    def __init__(
        self,
        reader: RecordReader,
        sink: RecordSink,
        *,
        name: str,
        buffers: int = 64,
        buffer_records: int = 131_072,
        poll: float = 1e-3,
    ) -> None:
        self._reader = reader
        self._sink = sink
        self._name = name
        self._poll = poll
        self._free: LifoQueue[Buffer] = LifoQueue()
        for buffer in _aligned(buffers, buffer_records):
            self._free.put(buffer)
        self._filled: SimpleQueue[tuple[Buffer, int] | None] = SimpleQueue()
        self._stop = Event()
        self._look = Event()
        self._done = Event()
        self._lock = Lock()
        self._events: list[TaggerEvent] = []
        self._present: set[Fault] = set()
        self._errors: list[BaseException] = []
        self._records = 0
        self._threads = [
            Thread(target=self._read_all, name=f"{name}-reader", daemon=True),
            Thread(target=self._write_all, name=f"{name}-writer", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def events(self) -> tuple[TaggerEvent, ...]:
        """Return what spoiled the recording so far, in order."""
        with self._lock:
            return tuple(self._events)

    def running(self) -> bool:
        """Tell whether the recording still goes on."""
        return not self._done.is_set()

    def request_stop(self) -> None:
        """Ask for the end and return at once."""
        self._stop.set()
        self._look.set()

    def wait(self, timeout: float) -> bool:
        """Wait for the end; tell whether it has come.

        Whoever waits ends the reader's pause: it looks at the device now.

        Raises
        ------
        RuntimeError
            If reading or writing failed; what came before is in the sink.
        """
        if timeout > 0:
            self._look.set()
        if not self._done.wait(timeout):
            return False
        for thread in self._threads:
            thread.join()
        if self._errors:
            first = self._errors[0]
            message = (
                f"{self._name}: the recording must run to its end, but failed after "
                f"{self._records} records: {first}"
            )
            raise RuntimeError(message) from first
        return True

    def stop(self, timeout: float) -> None:
        """End early and wait until all that was read is in the sink.

        Raises
        ------
        TimeoutError
            If that takes longer than `timeout` seconds.
        RuntimeError
            As for `wait`.
        """
        self.request_stop()
        if not self.wait(timeout):
            message = (
                f"{self._name}: the recording must end within {timeout} s of `stop`, but has not; "
                "the sink or the device does not answer"
            )
            raise TimeoutError(message)

    def _read_all(self) -> None:
        try:
            self._read_until_end()
        except Exception as error:
            self._fail(error)
            self._stop_device()
        finally:
            self._filled.put(None)

    def _read_until_end(self) -> None:
        stopped = finishing = False
        while True:
            if self._stop.is_set() and not stopped:
                self._reader.stop()
                stopped = True
            if self._note(self._reader.faults()):
                self._reader.stop()
                return
            if self._read_once():
                continue
            if finishing:
                self._note(self._reader.faults())
                if not stopped:
                    self._reader.stop()
                return
            finishing = stopped or self._reader.ended()
            if not finishing and self._look.wait(self._poll):
                self._look.clear()

    def _read_once(self) -> int:
        buffer = self._free.get()
        count = self._reader.read(buffer)
        if count:
            self._filled.put((buffer, count))
            self._records += count
        else:
            self._free.put(buffer)
        return count

    def _note(self, faults: Sequence[Fault]) -> bool:
        """Record faults that were not there before; tell whether one of them ends all."""
        for fault in faults:
            if fault not in self._present:
                self._add_event(fault.kind, fault.message)
        self._present = set(faults)
        return any(fault.ends for fault in faults)

    def _add_event(self, kind: TaggerEventKind, message: str) -> None:
        event = TaggerEvent(kind=kind, records=self._records, message=message)
        with self._lock:
            self._events.append(event)

    def _fail(self, error: BaseException) -> None:
        self._errors.append(error)
        self._add_event("system_error", str(error))

    def _stop_device(self) -> None:
        try:
            self._reader.stop()
        except Exception as error:
            self._add_event("system_error", f"and could not be stopped: {error}")

    def _write_all(self) -> None:
        """Write until the reader's end mark; after a failure only give buffers back."""
        synced = time.monotonic()
        while (item := self._filled.get()) is not None:
            buffer, count = item
            if not self._errors:
                self._write(buffer[:count])
                if time.monotonic() - synced > _SYNC_INTERVAL:
                    self._guarded_sync()
                    synced = time.monotonic()
            self._free.put(buffer)
        self._guarded_sync()
        self._done.set()

    def _write(self, records: Buffer) -> None:
        try:
            self._sink.write(records)
        except Exception as error:
            self._fail(error)
            self._stop.set()

    def _guarded_sync(self) -> None:
        try:
            self._sink.sync()
        except Exception as error:
            self._fail(error)
            self._stop.set()


class RecordingTagger(Instrument):
    """Base of the taggers that carry their records to a sink with a `Recording`.

    Parameters
    ----------
    name : str
    **kwargs
        Of `qcodes.instrument.Instrument`.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._recording: Recording | None = None

    def wait(self, timeout: float) -> bool:
        """Wait for the recording's end; tell whether it has ended.

        Raises
        ------
        RuntimeError
            If reading or writing failed.
        """
        return self._recording is None or self._recording.wait(timeout)

    def stop(self) -> None:
        """End the recording early; what was recorded is in the sink."""
        if self._recording is not None:
            self._recording.stop(STOP_TIMEOUT)

    def events(self) -> tuple[TaggerEvent, ...]:
        """Return what spoiled the present or last recording."""
        return () if self._recording is None else self._recording.events()

    def require_idle(self, action: str) -> None:
        """Refuse an action while a recording runs.

        Raises
        ------
        RuntimeError
            Naming the action.
        """
        if self._recording is not None and self._recording.running():
            message = f"{self.name}: {action} must wait for the recording's end; call stop() first"
            raise RuntimeError(message)

    def _record(self, reader: RecordReader, sink: RecordSink) -> None:
        """Carry the records of a measurement that has begun."""
        self._recording = Recording(reader, sink, name=self.name)

    def _let_end(self) -> None:
        """Ask a recording for its end without waiting."""
        if self._recording is not None:
            self._recording.request_stop()

    def _end_recording(self) -> None:
        if self._recording is not None and self._recording.running():
            self._recording.stop(STOP_TIMEOUT)

    def _require_settings(self, missing: Sequence[str]) -> None:
        if missing:
            message = (
                f"{self.name}: {', '.join(missing)} must be set before recording, but are not; "
                "they depend on the detectors and have no default"
            )
            raise RuntimeError(message)

    def _require_input(self, channel: int, n_inputs: int) -> None:
        if not 0 <= channel < n_inputs:
            message = f"{self.name}: `channel` must be 0 to {n_inputs - 1}, but is {channel}"
            raise ValueError(message)


def _aligned(buffers: int, records: int) -> list[Buffer]:
    """Cut page-aligned buffers, as the vendor recommends, from one block of memory."""
    size = -(-4 * records // _PAGE) * _PAGE
    block = np.empty(buffers * size + _PAGE, dtype=np.uint8)
    start = -block.ctypes.data % _PAGE
    slots = block[start : start + buffers * size].reshape(buffers, size)
    return [slot[: 4 * records].view(np.uint32) for slot in slots]
