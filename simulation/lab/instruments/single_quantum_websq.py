"""Simulated Single Quantum WebSQ: JSON messages that end with byte 23, and a stream of counts."""

import json
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any, TypeGuard

from simulation.lab.instrument_faults import InstrumentFaults
from simulation.lab.ports.steady import BiasPort
from simulation.lab.ports.tagger import TaggerPort, TaggerSettings

END = b"\x17"
LARGEST = 90.9
"""Of a bias current, µA."""

SHORTEST_PERIOD = 10
"""Of a measurement, ms."""

SET = {
    "SetAllBiasCurrents": "BiasCurrent",
    "SetAllTriggerLevels": "TriggerLevel",
    "SetMeasurementPeriod": "InptMeasurementPeriod",
    "DetectorEnable": "DetectorEnable",
}
"""Label that each command changes."""


class SimulatedWebSQ:
    """The control port. A refused command is silent; one that is obeyed is broadcast.

    Parameters
    ----------
    ports : mapping of int to BiasPort, optional
        By channel, from 1.

    Attributes
    ----------
    faults : InstrumentFaults
        ``stick`` and ``refuse`` with a command as setting: nothing happens.
    """

    def __init__(self, ports: Mapping[int, BiasPort] | None = None) -> None:
        self.ports = dict(ports or {1: BiasPort(), 2: BiasPort()})
        self.faults = InstrumentFaults(lambda setting: setting in SET)
        number = len(self.ports)
        self.labels: dict[str, Any] = {
            "NumberOfDetectors": number,
            "BiasCurrent": [0.0] * number,
            "TriggerLevel": [100.0] * number,
            "InptMeasurementPeriod": 100,
            "DetectorEnable": False,
            "BiasVoltage": [0.0] * number,
        }

    def conversation(self) -> "_JsonConversation":
        """Begin to talk on a new connection."""
        return _JsonConversation(self)

    def answer(self, message: object) -> Iterator[bytes]:
        """Give what is told because of a message; what is no object is told nothing."""
        if not isinstance(message, Mapping):
            return
        if message.get("request") == "labelProps":
            bounds = {"BiasCurrent": [-LARGEST, LARGEST]}
            told = [
                {"label": label, "value": {"value": value, "bounds": bounds.get(label)}}
                for label, value in self.labels.items()
            ]
            yield "".join(json.dumps(one) for one in told).encode() + END
        elif message.get("request") == "BiasVoltage":
            yield self._broadcast("BiasVoltage")
        elif (command := str(message.get("command"))) in SET and self._obeys(command, message):
            yield self._broadcast(SET[command])

    def _obeys(self, command: str, message: Mapping[str, Any]) -> bool:
        value = message.get("value")
        if self.faults.take("stick", "refuse", acts_on=lambda setting: setting == command):
            return False
        if not self._is_allowed(command, value):
            return False
        self.labels[SET[command]] = value
        self._publish()
        return True

    def _is_allowed(self, command: str, value: object) -> bool:
        match command:
            case "DetectorEnable":
                return isinstance(value, bool)
            case "SetMeasurementPeriod":
                return _is_number(value) and value >= SHORTEST_PERIOD
            case "SetAllBiasCurrents":
                return self._is_list(value) and all(abs(each) <= LARGEST for each in value)
            case _:
                return self._is_list(value)

    def _is_list(self, value: object) -> TypeGuard[list[float]]:
        return (
            isinstance(value, list)
            and len(value) == len(self.ports)
            and all(_is_number(item) for item in value)
        )

    def _publish(self) -> None:
        on, currents = self.labels["DetectorEnable"], self.labels["BiasCurrent"]
        for number, port in self.ports.items():
            port.apply(currents[number - 1] * 1e-6 if on else 0.0)
            self.labels["BiasVoltage"][number - 1] = 1000.0 if port.is_latched() else 0.0

    def _broadcast(self, label: str) -> bytes:
        return json.dumps({"label": label, "value": self.labels[label]}).encode() + END


def _is_number(value: object) -> TypeGuard[float]:
    """Tell a finite number from a truth value and from what JSON calls NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


class SimulatedWebSQCounts:
    """The stream of counts: lines of time and clicks per period of 100 ms, on connecting.

    Parameters
    ----------
    tagger : TaggerPort, optional
        Behind the same detectors.
    """

    PERIOD, LINES = 0.1, 10

    def __init__(self, tagger: TaggerPort | None = None) -> None:
        self.tagger = tagger or TaggerPort()
        self.faults = InstrumentFaults(lambda _: False)

    def conversation(self) -> "_Counts":
        """Begin to talk on a new connection."""
        return _Counts(self)

    def lines(self) -> bytes:
        """Return the next lines."""
        rows = []
        for number in range(self.LINES):
            rates = self.tagger.rates(TaggerSettings()).inputs
            counts = ",".join(f"{rate * self.PERIOD:.0f}" for rate in rates)
            rows.append(f"{number * self.PERIOD:.1f},{counts}\n")
        return "".join(rows).encode()


class _JsonConversation:
    """One client's stream of JSON objects, which nothing separates."""

    def __init__(self, instrument: SimulatedWebSQ) -> None:
        self._instrument = instrument
        self._rest = ""

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._rest += data.decode("latin-1")
        decoder = json.JSONDecoder()
        while self._rest.strip():
            self._rest = self._rest.lstrip()
            try:
                message, length = decoder.raw_decode(self._rest)
            except json.JSONDecodeError:
                return
            self._rest = self._rest[length:]
            yield from self._instrument.answer(message)

    def hang_up(self) -> None:
        self._rest = ""


class _Counts:
    """One client of the stream."""

    def __init__(self, stream: SimulatedWebSQCounts) -> None:
        self.greeting = stream.lines()

    def feed(self, data: bytes) -> Iterator[bytes]:
        yield from ()

    def hang_up(self) -> None:
        """Forget nothing."""
