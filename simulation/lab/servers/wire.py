"""What a server asks of a simulated device: one conversation per connection."""

from collections.abc import Iterator
from typing import Protocol

from simulation.lab.instrument_faults import InstrumentFaults


class Conversation(Protocol):
    """One connection's view of a device: bytes in, replies out."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take bytes as they arrive; give each reply they cause, terminator included."""

    def hang_up(self) -> None:
        """Note that the other side is gone."""


class WireDevice(Protocol):
    """A simulated instrument that can be served."""

    @property
    def faults(self) -> InstrumentFaults:
        """Faults of this device and of its wire."""

    def conversation(self) -> Conversation:
        """Begin to talk on a new connection."""
