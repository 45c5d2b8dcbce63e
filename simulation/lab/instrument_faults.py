"""What may go wrong between a driver and a simulated instrument, and in the instrument itself."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from threading import Lock
from typing import Literal, Self, get_args

WireKind = Literal["silence", "delay", "garbage", "partial", "disconnect"]
DeviceKind = Literal["error", "refuse", "stick"]
_WIRE: tuple[str, ...] = get_args(WireKind)
_KINDS: tuple[str, ...] = (*_WIRE, *get_args(DeviceKind))


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentFault:
    """One fault of a simulated instrument.

    Attributes
    ----------
    kind : str
        On the wire, on each reply: ``silence`` (none is sent), ``delay``, ``garbage`` (`data` is
        sent before it), ``partial`` (its second half is missing), ``disconnect`` (the link is cut
        instead). In the instrument: ``error`` (an entry appears in its error queue), ``refuse`` (a
        command for `setting` is refused with an error), ``stick`` (it is accepted and changes
        nothing).
    count : int or None
        How often it happens; ``None``: until cleared.
    seconds : float
        Of ``delay``, in real time, because time-outs are real.
    data : bytes
        Of ``garbage``.
    code : int
        Of ``error`` and ``refuse``.
    text : str
        Of ``error``.
    setting : str
        Of ``refuse`` and ``stick``: a command header as the instrument understands it.
    """

    kind: WireKind | DeviceKind
    count: int | None = 1
    seconds: float = 0.0
    data: bytes = b"\xff\x00~"
    code: int = -224
    text: str = "Simulated fault"
    setting: str = ""

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            message = f"`kind` must be one of {', '.join(_KINDS)}, but is {self.kind!r}"
            raise ValueError(message)
        if self.kind in ("refuse", "stick") and not self.setting:
            message = f"a fault of kind {self.kind!r} must name the `setting` it acts on"
            raise ValueError(message)
        if self.count is not None and self.count < 1:
            message = f"`count` must be 1 or more, or None, but is {self.count}"
            raise ValueError(message)

    @classmethod
    def from_plain(cls, plain: Mapping[str, object]) -> Self:
        """Read a fault from a mapping, as in a station file."""
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(plain) - set(known))
        if unknown or "kind" not in plain:
            wrong = f"has unknown {', '.join(unknown)}" if unknown else "has no kind"
            message = f"a fault must be a mapping with kind and some of {known[1:]}, but {wrong}"
            raise ValueError(message)
        values = dict(plain)
        if isinstance(data := values.get("data"), str):
            values["data"] = data.encode("latin-1")
        return cls(**values)  # type: ignore[arg-type]  # values of a file, checked on use


class LinkCutError(ConnectionError):
    """The fault cuts this connection."""


class InstrumentFaults:
    """The faults of one simulated instrument, injected and cleared while it runs. Thread-safe.

    Parameters
    ----------
    understands : callable
        Tells whether the instrument knows the command header that a fault names.
    """

    def __init__(self, understands: Callable[[str], bool]) -> None:
        self._understands = understands
        self._lock = Lock()
        self._faults: list[tuple[InstrumentFault, list[int | None]]] = []

    def inject(self, *faults: InstrumentFault) -> None:
        """Let faults happen from now on.

        Raises
        ------
        ValueError
            If a fault names a `setting` that the instrument does not know.
        """
        for fault in faults:
            if fault.setting and not self._understands(fault.setting):
                message = f"`setting` must be one of its commands, but is {fault.setting!r}"
                raise ValueError(message)
        with self._lock:
            self._faults += [(fault, [fault.count]) for fault in faults]

    def clear(self) -> None:
        """Mend everything."""
        with self._lock:
            self._faults.clear()

    def any(self) -> bool:
        """Tell whether there are any."""
        return bool(self._faults)

    def take(
        self, *kinds: str, acts_on: Callable[[str], bool] | None = None
    ) -> InstrumentFault | None:
        """Return the first fault of these kinds and use it up once; ``None`` if there is none.

        `acts_on` tells whether the `setting` that a fault names is the one at hand.
        """
        if not self._faults:
            return None
        with self._lock:
            for fault, left in self._faults:
                if fault.kind in kinds and (acts_on is None or acts_on(fault.setting)):
                    if left[0] is not None:
                        left[0] -= 1
                    self._faults = [item for item in self._faults if item[1][0] != 0]
                    return fault
        return None

    def refuses_connections(self) -> bool:
        """Tell whether every link is cut for good, so that new ones are cut at once."""
        with self._lock:
            return any(
                fault.kind == "disconnect" and left[0] is None for fault, left in self._faults
            )

    def spoil(self, reply: bytes) -> bytes:
        """Return what arrives of a reply; sleeps for a delay.

        Raises
        ------
        LinkCutError
            If the link is to be cut instead.
        """
        fault = self.take(*_WIRE)
        if fault is None:
            return reply
        match fault.kind:
            case "silence":
                return b""
            case "garbage":
                return fault.data + reply
            case "partial":
                return reply[: len(reply.rstrip()) // 2]
            case "disconnect":
                message = "the link is cut"
                raise LinkCutError(message)
            case _:
                time.sleep(fault.seconds)
                return reply
