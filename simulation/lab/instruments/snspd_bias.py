"""Simulated SNSPD bias electronics: Photon Spot behind SPI, and a Quantum Opus SIM module."""

from collections.abc import Mapping

from simulation.lab.clock import VirtualClock
from simulation.lab.instrument_faults import InstrumentFaults, LinkCutError
from simulation.lab.ports.steady import BiasPort

CODES = 65_535


class SimulatedPhotonSpot:
    """The SPI port of Photon Spot electronics: decodes words and drives the detectors.

    Parameters
    ----------
    ports : mapping of int to BiasPort, optional
        By channel, from 1, in the order of the front panel (1A, 1B, … 4B).

    Attributes
    ----------
    words : list of bytes
        What was received.
    faults : InstrumentFaults
        ``disconnect`` acts, and ``stick`` with setting ``current``; the electronics answers nothing
        that could be spoiled.
    """

    def __init__(self, ports: Mapping[int, BiasPort] | None = None) -> None:
        self.ports = ports or {channel: BiasPort() for channel in range(1, 9)}
        self.words: list[bytes] = []
        self.faults = InstrumentFaults(lambda setting: setting == "current")

    def write(self, out: bytes) -> None:
        """Receive bytes within one chip-select."""
        try:
            self.faults.spoil(b"")
        except LinkCutError as error:
            raise OSError(19, "No such device") from error
        self.words.append(bytes(out))
        word = int.from_bytes(out, "big")
        channel = 8 - ((word >> 16) & 0xF)
        if len(out) != 3 or word >> 20 != 3 or channel not in self.ports:
            return
        if self.faults.take("stick") is not None:
            return
        volts = (word & 0xFFFF) / CODES * (4.981 + 0.010) - 0.010
        self.ports[channel].apply(volts / 10e3)


class SimulatedQuantumOpus:
    """One amplifier and bias module, as a line protocol and as a `LinePort` of its own.

    Parameters
    ----------
    port : BiasPort, optional
    clock : VirtualClock, optional

    Attributes
    ----------
    lines : list of str
        What was received.
    faults : InstrumentFaults
        ``stick`` and ``refuse`` with setting ``+B`` make it ignore a new current.
    """

    def __init__(self, port: BiasPort | None = None, clock: VirtualClock | None = None) -> None:
        self.port = port or BiasPort()
        self.clock = clock or VirtualClock()
        self.lines: list[str] = []
        self.faults = InstrumentFaults(lambda setting: setting == "+B")
        self._code = 0
        self._reset_ms = 100
        self._auto_reset = 0

    def execute(self, line: str) -> str | None:
        """Execute one line; return its reply without terminator, None if it has none."""
        self.lines.append(line)
        text = line.strip()
        queries = {
            "+A?": "Quantum Opus SIM module (simulated)",
            "+B?": str(self._code),
            "+C?": str(self._voltage_code()),
            "+D?": str(self._reset_ms // 10),
            "+E?": str(self._auto_reset),
        }
        if text in queries:
            return queries[text]
        command, value = text[:2], text[2:].rstrip(";")
        if not text.endswith(";"):
            return None
        self._set(command, value)
        return None

    def write(self, cmd: str) -> None:
        """Receive a line that has no reply."""
        self.execute(cmd)

    def ask(self, cmd: str) -> str:
        """Receive a line and answer it."""
        reply = self.execute(cmd)
        spoiled = self.faults.spoil((reply or "").encode("ascii"))
        if not spoiled:
            message = f"no reply to {cmd!r}"
            raise TimeoutError(message)
        return spoiled.decode("latin-1")

    def _set(self, command: str, value: str) -> None:
        if command == "+F":
            self._reset()
        elif command == "+B" and value.isdecimal() and int(value) <= CODES:
            if self.faults.take("stick", "refuse") is None:
                self._apply(int(value))
        elif command == "+D" and value.isdecimal() and int(value) <= 255:
            self._reset_ms = 10 * int(value)
        elif command == "+E" and value in {"0", "1"}:
            self._auto_reset = int(value)

    def _apply(self, code: int) -> None:
        self._code = code
        self.port.apply(code / CODES * 25e-6)

    def _reset(self) -> None:
        """Take the current away for the reset time."""
        self.port.apply(0.0)
        self.clock.advance(self._reset_ms * 1e-3)
        self._apply(self._code)

    def _voltage_code(self) -> int:
        """Return the amplifier's ADC: at its end when the wire is resistive."""
        return CODES if self.port.is_latched() else 0
