"""Simulated Tektronix AWG5014C, as QCoDeS's own driver speaks to it: wave list, sequence, runs."""

from dataclasses import dataclass
from math import inf
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from simulation.lab.ports.drives import (
    DriveSamples,
    PhaseDrive,
    PhaseDrivePort,
    PulseDrive,
    PulseDrivePort,
    Trigger,
)
from simulation.lab.servers.scpi_grammar import read_block
from simulation.lab.servers.scpi_values import (
    HERTZ,
    SECONDS,
    VOLTS,
    Integer,
    Kind,
    Number,
    ScpiError,
    Switch,
    Text,
    Value,
    Word,
)
from simulation.lab.servers.simulated_scpi import Call, Held, SimulatedScpi

ZERO_CODE = 8191
"""Of the 14 bits of a sample; the two bits above are markers."""

_MARKERS = (
    ("DELay", Number(units=SECONDS), 0.0),
    ("VOLTage[:LEVel][:IMMediate]:HIGH", Number(units=VOLTS), 1.0),
    ("VOLTage[:LEVel][:IMMediate]:LOW", Number(units=VOLTS), 0.0),
)


@dataclass(slots=True)
class Element:
    """A step of the sequence."""

    waves: dict[int, str]
    loops: int = 1
    waits: bool = False
    jumps: bool = False
    target: int = 1


class SimulatedAWG5014(SimulatedScpi):
    """The generator. Each output drives an AOM or a phase modulator, or is not connected.

    It runs in the modes TRIG (each trigger plays the waves of the channels) and SEQ (each trigger
    plays a sequence whose first element waits and whose last one leads back to it). Samples can be
    deleted by name, or all at once.

    Parameters
    ----------
    ports : mapping of int to PulseDrivePort or PhaseDrivePort, optional
        By channel.
    """

    block_ends = True
    channels: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)
    settings: ClassVar[tuple[Held, ...]] = (
        Held("OUTPut#[:STATe]", "output", Switch(), False),
        Held(
            "SOURce#:VOLTage[:LEVel][:IMMediate][:AMPLitude]",
            "amplitude", Number(low=0.02, high=4.5, units=VOLTS), 1.0,
        ),
        Held(
            "SOURce#:VOLTage[:LEVel][:IMMediate]:OFFSet",
            "offset", Number(low=-2.25, high=2.25, units=VOLTS), 0.0,
        ),
        Held("SOURce#:WAVeform", "waveform", Text(), ""),
        Held("SOURce#:COMBine:FEED", "feed", Text(), ""),
        Held("AWGControl:DOUTput#[:STATe]", "direct", Switch(), False),
        Held("OUTPut#:FILTer[:LPASs]:FREQuency", "filter",
                Number(low=20e6, high=100e6, infinity=True), inf),
        Held("AWGControl:DC#:VOLTage[:LEVel][:IMMediate]:OFFSet", "dc",
                Number(low=-3, high=5, units=VOLTS), 0.0),
        Held("AWGControl:RMODe", "mode",
                Word(("CONTinuous", "TRIGgered", "SEQuence", "GATed")), "CONT"),
        Held("AWGControl:CLOCk:SOURce", "clock_source", Word(("INTernal", "EXTernal")), "INT"),
        Held("AWGControl:DC[:STATe]", "dc_output", Switch(), False),
        Held("SOURce:FREQuency[:CW]", "clock", Number(low=10e6, high=1.2e9, units=HERTZ), 1e9),
        Held("SOURce#:ROSCillator:SOURce", "reference", Word(("INTernal", "EXTernal")), "INT"),
        Held("TRIGger:IMPedance", "trigger_impedance", Number(low=50, high=1000), 1000.0),
        Held("TRIGger:LEVel", "trigger_level", Number(low=-5, high=5), 1.4),
        Held("TRIGger:SLOPe", "trigger_slope", Word(("POSitive", "NEGative")), "POS"),
        Held("TRIGger:SOURce", "trigger_source", Word(("INTernal", "EXTernal")), "EXT"),
        Held("EVENt:POLarity", "event_polarity", Word(("POSitive", "NEGative")), "POS"),
        Held("EVENt:IMPedance", "event_impedance", Number(low=50, high=1000), 1000.0),
        Held("EVENt:LEVel", "event_level", Number(low=-5, high=5), 1.4),
        Held("EVENt:JTIMing", "event_timing", Word(("SYNChronous", "ASYNchronous")), "ASYN"),
    )  # fmt: skip

    def __init__(self, ports: dict[int, PulseDrivePort | PhaseDrivePort] | None = None) -> None:
        self.ports = ports or {}
        self.waves: dict[str, NDArray[np.float64] | int] = {}
        self.elements: list[Element] = []
        self.runs = False
        self._markers: dict[tuple[str, tuple[int, ...]], Value] = {}
        super().__init__("TEKTRONIX,AWG5014C,B000001,SCPI:99.0 FW:simulated")
        self._register_waves()
        self._register_sequence()
        for header, kind, default in _MARKERS:
            self._register_marker(header, kind, default)
        self.on("AWGControl:RUN[:IMMediate]", set=lambda _: self._run_outputs())
        self.on("AWGControl:STOP[:IMMediate]", set=lambda _: self._stop())
        self.on("AWGControl:RSTATe", get=lambda _: self._run_state())
        self.on("AWGControl:SNAMe", get=lambda _: '"\\default.awg","C:"')
        self.on("AWGControl:SEQuencer:POSition", get=lambda _: "1")

    def power_on(self) -> None:
        """Take the default setup; the wave list stays."""
        super().power_on()
        self.elements, self.runs = [], False
        self._publish()

    def changed(self, name: str, suffixes: tuple[int, ...]) -> None:
        """Publish; a wave that is not listed is refused, another run mode stops."""
        if name == "waveform":
            wanted = str(self.value("waveform", suffixes[0]))
            if wanted and wanted not in self.waves:
                self.values["waveform", suffixes[0]] = ""
                raise ScpiError(-224)
        elif name == "mode":
            self.runs = False
        self._publish()

    def _register_waves(self) -> None:
        self.on("WLISt:WAVeform:NEW", set=self._new_wave)
        self.on("WLISt:WAVeform:DATA", set=self._fill_wave)
        self.on("WLISt:WAVeform:DELete", set=self._delete)

    def _register_sequence(self) -> None:
        self.on("SEQuence:LENGth", set=self._resize, get=lambda _: str(len(self.elements)))
        self.on(
            "SEQuence:ELEMent#:WAVeform#",
            set=self._put_wave,
            get=lambda call: f'"{self._element(call).waves.get(call.suffixes[1], "")}"',
        )
        for header, name, kind in (
            ("LOOP:COUNt", "loops", Integer(low=1, high=65536)),
            ("TWAit", "waits", Switch()),
            ("GOTO:STATe", "jumps", Switch()),
            ("GOTO:INDex", "target", Integer(low=1, high=8000)),
        ):
            self._register_element(header, name, kind)

    def _register_element(self, header: str, name: str, kind: Kind) -> None:
        self.on(
            f"SEQuence:ELEMent#:{header}",
            set=lambda call: self._put(call, name, call.argument(kind)),
            get=lambda call: str(int(getattr(self._element(call), name))),
        )

    def _register_marker(self, header: str, kind: Kind, default: Value) -> None:
        self._markers |= {
            (header, (channel, marker)): default for channel in self.channels for marker in (1, 2)
        }

        def key(call: Call) -> tuple[str, tuple[int, ...]]:
            if (header, call.suffixes) not in self._markers:
                raise ScpiError(-114)
            return header, call.suffixes

        self.on(
            f"SOURce#:MARKer#:{header}",
            set=lambda call: self._markers.update({key(call): call.argument(kind)}),
            get=lambda call: kind.show(self._markers[key(call)]),
        )

    def _new_wave(self, call: Call) -> None:
        name, points = str(call.argument(Text())), int(call.argument(Integer(low=1), 1))
        if name in self.waves:
            raise ScpiError(-221)
        self.waves[name] = points

    def _fill_wave(self, call: Call) -> None:
        name = str(call.argument(Text()))
        data = read_block(call.arguments[1]) if len(call.arguments) > 1 else None
        if name not in self.waves:
            raise ScpiError(-224)
        if data is None or len(data) % 2:
            raise ScpiError(-161)
        codes = np.frombuffer(data, "<u2") & 0x3FFF
        empty = self.waves.get(name)
        wanted = empty if isinstance(empty, int) else len(empty if empty is not None else ())
        if wanted != len(codes):
            raise ScpiError(-161)
        self.waves[name] = (codes.astype(float) - ZERO_CODE) / ZERO_CODE
        self._publish()

    def _delete(self, call: Call) -> None:
        if call.word() == "ALL":
            self.waves.clear()
        else:
            self.waves.pop(str(call.argument(Text())), None)
        self._stop()

    def _resize(self, call: Call) -> None:
        length = int(call.argument(Integer(low=0, high=8000)))
        del self.elements[length:]
        self.elements += [Element({}) for _ in range(length - len(self.elements))]
        self._publish()

    def _element(self, call: Call) -> Element:
        if not 1 <= call.channel <= len(self.elements):
            raise ScpiError(-222)
        return self.elements[call.channel - 1]

    def _put(self, call: Call, name: str, value: object) -> None:
        setattr(self._element(call), name, value)
        self._publish()

    def _put_wave(self, call: Call) -> None:
        name = str(call.argument(Text()))
        if name not in self.waves or call.suffixes[1] not in self.channels:
            raise ScpiError(-224)
        self._element(call).waves[call.suffixes[1]] = name
        self._publish()

    def _run_outputs(self) -> None:
        """Run, if every output that is on has something to play."""
        missing = [c for c in self.channels if self.value("output", c) and not self._steps(c)]
        if missing or not any(self._steps(channel) for channel in self.channels):
            raise ScpiError(-221)
        self.runs = True
        self._publish()

    def _stop(self) -> None:
        self.runs = False
        self._publish()

    def _run_state(self) -> str:
        if not self.runs:
            return "0"
        return "2" if self.value("mode") in ("CONT", "GAT") else "1"

    def _steps(self, channel: int) -> tuple[tuple[NDArray[np.float64], int], ...]:
        """Return what one trigger plays on a channel, V into 50 Ω; nothing if it is not whole."""
        if self.value("mode") == "SEQ":
            named = [(element.waves.get(channel, ""), element.loops) for element in self.elements]
        else:
            named = [(str(self.value("waveform", channel)), 1)]
        played = [(self.waves.get(name), loops) for name, loops in named]
        half, offset = self.number("amplitude", channel) / 2, self.number("offset", channel)
        whole = tuple(
            (wave * half + offset, loops) for wave, loops in played if isinstance(wave, np.ndarray)
        )
        return whole if len(whole) == len(named) else ()

    def _trigger(self) -> Trigger:
        if self.value("mode") == "CONT":
            return "internal"
        if self.value("trigger_source") != "EXT":
            return "none"
        first, last = self.elements[:1], self.elements[-1:]
        returns = any(element.jumps and element.target == 1 for element in last)
        waits = any(element.waits for element in first)
        is_armed = self.value("mode") == "TRIG" or (waits and returns)
        return "external" if is_armed else "none"

    def _publish(self) -> None:
        for channel, port in self.ports.items():
            steps = self._steps(channel)
            if not (self.runs and self.value("output", channel) and steps):
                port.drive = None
                continue
            rate, trigger = self.number("clock"), self._trigger()
            if isinstance(port, PhaseDrivePort):
                port.drive = PhaseDrive(steps=steps, sample_rate=rate, trigger=trigger)
                continue
            samples = np.concatenate([np.tile(wave, loops) for wave, loops in steps])
            shape = DriveSamples(samples=samples, sample_rate=rate)
            port.drive = PulseDrive(shape=shape, trigger=trigger)
