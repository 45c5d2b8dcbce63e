"""Drivers of QCoDeS itself in the roles of the experiment, on simulated instruments."""

import re
from pathlib import Path

import numpy as np
import pytest
from qcodes.instrument_drivers.Keithley import Keithley6500
from qcodes.instrument_drivers.Keysight import Keysight33511B
from qcodes.instrument_drivers.stahl import Stahl
from qcodes.instrument_drivers.tektronix import TektronixAWG5014

from analysis.yamlfile import parse_yaml
from instruments import (
    AWG5014Pulses,
    AWG5014Waveforms,
    ParameterPowerMeter,
    ParameterTrigger,
    SercaloVP1,
    roles,
)
from instruments.roles import PulseShape
from labkit.station.entries import apply_parameters, fitted, read_entry
from labkit.station.references import import_object
from simulation.lab.instrument_faults import InstrumentFault
from simulation.lab.instruments.keithley import Simulated2450, SimulatedDAQ6500
from simulation.lab.instruments.keysight_33511b import Simulated33511B
from simulation.lab.instruments.stahl_bs import SimulatedStahlBS
from simulation.lab.instruments.tektronix_awg5014 import SimulatedAWG5014
from simulation.lab.ports.drives import PhaseDrivePort, PulseDrivePort
from simulation.lab.ports.steady import ActuatorPort, BiasPort, PowerPort, TriggerPort
from simulation.lab.servers.tcp import TcpServer

DOCS = Path(__file__).parents[2] / "docs"
LINK = {"visalib": "@py", "device_clear": False, "timeout": 2}
RATE = 1e9


@pytest.fixture
def served():
    """Serve simulated instruments until the test ends."""
    servers = []

    def serve(instrument):
        servers.append(TcpServer(instrument))
        return servers[-1].address

    yield serve
    for server in servers:
        server.stop()


@pytest.fixture
def eom():
    return PhaseDrivePort()


@pytest.fixture
def aoms():
    return {1: PulseDrivePort(), 2: PulseDrivePort()}


@pytest.fixture
def waveforms(served, eom):
    twin = SimulatedAWG5014({1: eom})
    _kept = TektronixAWG5014("awg", served(twin), terminator="\n", **LINK)
    role = AWG5014Waveforms("waveforms", "awg", peak_limit=0.65)
    role.twin = twin
    return role


@pytest.fixture
def pulses(served, aoms):
    _kept = TektronixAWG5014("awg", served(SimulatedAWG5014(aoms)), terminator="\n", **LINK)
    return AWG5014Pulses("pulses", "awg", peak_limit=1.0, sample_rate=RATE, points=2000)


SEGMENTS = (np.zeros(256), np.linspace(-0.6, 0.59, 400))


def test_sequence_is_played_per_trigger_within_the_steps_of_14_bits(waveforms, eom):
    assert isinstance(waveforms, roles.WaveformGenerator)
    waveforms.load_segments(1, SEGMENTS, 1.2e9)
    waveforms.load_sequence(1, [(1, 3), (2, 1)])
    assert eom.drive is None
    waveforms.set_output(1, on=True)
    assert waveforms.output_is_on(1)
    assert (eom.drive.trigger, eom.drive.sample_rate) == ("external", 1.2e9)
    assert [loops for _, loops in eom.drive.steps] == [3, 1]
    for (played, _), asked in zip(eom.drive.steps, SEGMENTS, strict=True):
        np.testing.assert_allclose(played, asked, atol=1.2 / 2**13)
    waveforms.safe_state()
    assert eom.drive is None


def test_what_the_waveform_generator_cannot_play_is_refused_before_it_is_sent(waveforms):
    with pytest.raises(ValueError, match=r"within ±0.65 V, .* goes to 0.7 V"):
        waveforms.load_segments(1, [np.full(256, 0.7)], 1.2e9)
    with pytest.raises(ValueError, match=r"`sample_rate` must be 1e\+07 to 1.2e\+09 Hz"):
        waveforms.load_segments(1, SEGMENTS, 2.4e9)
    with pytest.raises(ValueError, match="must name a segment, 1 to 0"):
        waveforms.load_sequence(1, [(1, 1)])
    with pytest.raises(RuntimeError, match="program channel 1 before switching it on"):
        waveforms.set_output(1, on=True)
    with pytest.raises(ValueError, match="`channel` must be 1 to 4, but is 5"):
        waveforms.output_is_on(5)


def test_generator_that_refuses_or_does_not_switch_is_told(waveforms):
    waveforms.load_segments(1, SEGMENTS, 1e9)
    waveforms.twin.faults.inject(InstrumentFault(kind="refuse", setting="TRIG:SOUR"))
    with pytest.raises(RuntimeError, match=r"must wait for a trigger .* says -224"):
        waveforms.load_sequence(1, [(1, 1)])
    with pytest.raises(RuntimeError, match="program channel 1"):
        waveforms.set_output(1, on=True)
    waveforms.load_sequence(1, [(1, 1)])
    waveforms.set_output(1, on=True)
    waveforms.twin.faults.inject(InstrumentFault(kind="stick", setting="OUTP1:STAT", count=None))
    with pytest.raises(RuntimeError, match=r"channels \[1\] must be off, but are on"):
        waveforms.safe_state()


def test_error_from_before_is_not_blamed_on_what_is_programmed(waveforms, caplog):
    waveforms.twin.execute(b"NONSENSE 1")
    waveforms.load_segments(1, SEGMENTS, 1e9)
    waveforms.load_sequence(1, [(1, 1)])
    assert 'awg had errors in its queue: -113,"Undefined header"' in caplog.text


def test_pulse_has_its_levels_width_and_edge(pulses, aoms):
    assert isinstance(pulses, roles.PulseGenerator)
    pulses.program_pulse(1, PulseShape(width=50e-9, delay=300e-9, low=0.0, high=0.8, edge=8e-9))
    pulses.set_output(1, on=True)
    pulses.program_waveform(2, np.full(40, 0.5), RATE)
    pulses.set_output(2, on=True)
    played = aoms[1].drive.shape.samples
    assert (played.min(), played.max()) == pytest.approx((0.0, 0.8), abs=1e-4)
    above = np.flatnonzero(played > 0.4)
    assert (above[0] - 1) / RATE <= 300e-9 <= above[0] / RATE
    assert len(above) / RATE == pytest.approx(50e-9, abs=1e-9)
    between = np.count_nonzero((played[:320] > 0.08) & (played[:320] < 0.72))
    assert between / RATE == pytest.approx(8e-9, abs=1.5e-9)
    np.testing.assert_allclose(aoms[2].drive.shape.samples, 0.5, atol=1e-4)
    assert len(aoms[2].drive.shape.samples) == len(played) == 2000
    pulses.safe_state()
    assert [port.drive for port in aoms.values()] == [None, None]
    with pytest.raises(RuntimeError, match="program channel 1"):
        pulses.set_output(1, on=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"delay": 0.0}, "must begin after the trigger"),
        ({"delay": 1.97e-6}, r"end within 2e-06 s"),
        ({"high": 1.2}, r"within ±1 V"),
    ],
)
def test_pulse_that_does_not_fit_is_refused(pulses, aoms, change, message):
    right = {"width": 50e-9, "delay": 300e-9, "low": 0.0, "high": 0.8, "edge": 8e-9}
    with pytest.raises(ValueError, match=message):
        pulses.program_pulse(1, PulseShape(**right | change))
    with pytest.raises(ValueError, match="1 to 2000 samples at 1e"):
        pulses.program_waveform(1, np.zeros(10), 5e8)


def test_keithley_of_the_documentation_biases_a_detector(served):
    """The station entries of docs/stations.md, as they stand there."""
    text = (DOCS / "stations.md").read_text(encoding="utf-8")
    block = re.search(r"```yaml\n(instruments:\n  smu:.*?)```", text, re.DOTALL)[1]
    port = BiasPort()
    plain = parse_yaml(block, "stations.md")["instruments"]
    plain["smu"]["address"] = served(Simulated2450(port))
    made = {}
    for name, entry in plain.items():
        known = read_entry(entry, name)
        kind = import_object(known.type, DOCS)
        more = {"device_clear": False} if name == "smu" else {}
        made[name] = kind(name, **fitted(kind, known.options() | more))
        apply_parameters(made[name], known)
    bias = made["snspd"]
    bias._ramp_rate = 1e-3
    bias.ramp_to(1, 10e-6)
    assert port.current == pytest.approx(10e-6)
    made["smu"].source.limit(5e-7)
    assert made["smu"].source.limit_tripped()  # once answered, the limit before it is obeyed
    assert port.current == 5e-7
    bias.safe_state()
    assert (port.current, made["smu"].output_enabled()) == (0.0, False)


def test_square_waves_fire_the_trials_while_they_are_put_out(served):
    port = TriggerPort()
    keysight = Keysight33511B("keysight", served(Simulated33511B(port)), **LINK)
    keysight.ch1.function_type("SQU")
    words = {"output_on": "ON", "output_off": "OFF"}
    trigger = ParameterTrigger(
        "trigger", "keysight.ch1.frequency", 1e5, "keysight.ch1.output", **words
    )
    assert isinstance(trigger, roles.TriggerSource)
    trigger.rate(20e3)
    assert (port.rate, trigger.is_running(), trigger.missed_triggers()) == (0.0, False, False)
    trigger.set_running(on=True)
    assert (port.rate, trigger.is_running(), trigger.rate()) == (20e3, True, 20e3)
    with pytest.raises(ValueError, match="no delayed output 'AB'"):
        trigger.set_delay("AB", 0.0, 1e-6)
    trigger.safe_state()
    assert port.rate == 0.0


def test_photoreceiver_on_a_multimeter_reads_watts(served):
    _kept = Keithley6500("meter", served(SimulatedDAQ6500(PowerPort(reader=lambda: 2e-3))), **LINK)
    meter = ParameterPowerMeter("power", "meter.amplitude", "V", watts_per_volt=1e-3)
    assert meter.power() == pytest.approx(2e-3)
    for unit, given in (("V", {}), ("W", {"watts_per_volt": 1.0})):
        with pytest.raises(ValueError, match="`watts_per_volt` must be given with unit V"):
            ParameterPowerMeter("other", "meter.amplitude", unit, **given)


def test_voltage_source_sets_an_attenuator_to_its_steps(served):
    port = ActuatorPort(voltage=5.0)
    _kept = Stahl("stahl", served(SimulatedStahlBS({1: port})), **LINK)
    attenuator = SercaloVP1(
        "voa", "stahl.channel1.voltage", 0.0, 5.0, 1e6, settling_time=0.0,
        calibration=[(0.0, 1.0), (5.0, 1e-4)],
    )  # fmt: skip
    attenuator.transmission(1.0)
    assert port.voltage == pytest.approx(0.0, abs=2e-4)
    attenuator.safe_state()
    assert port.voltage == pytest.approx(5.0, abs=2e-4)
