"""The experiment through the drivers: the same plant, now only by wire and library call."""

from collections.abc import Iterator

import numpy as np
import pytest
from qcodes.instrument import Instrument

from analysis.tagfile.codec import Decoder
from analysis.tagfile.layouts import TIMEHARP_260N_T3
from instruments.keysight_81180a.driver import Keysight81180A
from instruments.newport_tlb6700.driver import NewportTLB6700
from instruments.nidaq_output import NIDAQOutput
from instruments.picoquant_timeharp260.driver import PicoQuantTimeHarp260
from instruments.roles import PulseShape
from instruments.snspd_bias import PhotonSpotBias
from instruments.srs.sim960 import SRSSIM960
from instruments.tektronix_afg3152c.driver import TektronixAFG3152C
from simulation.lab.bench import DAQ_LINES
from simulation.lab.wiring import Wiring
from simulation.lab.world import World
from simulation.theory.dlcz import riedinger2018_matched
from tests.simulation.lab.paper_settings import (
    PaperSettings,
    apply_paper_settings,
    read_and_lock,
    serrodyne_drive,
)

PAPER = PaperSettings()


class Memory:
    """A sink that keeps all records."""

    def __init__(self) -> None:
        self.blocks: list[np.ndarray] = [np.empty(0, np.uint32)]

    def write(self, records: np.ndarray) -> None:
        self.blocks.append(records.copy())

    def sync(self) -> None:
        pass


@pytest.fixture
def world() -> Iterator[World]:
    with World.start(seed=2) as running:
        yield running
        Instrument.close_all()


def light(world, wanted):
    for name in ("pump", "read"):
        state = wanted.laser[name].state
        laser = NewportTLB6700(
            f"laser_{name}", world.objects[f"laser_{name}"], (1520e-9, 1570e-9), 0.15, 20e-3, 1e-11
        )
        laser.wavelength(round(state.wavelength * 1e9, 4) * 1e-9)
        laser.current(20e-3 + state.power / 0.15)
        off = state.wavelength - laser.wavelength()
        laser.piezo_percent(50 + off / 0.2e-9 * 100)
        laser.emission(True)
    outputs = {
        name: {"line": line, "minimum": -10.0, "maximum": 10.0, "initial": 0.0}
        for line, name in DAQ_LINES.items()
    }
    daq = NIDAQOutput("daq", outputs, world.objects["daq"])
    for name, port in wanted.actuator.items():
        getattr(daq, name).voltage(port.voltage)


def drives(world):
    loads = {n: {"load": 50.0, "low": -0.1, "high": 1.0} for n in (1, 2)}
    afg = TektronixAFG3152C(
        "afg", world.addresses["afg"], channels=loads, trigger_latency=0.0, visalib="@py"
    )
    pump = PulseShape(
        width=PAPER.pulse_width, delay=PAPER.pump_start, low=0, high=PAPER.pump_volts, edge=5e-9
    )
    afg.program_pulse(1, pump)
    drawn = read_and_lock(PAPER)
    dark = np.zeros(round(drawn.delay * drawn.sample_rate))
    afg.program_waveform(2, np.concatenate([dark, drawn.samples]), drawn.sample_rate)
    awg = Keysight81180A("awg", world.addresses["awg"], peak_limit=1.0, visalib="@py")
    drive = serrodyne_drive(PAPER, world.plant.parameters)
    samples = drive.steps[0][0]
    idle = np.zeros(320)
    segments = [np.append(samples, np.zeros(-len(samples) % 32)), idle]
    awg.load_segments(1, segments, drive.sample_rate)
    awg.load_sequence(1, [(1, 1), (2, 2)])
    for generator, channel in ((afg, 1), (afg, 2), (awg, 1)):
        generator.set_output(channel, on=True)


def lock(world):
    servo = SRSSIM960("pid", world.addresses["lock"], output_min=-10, output_max=10, visalib="@py")
    servo.gain(0.1)
    servo.integral_rate(2e4)
    servo.setpoint(0.0)
    servo.engage()
    world.clock.advance(1.0)
    return servo


def detectors(world):
    bias = PhotonSpotBias("bias", world.objects["bias"], [14e-6, 14e-6], ramp_rate=1e-3)
    for channel in (1, 2):
        bias.ramp_to(channel, PAPER.bias_current)
    tagger = PicoQuantTimeHarp260("tagger", world.objects["timeharp"], "T3")
    for channel in (tagger.sync, *tagger.inputs):
        channel.trigger_level(0.1)
        channel.trigger_edge("rising")
    return tagger


@pytest.fixture
def tagger(world):
    """The tagger of a laboratory set up through the drivers, locked."""
    wanted = Wiring()
    apply_paper_settings(wanted, world.plant.parameters, PAPER)
    light(world, wanted)
    drives(world)
    assert lock(world).lock_state() == "locked"
    return detectors(world)


def test_plant_is_where_the_paper_was(world, tagger):
    point = world.plant.operating_point()
    assert point.contrast > 0.99
    for name in ("p_pump_A", "p_pump_B", "p_read_A", "p_read_B"):
        paper = getattr(riedinger2018_matched(), name)
        assert getattr(point.parameters, name) == pytest.approx(paper, rel=0.1), name
    theta = float(point.theta(world.plant.interferometer.phase)) / np.pi
    assert abs(theta % 2 - 1) > 0.8  # near a fringe extremum, θ = 0.1π


def test_an_hour_of_tags_has_the_paper_s_rates(world, tagger):
    memory = Memory()
    tagger.start(memory, 3600.0)
    assert tagger.wait(60.0)
    assert tagger.events() == ()
    events = Decoder(TIMEHARP_260N_T3).decode(np.concatenate(memory.blocks))
    pump = (events.dtime >= 2360) & (events.dtime < 2600)
    read = (events.dtime >= 2852) & (events.dtime < 3092)
    found = [np.sum(gate & (events.channel == c)) for gate in (pump, read) for c in (0, 1)]
    expected = 7.2e7 / 1.114e9 * np.array([111134, 184114, 108723, 167427])
    assert np.array(found) == pytest.approx(expected, rel=0.12)
