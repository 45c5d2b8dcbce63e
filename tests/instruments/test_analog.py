import threading
import time

import numpy as np
import pytest
from qcodes.instrument_drivers.yokogawa import YokogawaGS200
from qcodes.parameters import Parameter

from instruments.analog import MicronOpticsFFPTF2, SercaloVP1, TransmissionTable, VoltageActuator
from instruments.nidaq_output import NIDAQOutput
from instruments.roles import Actuator, Attenuator, TunableFilter
from labkit.station.safety import make_safe
from simulation.lab.instrument_faults import InstrumentFault
from simulation.lab.instruments.nidaq import SimulatedNIDAQ
from simulation.lab.instruments.yokogawa_gs200 import SimulatedGS200
from simulation.lab.ports.steady import ActuatorPort
from simulation.lab.servers.tcp import TcpServer

TABLE = [(0.0, 0.5), (2.0, 0.05), (5.0, 5e-5)]
FAST = {"slew_rate": 1e6}


class Wire:
    """A voltage source that remembers what it was set to, and when."""

    def __init__(self, voltage=0.0):
        self.history = []
        self.source = Parameter(
            "wire", initial_cache_value=voltage, set_cmd=self.put, get_cmd=lambda: self.voltage
        )
        self.voltage = voltage

    def put(self, voltage):
        self.history.append((time.monotonic(), voltage))
        self.voltage = voltage

    @property
    def voltages(self):
        return [voltage for _, voltage in self.history]


def attenuator(wire, **changes):
    settings = {"minimum": 0.0, "maximum": 5.0, "calibration": TABLE, "settling_time": 0.0}
    return SercaloVP1("voa", wire.source, **{**FAST, **settings, **changes})


def stretcher(wire, **changes):
    settings = {"minimum": -5.0, "maximum": 5.0, "rest": 0.0}
    return VoltageActuator("stretcher", wire.source, **{**FAST, **settings, **changes})


def ffp(wire, **changes):
    settings = {"minimum": 0.0, "maximum": 10.0, "overshoot": 1.0}
    return MicronOpticsFFPTF2("filter", wire.source, **{**FAST, **settings, **changes})


def test_each_fulfils_its_role():
    voa: Attenuator = attenuator(Wire())
    tuned: TunableFilter = ffp(Wire())
    actuator: Actuator = stretcher(Wire())
    assert isinstance(voa, Attenuator)
    assert isinstance(tuned, TunableFilter)
    assert isinstance(actuator, Actuator)


@pytest.mark.parametrize("transmission", [0.5, 0.1, 0.05, 1e-3, 5e-5])
def test_transmission_is_set_by_the_table_and_read_back(transmission):
    wire = Wire()
    voa = attenuator(wire)
    voa.transmission(transmission)
    assert voa.transmission() == pytest.approx(transmission)
    assert voa.voltage() == wire.voltage


def test_table_is_log_linear_between_its_points():
    table = TransmissionTable.of(TABLE)
    assert table.transmission_at(1.0) == pytest.approx(np.sqrt(0.5 * 0.05))
    assert table.voltage_at(np.sqrt(0.5 * 0.05)) == pytest.approx(1.0)
    assert table.darkest == 5.0


def test_table_may_rise_with_voltage_and_come_from_a_file(tmp_path):
    path = tmp_path / "voa.csv"
    path.write_text("volts,transmission\n5,0.9\n0,1e-4\n3,0.1\n")
    table = TransmissionTable.read(path)
    assert table.darkest == 0.0
    assert table.voltage_at(0.1) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("pairs", "rule"),
    [
        ([(0, 0.5)], "two or more pairs"),
        ([(0, 0.5), (0, 0.4)], "`voltages` must rise"),
        ([(0, 0.5), (1, 0.0)], "above 0 and at most 1"),
        ([(0, 0.5), (1, 1.1)], "above 0 and at most 1"),
        ([(0, 0.5), (1, 0.4), (2, 0.45)], "only rise or only fall"),
        ([(0, 0.5), (1, 0.5)], "only rise or only fall"),
    ],
)
def test_bad_table_is_refused(pairs, rule):
    with pytest.raises(ValueError, match=rule):
        TransmissionTable.of(pairs)


def test_transmission_outside_the_table_is_refused_before_anything_moves():
    wire = Wire()
    with pytest.raises(ValueError, match="voa_transmission"):
        attenuator(wire).transmission(0.6)
    assert wire.history == []


def test_attenuator_goes_dark_at_once_whatever_the_slew_rate():
    wire = Wire()
    attenuator(wire, slew_rate=0.1).safe_state()
    assert wire.voltages == [5.0]


def test_attenuator_safe_state_interrupts_a_ramp():
    wire = Wire(5.0)
    voa = attenuator(wire, slew_rate=1.0)
    failure = []

    def open_up():
        try:
            voa.transmission(0.5)
        except RuntimeError as error:
            failure.append(str(error))

    thread = threading.Thread(target=open_up)
    thread.start()
    time.sleep(0.05)
    voa.safe_state()
    thread.join(1.0)
    assert "the ramp to 0 V was interrupted" in failure[0]
    assert wire.voltage == 5.0


def test_slew_rate_is_kept():
    wire = Wire()
    stretcher(wire, slew_rate=10.0).voltage(1.0)
    times = [moment for moment, _ in wire.history]
    assert np.max(np.abs(np.diff([0.0, *wire.voltages]))) <= 0.1 + 1e-12
    assert times[-1] - times[0] >= 0.09
    assert wire.voltage == 1.0


@pytest.mark.parametrize("voltage", [5.1, -5.1, float("nan"), float("inf")])
def test_voltage_beyond_the_limits_is_refused_before_anything_moves(voltage):
    wire = Wire()
    with pytest.raises(ValueError, match="stretcher_voltage"):
        stretcher(wire).voltage(voltage)
    assert wire.history == []


@pytest.mark.parametrize(
    "changes", [{"minimum": 5.0}, {"slew_rate": 0.0}, {"rest": 6.0}, {"maximum": float("inf")}]
)
def test_nonsense_limits_are_refused(changes):
    with pytest.raises(ValueError, match="must be"):
        stretcher(Wire(), **changes)


@pytest.mark.parametrize("missing", ["minimum", "maximum", "slew_rate", "rest"])
def test_limits_are_mandatory(missing):
    settings = {"minimum": -5.0, "maximum": 5.0, "rest": 0.0, "slew_rate": 1.0}
    del settings[missing]
    with pytest.raises(TypeError, match=missing):
        VoltageActuator("stretcher", Wire().source, **settings)


def test_source_beyond_the_limits_is_refused_when_connecting():
    wire = Wire(7.0)
    with pytest.raises(ValueError, match="must be within -5 to 5 V when connecting, but is at 7 V"):
        stretcher(wire)
    assert wire.history == []


def test_actuator_safe_state_ramps_to_rest():
    wire = Wire(1.0)
    device = stretcher(wire, slew_rate=20.0)
    device.safe_state()
    assert wire.voltage == 0.0
    assert len(wire.history) >= 5


def test_slow_safe_state_returns_early_and_goes_on(monkeypatch):
    monkeypatch.setattr("instruments.bases.ramped_voltage.SAFE_WAIT", 0.02)
    wire = Wire(2.0)
    device = stretcher(wire, slew_rate=4.0)
    device.safe_state()
    assert wire.voltage != 0.0
    device.safe_state()
    device.close()
    assert wire.voltage == 0.0


def test_failing_source_is_reported_by_safe_state():
    wire = Wire(1.0)
    device = stretcher(wire)

    def broken(voltage):
        raise ConnectionError(voltage)

    wire.put = broken
    device._output._put = broken
    with pytest.raises(RuntimeError, match="stretcher: the ramp to 0 V failed"):
        device.safe_state()


def test_filter_is_always_approached_from_below():
    wire = Wire(5.0)
    device = ffp(wire)
    device.voltage(7.0)
    assert wire.voltages == [7.0]
    device.voltage(4.0)
    assert wire.voltages == [7.0, 3.0, 4.0]
    device.safe_state()
    assert wire.voltages == [7.0, 3.0, 4.0]


def test_filter_keeps_room_for_the_approach():
    wire = Wire(5.0)
    with pytest.raises(ValueError, match="filter_voltage"):
        ffp(wire).voltage(0.9)
    with pytest.raises(ValueError, match="`overshoot` must be above 0"):
        ffp(Wire(), overshoot=0.0)


def daq(card, **changes):
    line = {"line": "Dev1/ao0", "minimum": 0.0, "maximum": 5.0, "initial": 0.0}
    return NIDAQOutput("daq", {"voa": {**line, **changes}}, library=card)


@pytest.fixture
def card():
    ports = {"Dev1/ao0": ActuatorPort(), "Dev1/ao1": ActuatorPort()}
    return SimulatedNIDAQ(ports, {"Dev2/ai0": ports["Dev1/ao0"], "Dev2/ai1": ports["Dev1/ao1"]})


def test_daq_output_drives_the_world_by_name(card):
    device = daq(card)
    voa = SercaloVP1("voa", "daq.voa.voltage", 0.0, 5.0, 1e6, TABLE, 0.0)
    voa.transmission(0.05)
    assert card.ports["Dev1/ao0"].voltage == pytest.approx(2.0, abs=2e-4)
    assert device.voa.voltage() == pytest.approx(2.0)
    assert voa.transmission() == pytest.approx(0.05)


def test_daq_writes_nothing_when_connecting_or_closing(card):
    history = []
    card.ports["Dev1/ao0"].listener = history.append
    device = daq(card, initial=1.5)
    assert device.voa.voltage() == 1.5
    device.snapshot(update=True)
    device.close()
    assert history == []


def test_daq_recovers_after_the_card_came_back(card):
    device = daq(card)
    card.faults.inject(InstrumentFault(kind="disconnect"))
    with pytest.raises(ConnectionError, match="daq_voa: Dev1/ao0 could not be set: -88705"):
        device.voa.voltage(1.0)
    assert device.voa.voltage() == 0.0
    device.voa.voltage(2.0)
    assert card.ports["Dev1/ao0"].voltage == pytest.approx(2.0, abs=2e-4)


def test_daq_refuses_what_the_card_has_not_and_double_use(card):
    device = daq(card, line="Dev1/ao7")
    with pytest.raises(ConnectionError, match="does not exist"):
        device.voa.voltage(1.0)
    line = {"line": "Dev1/ao0", "minimum": 0.0, "maximum": 5.0, "initial": 0.0}
    with pytest.raises(ValueError, match="Dev1/ao0 is used by a and b"):
        NIDAQOutput("twice", {"a": line, "b": line}, library=card)
    with pytest.raises(ValueError, match="`initial` of a must be 0 to 5 V"):
        NIDAQOutput("far", {"a": {**line, "initial": 6.0}}, library=card)


def test_daq_output_that_does_not_follow_is_found_by_its_read_back(card):
    device = daq(card, read_back="Dev2/ai0")
    device.voa.voltage(1.0)
    card.faults.inject(InstrumentFault(kind="stick", count=None, setting="Dev1/ao0"))
    with pytest.raises(RuntimeError, match=r"must be at 2.000 V, .* Dev2/ai0 measures 1.000 V"):
        device.voa.voltage(2.0)
    assert device.voa.voltage() == 1.0


def test_attenuator_that_stays_open_is_not_called_safe(card):
    daq(card, read_back="Dev2/ai0")
    voa = SercaloVP1("voa", "daq.voa.voltage", 0.0, 5.0, 1e6, TABLE, 0.0)
    card.faults.inject(InstrumentFault(kind="stick", count=None, setting="Dev1/ao0"))
    assert make_safe({"voa": voa}).failed["voa"].startswith("RuntimeError: daq_voa: Dev1/ao0")


def test_daq_output_is_where_its_read_back_measures_it_when_connecting(card):
    card.ports["Dev1/ao0"].apply(3.0)
    device = daq(card, read_back="Dev2/ai0")
    assert device.voa.voltage() == pytest.approx(3.0, abs=2e-4)
    device.close()
    card.ports["Dev1/ao0"].apply(7.0)
    with pytest.raises(ValueError, match="within 0 to 5 V when connecting, but Dev2/ai0 measures"):
        daq(card, read_back="Dev2/ai0")


def test_daq_inputs_of_one_card_are_read_one_after_the_other(card):
    line = {"minimum": 0.0, "maximum": 5.0, "initial": 0.0}
    outputs = {
        f"out{n}": {**line, "line": f"Dev1/ao{n}", "read_back": f"Dev2/ai{n}"} for n in (0, 1)
    }
    device = NIDAQOutput("daq", outputs, library=card)
    for channel in device.channels:
        channel.voltage(1.0)
    card.faults.inject(InstrumentFault(kind="disconnect", count=None))
    with pytest.raises(ConnectionError, match="-88705"):
        device.out1.voltage(2.0)
    with pytest.raises(ValueError, match="Dev2/ai0 is used by a and b"):
        NIDAQOutput(
            "twice", {"a": outputs["out0"], "b": {**outputs["out1"], "read_back": "Dev2/ai0"}}, card
        )
    with pytest.raises(ValueError, match="`tolerance` of a must be above 0 V"):
        NIDAQOutput("none", {"a": {**outputs["out0"], "tolerance": 0.0}}, card)


@pytest.mark.parametrize(
    ("source", "error"),
    [("nowhere.voltage", KeyError), ("daq.voa.nothing", ValueError), ("daq.voa", ValueError)],
)
def test_unknown_source_is_named(card, source, error):
    device = daq(card)
    with pytest.raises(error, match=source.partition(".")[0]):
        VoltageActuator("eom", source, -1.0, 1.0, 1.0, 0.0)
    assert device.voa.voltage() == 0.0


def test_voltage_of_a_source_that_is_switched_off_is_not_reported():
    with TcpServer(SimulatedGS200()) as server:
        gs200 = YokogawaGS200("gs200", server.address, visalib="@py", device_clear=False)
        bias = VoltageActuator(
            "bias", "gs200.voltage", minimum=-1.0, maximum=1.0, slew_rate=1e6, rest=0.0
        )
        for act in (bias.voltage.get, lambda: bias.voltage(0.5)):
            with pytest.raises(RuntimeError, match="gs200_output must be on, but is off"):
                act()
        assert gs200.voltage() == 0
        gs200.output("on")
        bias.voltage(0.5)
        assert bias.voltage.get() == pytest.approx(0.5)
        gs200.output("off")
        bias.safe_state()
        assert gs200.voltage() == 0
