"""Any QCoDeS parameter in a role: limits, safe states, read-back, words for on and off."""

import pytest
from qcodes.instrument import Instrument

from instruments import (
    ParameterAttenuator,
    ParameterBias,
    ParameterLaser,
    ParameterPowerMeter,
    ParameterThermometer,
    ParameterVoltage,
    roles,
)


class Source(Instrument):
    """A foreign instrument: a level that may stick, an output with words of its own."""

    def __init__(self, name):
        super().__init__(name)
        self.history = []
        self.stuck = False
        self.add_parameter("level", unit="V", set_cmd=self._set, get_cmd=lambda: self._level)
        self.add_parameter("output", set_cmd=self._switch, get_cmd=lambda: self._on)
        self.add_parameter("reading", get_cmd=lambda: self.value)
        self._level, self._on, self.value = 0.0, "off", 1.0

    def _set(self, level):
        self.history.append((level, self._on))
        if not self.stuck:
            self._level = level

    def _switch(self, word):
        self.history.append((word, self._on))
        if not self.stuck:
            self._on = word


WORDS = {"output_on": "on", "output_off": "off"}


@pytest.fixture
def source():
    return Source("smu")


@pytest.fixture
def bias(source):
    return ParameterBias(
        "bias", ["smu.level"], [15e-6], ramp_rate=1e-3, tolerance=1e-8, resistances=[100e3],
        outputs=["smu.output"], ramp_step=2e-6, **WORDS,
    )  # fmt: skip


def test_bias_ramps_volts_over_the_resistor_from_an_output_switched_on_at_zero(bias, source):
    assert isinstance(bias, roles.BiasSource)
    source._level = 0.9
    bias.ramp_to(1, 4e-6)
    assert source.history[:2] == [(0.0, "off"), ("on", "off")]
    assert [level for level, on in source.history if on == "on"] == pytest.approx([0.2, 0.4])
    assert bias.current(1) == pytest.approx(4e-6)
    bias.safe_state()
    assert (source._level, source._on) == (0.0, "off")


def test_bias_knows_what_flows_when_it_connects(source):
    source._level, source._on = 0.5, "on"
    bias = ParameterBias(
        "bias", ["smu.level"], [15e-6], ramp_rate=1e-3, tolerance=1e-8, resistances=[100e3]
    )
    assert bias.current(1) == pytest.approx(5e-6)
    assert source.history == []


def test_bias_beyond_its_cap_or_not_taken_is_told(bias, source):
    with pytest.raises(ValueError, match="15 µA, its configured cap"):
        bias.ramp_to(1, 20e-6)
    assert source.history == []
    bias.ramp_to(1, 2e-6)
    source.stuck = True
    with pytest.raises(RuntimeError, match=r"must carry 4 µA .* smu_level reads back 2 µA"):
        bias.ramp_to(1, 4e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"resistances": [1e5, 1e5]}, "`resistances` must have one value per source"),
        ({"resistances": [0.0]}, "`resistances` must be positive"),
        ({"tolerance": 0.0}, "`tolerance` must be above 0"),
        ({"sources": ["smu.nothing"]}, "must name a parameter"),
    ],
)
def test_bias_that_cannot_be_is_refused(source, wrong, message):
    right = {"sources": ["smu.level"], "max_currents": [1e-5], "ramp_rate": 1.0, "tolerance": 1e-8}
    with pytest.raises(ValueError, match=message):
        ParameterBias("bias", **right | wrong)


def test_voltage_is_not_told_while_the_output_is_off(source):
    actuator = ParameterVoltage(
        "eom", "smu.level", -1.0, 1.0, 1e6, rest=0.0, output="smu.output", **WORDS
    )
    assert isinstance(actuator, roles.Actuator)
    for use in (actuator.voltage, lambda: actuator.voltage(0.5)):
        with pytest.raises(RuntimeError, match=r"output must be on, but is off.*smu_output"):
            use()
    actuator.safe_state()
    assert source.history == []
    source._on = "on"
    actuator.voltage(0.5)
    assert actuator.voltage() == source._level == 0.5
    actuator.safe_state()
    assert source._level == 0.0


def test_word_that_is_neither_on_nor_off_is_told(source, bias):
    source._on = "standby"
    with pytest.raises(RuntimeError, match=r"'on' .* or 'off' .* but is 'standby'"):
        bias.ramp_to(1, 1e-6)


def laser(**more):
    return ParameterLaser(
        "laser", "smu.level", 1e-9, (1540e-9, 1568e-9), 1e-12, "smu.output",
        emission_on="on", emission_off="off", **{"timeout": 0.1} | more,
    )  # fmt: skip


def test_laser_counts_in_metres_and_goes_dark(source):
    one = laser(power="smu.level", max_power=0.01)
    assert isinstance(one, roles.Laser)
    one.wavelength(1553.76e-9)
    assert source._level == pytest.approx(1553.76)
    assert one.wavelength() == pytest.approx(1553.76e-9)
    one.emission(True)
    one.safe_state()
    assert not one.emission()
    for wrong in (lambda: one.wavelength(1600e-9), lambda: one.power(0.02)):
        with pytest.raises(ValueError, match="laser_"):
            wrong()


def test_laser_that_does_not_arrive_or_go_dark_is_told(source):
    one = laser()
    one.wavelength(1550e-9)
    one.emission(True)
    source.stuck = True
    with pytest.raises(TimeoutError, match=r"must come to 1.56e-06 m within 0.1 s"):
        one.wavelength(1560e-9)
    with pytest.raises(RuntimeError, match="did not switch off"):
        one.safe_state()
    with pytest.raises(ValueError, match="must be given together"):
        laser(power="smu.level")


@pytest.mark.parametrize(("unit", "level"), [("dB", 3.0103), ("transmission", 0.5)])
def test_attenuator_in_decibel_or_transmission(source, unit, level):
    source._level = 1.0
    voa = ParameterAttenuator("voa", "smu.level", unit, 0.0, 40.0)
    assert isinstance(voa, roles.Attenuator)
    voa.transmission(0.5)
    assert source._level == pytest.approx(level, rel=1e-4)
    assert voa.transmission() == pytest.approx(0.5)
    voa.safe_state()
    assert voa.transmission() == pytest.approx(1e-4)
    voa.transmission(1.0)
    with pytest.raises(ValueError, match="1e-05"):
        voa.transmission(1e-5)
    source.stuck = True
    with pytest.raises(RuntimeError, match="must be 40 dB after it was set"):
        voa.safe_state()


@pytest.mark.parametrize(("unit", "value", "watts"), [("W", 2e-3, 2e-3), ("dBm", 3.0, 1.995e-3)])
def test_power_meter_in_watts(source, unit, value, watts):
    meter = ParameterPowerMeter("meter", "smu.reading", unit)
    assert isinstance(meter, roles.PowerMeter)
    source.value = value
    assert meter.power() == pytest.approx(watts, rel=1e-3)
    source.value = float("nan")
    with pytest.raises(RuntimeError, match="smu_reading must be a power, but is nan"):
        meter.power()


@pytest.mark.parametrize("value", [None, 0.0, float("nan"), -1.0])
def test_thermometer_never_gives_what_is_not_valid(source, value):
    fridge = ParameterThermometer("fridge", {6: "smu.reading", "still": "smu.level"})
    assert isinstance(fridge, roles.Thermometer)
    assert fridge.temperature_of(6) == fridge.ch06.temperature() == 1.0
    source.value = value
    with pytest.raises(RuntimeError, match="fridge_ch06: smu_reading must have a valid reading"):
        fridge.temperature_of(6)
    with pytest.raises(KeyError, match="one of 6, still, but is 5"):
        fridge.temperature_of(5)


def test_qcodes_own_gs200_biases_a_detector():
    """Through QCoDeS's driver, on the wire: 12 µA through 100 kΩ are 1.2 V."""
    from qcodes.instrument_drivers.yokogawa import YokogawaGS200

    from simulation.lab.instruments.yokogawa_gs200 import SimulatedGS200
    from simulation.lab.servers.tcp import TcpServer

    twin = SimulatedGS200()
    with TcpServer(twin) as server:
        gs200 = YokogawaGS200("gs200", server.address, terminator="\n", device_clear=False)
        gs200.voltage_range(10)
        bias = ParameterBias(
            "bias", ["gs200.voltage"], [15e-6], ramp_rate=1e-3, tolerance=1e-8,
            resistances=[100e3], outputs=["gs200.output"], ramp_step=4e-6, **WORDS,
        )  # fmt: skip
        assert bias.current(1) == 0.0
        bias.ramp_to(1, 12e-6)
        assert twin.port.voltage == pytest.approx(1.2)
        bias.safe_state()
        assert twin.port.voltage == 0.0
        assert gs200.output() == "off"
        gs200.close()
