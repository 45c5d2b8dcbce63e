"""Which simulated instruments there are, what they are wired to, and how a driver reaches them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from simulation.lab.clock import VirtualClock
from simulation.lab.instrument_faults import InstrumentFaults
from simulation.lab.instruments.bluefors import (
    BlueforsLogFolder,
    SimulatedBlueforsControl,
    SimulatedBlueforsController,
)
from simulation.lab.instruments.highfinesse import SimulatedWlmData
from simulation.lab.instruments.keithley import Simulated2450, SimulatedDAQ6500
from simulation.lab.instruments.keysight_33511b import Simulated33511B
from simulation.lab.instruments.keysight_81180a import Simulated81180A
from simulation.lab.instruments.lakeshore_372 import SimulatedLakeshore372
from simulation.lab.instruments.nidaq import SimulatedNIDAQ
from simulation.lab.instruments.optical_switches import (
    SimulatedAgiltronFF,
    SimulatedSelfAlign,
    SimulatedSercalo,
)
from simulation.lab.instruments.oxford_triton import SimulatedTriton
from simulation.lab.instruments.picoquant_harps import (
    SimulatedHHLib,
    SimulatedMHLib,
    SimulatedPH330Lib,
)
from simulation.lab.instruments.redpitaya_lockbox import SimulatedLockbox
from simulation.lab.instruments.santec_tsl import SimulatedTSL550, SimulatedTSL570
from simulation.lab.instruments.single_quantum_websq import SimulatedWebSQ, SimulatedWebSQCounts
from simulation.lab.instruments.snapi import SimulatedSnapi
from simulation.lab.instruments.snspd_bias import SimulatedPhotonSpot, SimulatedQuantumOpus
from simulation.lab.instruments.srs_dg645 import SimulatedDG645
from simulation.lab.instruments.srs_sim900 import SimulatedSIM900
from simulation.lab.instruments.srs_sim928 import SimulatedSIM928
from simulation.lab.instruments.srs_sim960 import SimulatedSIM960
from simulation.lab.instruments.stahl_bs import SimulatedStahlBS
from simulation.lab.instruments.swabian import SimulatedTimeTagger
from simulation.lab.instruments.tektronix_afg3152c import SimulatedAFG3152C
from simulation.lab.instruments.tektronix_awg5014 import SimulatedAWG5014
from simulation.lab.instruments.thorlabs_pm100 import SimulatedPM100
from simulation.lab.instruments.timeharp260 import SimulatedTH260Lib
from simulation.lab.instruments.tlb6700 import SimulatedTLB6700
from simulation.lab.instruments.tlb6700_head import TLBHead
from simulation.lab.instruments.toptica_dlcpro import SimulatedDLCPro
from simulation.lab.instruments.yokogawa_gs200 import SimulatedGS200
from simulation.lab.instruments.zurich_hdawg import SimulatedZhinst
from simulation.lab.wiring import ACTUATORS, Wiring
from simulation.lab.world_parameters import FILTERS

Link = Literal["tcp", "socket", "serial", "port", "http", "folder", "object"]

DAQ_LINES: Final = {f"Dev1/ao{number}": name for number, name in enumerate(ACTUATORS)}
"""What each output of the ``daq`` drives."""

DAQ_INPUTS: Final = {f"Dev2/ai{number}": name for number, name in enumerate(ACTUATORS)}
"""What each input measures: a second card, wired to the outputs of the first."""

STAHL_CHANNELS: Final = ("attenuator_a", "attenuator_b", *(f"filter_{name}" for name in FILTERS))
"""What the channels of the ``stahl`` drive, from 1."""


class BenchInstrument(Protocol):
    """A simulated instrument into which faults can be injected."""

    @property
    def faults(self) -> InstrumentFaults:
        """Faults of this instrument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place on the bench.

    Attributes
    ----------
    build : callable
        Makes the instrument from the wiring and the clock.
    link : str
        ``tcp``: a server on loopback, with a VISA address; ``socket``: its port besides, as
        ``<name>_port``; ``port``, ``http``: the same for those who want a host or a URL instead;
        ``serial``: a serial line;
        ``folder``: files; ``object``: what the driver takes for its vendor's library.
    standard : bool
        Whether it stands there unless another choice is made. Alternatives share a port with a
        standard instrument: who was told something last has the say.
    """

    build: Callable[[Wiring, VirtualClock], object]
    link: Link
    standard: bool = True


def _mainframe(wiring: Wiring, clock: VirtualClock) -> SimulatedSIM900:
    """Slot 1: SIM960; slots 3, 4 (Quantum Opus) and 5, 6 (SIM928): bias of detectors 1, 2."""
    return SimulatedSIM900(
        {
            1: SimulatedSIM960(wiring.lock, clock),
            3: SimulatedQuantumOpus(wiring.bias[1], clock),
            4: SimulatedQuantumOpus(wiring.bias[2], clock),
            5: SimulatedSIM928(wiring.bias[1]),
            6: SimulatedSIM928(wiring.bias[2]),
        }
    )


BENCH: Final[Mapping[str, Place]] = {
    "laser_pump": Place(
        build=lambda wiring, clock: SimulatedTLB6700(
            wiring.laser["pump"], clock, TLBHead(serial="SN1012")
        ),
        link="object",
    ),
    "laser_read": Place(
        build=lambda wiring, clock: SimulatedTLB6700(
            wiring.laser["read"], clock, TLBHead(serial="SN1013")
        ),
        link="object",
    ),
    "afg": Place(
        build=lambda wiring, _: SimulatedAFG3152C((wiring.aom_drive[1], wiring.aom_drive[2])),
        link="tcp",
    ),
    "awg": Place(
        build=lambda wiring, clock: Simulated81180A(
            (wiring.eom_drive[1], wiring.eom_drive[2]), clock
        ),
        link="tcp",
    ),
    "lock": Place(build=lambda wiring, clock: SimulatedSIM960(wiring.lock, clock), link="serial"),
    "timeharp": Place(build=lambda wiring, _: SimulatedTH260Lib(wiring.tagger), link="object"),
    "bias": Place(build=lambda wiring, _: SimulatedPhotonSpot(wiring.bias), link="object"),
    "daq": Place(
        build=lambda wiring, _: SimulatedNIDAQ(
            {line: wiring.actuator[name] for line, name in DAQ_LINES.items()},
            {line: wiring.actuator[name] for line, name in DAQ_INPUTS.items()},
        ),
        link="object",
    ),
    "wavemeter": Place(build=lambda wiring, _: SimulatedWlmData(wiring.wavemeter), link="object"),
    "fridge": Place(build=lambda wiring, _: SimulatedLakeshore372(wiring.thermometer), link="tcp"),
    "power_meter": Place(
        build=lambda wiring, clock: SimulatedPM100(wiring.power["pump"], clock), link="tcp"
    ),
    "reflection_meter": Place(
        build=lambda wiring, clock: SimulatedPM100(wiring.power["reflected"], clock, "P0000002"),
        link="tcp",
    ),
    "sim900": Place(build=_mainframe, link="serial", standard=False),
    "triton": Place(
        build=lambda wiring, _: SimulatedTriton(wiring.thermometer, {"MC": 6, "STIL": 5, "PT2": 2}),
        link="socket",
        standard=False,
    ),
    "lockbox": Place(
        build=lambda wiring, clock: SimulatedLockbox(wiring.lock, clock),
        link="tcp",
        standard=False,
    ),
    "gs200": Place(
        build=lambda wiring, clock: SimulatedGS200(wiring.actuator["eom_bias"], clock),
        link="tcp",
        standard=False,
    ),
    "awg5014": Place(
        build=lambda wiring, _: SimulatedAWG5014({1: wiring.eom_drive[1], 2: wiring.eom_drive[2]}),
        link="tcp",
        standard=False,
    ),
    "awg5014_pulses": Place(
        build=lambda wiring, _: SimulatedAWG5014({1: wiring.aom_drive[1], 2: wiring.aom_drive[2]}),
        link="tcp",
        standard=False,
    ),
    "keithley2450_1": Place(
        build=lambda wiring, _: Simulated2450(wiring.bias[1]), link="tcp", standard=False
    ),
    "keithley2450_2": Place(
        build=lambda wiring, _: Simulated2450(wiring.bias[2]), link="tcp", standard=False
    ),
    "daq6500": Place(
        build=lambda wiring, _: SimulatedDAQ6500(wiring.power["pump"]), link="tcp", standard=False
    ),
    "keysight33511b": Place(
        build=lambda wiring, _: Simulated33511B(wiring.trigger), link="tcp", standard=False
    ),
    "stahl": Place(
        build=lambda wiring, _: SimulatedStahlBS(
            {n: wiring.actuator[name] for n, name in enumerate(STAHL_CHANNELS, start=1)}
        ),
        link="tcp",
        standard=False,
    ),
    "snapi": Place(
        build=lambda wiring, _: SimulatedSnapi(wiring.tagger), link="object", standard=False
    ),
    "timetagger": Place(
        build=lambda wiring, _: SimulatedTimeTagger(wiring.tagger), link="object", standard=False
    ),
    "multiharp": Place(
        build=lambda wiring, _: SimulatedMHLib(wiring.tagger), link="object", standard=False
    ),
    "hydraharp": Place(
        build=lambda wiring, _: SimulatedHHLib(wiring.tagger), link="object", standard=False
    ),
    "picoharp": Place(
        build=lambda wiring, _: SimulatedPH330Lib(wiring.tagger), link="object", standard=False
    ),
    "hdawg": Place(
        build=lambda wiring, _: SimulatedZhinst((wiring.eom_drive[1], wiring.eom_drive[2])),
        link="object",
        standard=False,
    ),
    "websq": Place(
        build=lambda wiring, _: SimulatedWebSQ(wiring.bias), link="port", standard=False
    ),
    "websq_counts": Place(
        build=lambda wiring, _: SimulatedWebSQCounts(wiring.tagger), link="port", standard=False
    ),
    "dlcpro": Place(
        build=lambda wiring, _: SimulatedDLCPro(wiring.laser["pump"]), link="port", standard=False
    ),
    "tsl570": Place(
        build=lambda wiring, _: SimulatedTSL570(wiring.laser["read"]), link="tcp", standard=False
    ),
    "tsl550": Place(
        build=lambda wiring, _: SimulatedTSL550(wiring.laser["read"]), link="tcp", standard=False
    ),
    "dg645": Place(
        build=lambda wiring, _: SimulatedDG645(wiring.trigger), link="tcp", standard=False
    ),
    "switch_a": Place(
        build=lambda wiring, _: SimulatedAgiltronFF(wiring.switch["a"]),
        link="serial",
        standard=False,
    ),
    "switch_b": Place(
        build=lambda wiring, _: SimulatedSercalo(wiring.switch["b"]), link="serial", standard=False
    ),
    "selfalign": Place(
        build=lambda wiring, _: SimulatedSelfAlign(wiring.switch["a"]),
        link="serial",
        standard=False,
    ),
    "bluefors_logs": Place(
        build=lambda wiring, _: BlueforsLogFolder(wiring.thermometer),
        link="folder",
        standard=False,
    ),
    "bluefors_controller": Place(
        build=lambda wiring, _: SimulatedBlueforsController(wiring.thermometer),
        link="http",
        standard=False,
    ),
    "bluefors_control": Place(
        build=lambda wiring, _: SimulatedBlueforsControl(wiring.thermometer),
        link="http",
        standard=False,
    ),
}
"""Every instrument of the virtual lab by name."""
