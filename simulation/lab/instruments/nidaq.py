"""Simulated analog outputs: an object with the part of ``nidaqmx`` that the driver uses."""

from collections.abc import Mapping
from typing import Any

from simulation.lab.instrument_faults import InstrumentFaults, LinkCutError
from simulation.lab.ports.steady import ActuatorPort

FULL_SCALE = 10.0
"""V."""

BITS = 16


class DaqError(Exception):
    """The card refuses, as ``nidaqmx.errors.DaqError``."""


class SimulatedNIDAQ:
    """A card with one output per port.

    Parameters
    ----------
    ports : mapping of str to ActuatorPort
        By line, like ``Dev1/ao0``.

    Attributes
    ----------
    faults : InstrumentFaults
        ``disconnect`` acts on every write; ``refuse`` and ``stick`` name a line as `setting`.
    """

    def __init__(self, ports: Mapping[str, ActuatorPort]) -> None:
        self.ports = dict(ports)
        self.reserved: set[str] = set()
        self.faults = InstrumentFaults(self.ports.__contains__)

    def Task(self) -> "SimulatedTask":
        """Make a task."""
        return SimulatedTask(self)


class SimulatedTask:
    """A task with one output; it is its own ``ao_channels``."""

    def __init__(self, card: SimulatedNIDAQ) -> None:
        self._card = card
        self._line: str | None = None
        self._limits = (0.0, 0.0)

    @property
    def ao_channels(self) -> "SimulatedTask":
        """The channels of this task."""
        return self

    def add_ao_voltage_chan(self, line: str, *, min_val: float, max_val: float) -> None:
        """Reserve an output."""
        if line not in self._card.ports:
            message = f"-200170: Physical channel specified does not exist on this device: {line}"
            raise DaqError(message)
        if line in self._card.reserved:
            message = f"-50103: The specified resource is reserved: {line}"
            raise DaqError(message)
        if not -FULL_SCALE <= min_val < max_val <= FULL_SCALE:
            message = f"-200077: Requested value is not supported: {min_val} to {max_val} V"
            raise DaqError(message)
        self._card.reserved.add(line)
        self._line = line
        self._limits = (min_val, max_val)

    def write(self, voltage: float, *, auto_start: bool) -> int:
        """Put a voltage out, in steps of the converter; return the samples written."""
        line = self._line
        if line is None or not auto_start:
            message = "-200478: Specified operation cannot be performed without a running channel"
            raise DaqError(message)
        self._check(line, voltage)
        if self._card.faults.take("stick", acts_on=line.__eq__) is None:
            step = 2 * FULL_SCALE / 2**BITS
            self._card.ports[line].apply(round(voltage / step) * step)
        return 1

    def close(self) -> None:
        """Give the output free; it holds its voltage."""
        self._card.reserved.discard(self._line or "")
        self._line = None

    def _check(self, line: str, voltage: float) -> None:
        faults: Any = self._card.faults
        try:
            faults.spoil(b"")
        except LinkCutError as error:
            message = f"-88705: The specified device is not present: {line}"
            raise DaqError(message) from error
        refused = faults.take("refuse", acts_on=line.__eq__) is not None
        if refused or not self._limits[0] <= voltage <= self._limits[1]:
            message = f"-200561: Attempted writing analog data that is too large: {voltage} V"
            raise DaqError(message)
