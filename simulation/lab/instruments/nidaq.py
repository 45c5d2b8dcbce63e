"""Simulated analog outputs and inputs: an object with the part of ``nidaqmx`` that is used."""

from collections.abc import Mapping

from simulation.lab.instrument_faults import InstrumentFaults, LinkCutError
from simulation.lab.ports.steady import ActuatorPort

FULL_SCALE = 10.0
"""V."""

BITS = 16
STEP: float = 2 * FULL_SCALE / 2**BITS
"""V, of the converters."""


class DaqError(Exception):
    """The card refuses, as ``nidaqmx.errors.DaqError``."""


class SimulatedNIDAQ:
    """Cards with one output per port, and inputs.

    Parameters
    ----------
    ports : mapping of str to ActuatorPort
        By line, like ``Dev1/ao0``.
    inputs : mapping of str to ActuatorPort, optional
        Whose voltage an input measures, by channel, like ``Dev2/ai0``.

    Attributes
    ----------
    faults : InstrumentFaults
        ``disconnect`` acts on every write and read; ``refuse`` and ``stick`` name a line as
        `setting`.
    """

    def __init__(
        self, ports: Mapping[str, ActuatorPort], inputs: Mapping[str, ActuatorPort] | None = None
    ) -> None:
        self.ports, self.inputs = dict(ports), dict(inputs or {})
        self.reserved: set[str] = set()
        self.faults = InstrumentFaults(self.ports.__contains__)

    def Task(self) -> "SimulatedTask":
        """Make a task."""
        return SimulatedTask(self)


class SimulatedTask:
    """A task with one output or input; it is its own ``ao_channels`` and ``ai_channels``."""

    def __init__(self, card: SimulatedNIDAQ) -> None:
        self._card = card
        self._line = self._resource = ""
        self._limits = (0.0, 0.0)

    @property
    def ao_channels(self) -> "SimulatedTask":
        """The channels of this task."""
        return self

    @property
    def ai_channels(self) -> "SimulatedTask":
        """The channels of this task."""
        return self

    def add_ai_voltage_chan(self, line: str, *, min_val: float, max_val: float) -> None:
        """Reserve an input, and with it those of the same card, which share a converter."""
        if line not in self._card.inputs:
            message = f"-200170: Physical channel specified does not exist on this device: {line}"
            raise DaqError(message)
        converter = f"{line.partition('/')[0]}/ai"
        if converter in self._card.reserved:
            message = f"-50103: The specified resource is reserved: {converter}"
            raise DaqError(message)
        self._reserve(line, converter, min_val, max_val)

    def read(self) -> float:
        """Measure the input's voltage, V; beyond the limits it is clipped."""
        line = self._line
        if line not in self._card.inputs:
            message = "-200478: Specified operation cannot be performed without a channel"
            raise DaqError(message)
        self._check_present(line)
        voltage = round(self._card.inputs[line].voltage / STEP) * STEP
        return min(max(voltage, self._limits[0]), self._limits[1])

    def add_ao_voltage_chan(self, line: str, *, min_val: float, max_val: float) -> None:
        """Reserve an output."""
        if line not in self._card.ports:
            message = f"-200170: Physical channel specified does not exist on this device: {line}"
            raise DaqError(message)
        if line in self._card.reserved:
            message = f"-50103: The specified resource is reserved: {line}"
            raise DaqError(message)
        self._reserve(line, line, min_val, max_val)

    def _reserve(self, line: str, resource: str, min_val: float, max_val: float) -> None:
        if not -FULL_SCALE <= min_val < max_val <= FULL_SCALE:
            message = f"-200077: Requested value is not supported: {min_val} to {max_val} V"
            raise DaqError(message)
        self._card.reserved.add(resource)
        self._line, self._resource = line, resource
        self._limits = (min_val, max_val)

    def write(self, voltage: float, *, auto_start: bool) -> int:
        """Put a voltage out, in steps of the converter; return the samples written."""
        line = self._line
        if line not in self._card.ports or not auto_start:
            message = "-200478: Specified operation cannot be performed without a running channel"
            raise DaqError(message)
        self._check(line, voltage)
        if self._card.faults.take("stick", acts_on=line.__eq__) is None:
            self._card.ports[line].apply(round(voltage / STEP) * STEP)
        return 1

    def close(self) -> None:
        """Give the channel free; an output holds its voltage."""
        self._card.reserved.discard(self._resource)
        self._line = ""

    def _check_present(self, line: str) -> None:
        try:
            self._card.faults.spoil(b"")
        except LinkCutError as error:
            message = f"-88705: The specified device is not present: {line}"
            raise DaqError(message) from error

    def _check(self, line: str, voltage: float) -> None:
        self._check_present(line)
        refused = self._card.faults.take("refuse", acts_on=line.__eq__) is not None
        if refused or not self._limits[0] <= voltage <= self._limits[1]:
            message = f"-200561: Attempted writing analog data that is too large: {voltage} V"
            raise DaqError(message)
