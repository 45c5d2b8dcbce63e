"""Simulated HDAWG behind the nodes of zhinst-toolkit: one core of two outputs drives the EOM.

It understands SeqC of one kind: waves by index, an endless loop that waits for the digital trigger
and then repeats waves. Granularity and latency of the device are not public: none are simulated.
"""

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.lab.instrument_faults import InstrumentFaults
from simulation.lab.ports.drives import PhaseDrive, PhaseDrivePort

CLOCKS = (100e6, 2.4e9)
OUTPUT_VOLTS = 2.5
"""Of a sample of 1, V into 50 Ω, at the one range that is simulated."""

_ASSIGN = re.compile(r"assignWaveIndex\((\d), (\w+), (\d+)\);")
_LENGTH = re.compile(r"wave (\w+) = placeholder\((\d+), false, false\);")
_PLAY = re.compile(r"repeat \((\d+)\) \{ playWave\((\d), (\w+)\); \}")


class Node:
    """A setting that is called with a value to set it, and without to read it."""

    def __init__(self, value: Any, changed: Callable[[], None] | None = None) -> None:
        self.value = value
        self._changed = changed

    def __call__(self, value: Any = None) -> Any:
        """Set, or read."""
        if value is None:
            return self.value
        self.value = value
        if self._changed is not None:
            self._changed()
        return None


class SimulatedWaveforms(dict[int, NDArray[np.float64]]):
    """Waves by index, to be written to the waveform memory."""

    def assign_waveform(self, slot: int, wave: NDArray[np.float64]) -> None:
        """Put a wave (samples −1 to 1) into a slot."""
        if np.max(np.abs(wave)) > 1:
            message = "samples must lie within -1 and 1"
            raise ValueError(message)
        self[slot] = np.asarray(wave)


class SimulatedSequencer:
    """The sequencer of outputs 1 and 2."""

    def __init__(self, device: "SimulatedHDAWGDevice") -> None:
        self._device = device
        self.enable = Node(0, device.publish)
        self.auxtriggers = [SimpleNamespace(channel=Node(0), slope=Node(0))]
        self.lengths: dict[str, int] = {}
        self.indices: dict[str, int] = {}
        self.steps: list[tuple[int, int, str]] = []
        self.memory: dict[int, NDArray[np.float64]] = {}

    def load_sequencer_program(self, text: str) -> None:
        """Compile and load a program."""
        if "while (true) {" not in text or "waitDigTrigger(1);" not in text:
            message = "the simulation only plays loops that wait for the digital trigger"
            raise RuntimeError(message)
        self.lengths = {name: int(length) for name, length in _LENGTH.findall(text)}
        self.indices = {name: int(index) for _, name, index in _ASSIGN.findall(text)}
        self.steps = [(int(n), int(out), name) for n, out, name in _PLAY.findall(text)]
        self.memory = {}

    def write_to_waveform_memory(self, waveforms: SimulatedWaveforms) -> None:
        """Write waves that the program has assigned."""
        by_index = {index: name for name, index in self.indices.items()}
        for index, wave in waveforms.items():
            if index not in by_index or self.lengths[by_index[index]] != len(wave):
                message = f"waveform {index} is not assigned with {len(wave)} samples"
                raise RuntimeError(message)
            self.memory[index] = wave

    def enable_sequencer(self, *, single: bool) -> None:
        """Start the program."""
        if single or not self.steps:
            message = "the sequencer could not be enabled"
            raise RuntimeError(message)
        self.enable(1)

    def drive(self, output: int, rate: float) -> PhaseDrive | None:
        """Return what an output plays at each trigger."""
        own = [(count, name) for count, out, name in self.steps if out == output]
        is_ready = all(self.indices[name] in self.memory for _, name in own)
        if not (self.enable() and own and is_ready):
            return None
        starts = self.auxtriggers[0].slope() == 1
        steps = tuple(
            (self.memory[self.indices[name]] * OUTPUT_VOLTS, count) for count, name in own
        )
        return PhaseDrive(steps=steps, sample_rate=rate, trigger="external" if starts else "none")


class SimulatedHDAWGDevice:
    """The device's tree of nodes, as far as a driver needs it."""

    device_type = "HDAWG4"

    def __init__(self, ports: tuple[PhaseDrivePort, PhaseDrivePort]) -> None:
        self._ports = ports
        self._ready = False
        self.sigouts = [SimpleNamespace(on=Node(0, self.publish)) for _ in range(4)]
        self.system = SimpleNamespace(
            fwrevision=Node(70000),
            clocks=SimpleNamespace(sampleclock=SimpleNamespace(freq=Node(CLOCKS[1]))),
        )
        self.awgs = [SimulatedSequencer(self), SimulatedSequencer(self)]
        self._ready = True

    def publish(self) -> None:
        """Put out what outputs 1 and 2 play."""
        if not self._ready:
            return
        rate = float(self.system.clocks.sampleclock.freq())
        for number, port in enumerate(self._ports):
            is_on = bool(self.sigouts[number].on())
            port.drive = self.awgs[0].drive(number + 1, rate) if is_on else None


class SimulatedZhinst:
    """What a driver takes for ``zhinst.toolkit``: `Session` and `Waveforms`.

    Parameters
    ----------
    ports : tuple of PhaseDrivePort, optional
    """

    Waveforms = SimulatedWaveforms
    SERIAL = "dev8000"

    def __init__(self, ports: tuple[PhaseDrivePort, PhaseDrivePort] | None = None) -> None:
        self.device = SimulatedHDAWGDevice(ports or (PhaseDrivePort(), PhaseDrivePort()))
        self.faults = InstrumentFaults(lambda _: False)

    def Session(self, host: str) -> "SimulatedZhinst":
        """Connect to the data server."""
        return self

    def connect_device(self, serial: str) -> SimulatedHDAWGDevice:
        """Return the device with a serial number."""
        if serial != self.SERIAL:
            message = f"device {serial} not found"
            raise RuntimeError(message)
        return self.device
