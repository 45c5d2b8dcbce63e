"""pymeasure's drivers."""

import pytest
from pymeasure.instruments.lakeshore import LakeShore331
from pymeasure.instruments.tektronix import AFG3152C
from pymeasure.instruments.thorlabs import ThorlabsPM100USB
from pymeasure.instruments.yokogawa import YokogawaGS200

VISA = {
    "visa_library": "@py", "read_termination": "\n", "write_termination": "\n", "timeout": 2000,
}  # fmt: skip
NO_ERROR = '0,"No error"'
generator = pytest.mark.peer("pymeasure", "AFG3152C", "AFG3152C", bench="afg")
source = pytest.mark.peer("pymeasure", "YokogawaGS200", "GS200", bench="gs200")
meter = pytest.mark.peer("pymeasure", "ThorlabsPM100USB", "PM100", bench="power_meter")


@pytest.fixture
def afg(address):
    afg = AFG3152C(address, **VISA)
    yield afg
    assert afg.ask("SYST:ERR?").strip() == NO_ERROR
    afg.adapter.close()


@pytest.fixture
def gs200(address):
    gs200 = YokogawaGS200(address, **VISA)
    yield gs200
    gs200.source_enabled = False
    gs200.adapter.close()


@pytest.fixture
def pm100(address):
    pm100 = ThorlabsPM100USB(address, **VISA)
    yield pm100
    pm100.adapter.close()


@generator
@pytest.mark.parametrize(
    ("shape", "short"),
    [
        ("sinusoidal", "SIN"), ("square", "SQU"), ("pulse", "PULS"), ("ramp", "RAMP"),
        ("prnoise", "PRN"), ("dc", "DC"), ("sinc", "SINC"), ("gaussian", "GAUS"),
        ("lorentz", "LOR"), ("erise", "ERIS"), ("edecay", "EDEC"), ("haversine", "HAV"),
    ],
)  # fmt: skip
def test_shape(afg, shape, short):
    afg.ch1.shape = shape
    assert afg.ch1.shape == shape
    assert afg.ask("SOUR1:FUNC?").strip() == short


@generator
@pytest.mark.parametrize(
    ("unit", "name", "value"),
    [("VPP", "amp_vpp", 0.5), ("VRMS", "amp_vrms", 0.3), ("DBM", "amp_dbm", 3)],
)
def test_amplitude_in_its_units(afg, unit, name, value):
    afg.ch1.unit = unit
    setattr(afg.ch1, name, value)
    assert afg.ch1.unit == unit
    assert getattr(afg.ch1, name) == pytest.approx(value)


@generator
@pytest.mark.parametrize(("name", "value"), [("offset", 0.1), ("frequency", 1e3), ("duty", 30)])
def test_setting(afg, name, value):
    setattr(afg.ch1, name, value)
    assert getattr(afg.ch1, name) == pytest.approx(value)


@generator
def test_beep_and_completion(afg):
    """Not its `impedance`, `enable` and `waveform`, which fail before anything right is sent."""
    afg.beep()
    assert afg.ask("*OPC?").strip() == "1"


@source
def test_voltage_level_limit_and_ramp(gs200):
    gs200.source_mode = "voltage"
    gs200.source_range = 10
    gs200.voltage_limit, gs200.current_limit = 20, 0.1
    gs200.source_enabled = True
    gs200.source_level = 1.25
    assert (gs200.source_mode, gs200.source_range) == ("VOLT", 10)
    assert (gs200.voltage_limit, gs200.current_limit) == (20, 0.1)
    assert gs200.source_level == 1.25
    gs200.trigger_ramp_to_level(2.0, 1.0)
    assert gs200.source_level == pytest.approx(2.0)
    assert gs200.ask(":SYST:ERR?").strip() == NO_ERROR


@source
def test_level_beyond_the_range_is_refused(gs200):
    gs200.write(":SOUR:LEV 25")
    assert gs200.ask(":SYST:ERR?").startswith("-222")


@meter
def test_power_wavelength_and_sensor(pm100):
    pm100.wavelength = 1550
    assert pm100.wavelength == 1550
    assert (pm100.wavelength_min, pm100.wavelength_max) == (800, 1700)
    assert abs(pm100.power) < 1e-9
    assert pm100.sensor_name.strip('"') == "S154C"
    assert pm100.is_power_sensor


@pytest.mark.peer("pymeasure", "LakeShore331", "Lake Shore 372", bench="fridge")
def test_heater_and_setpoint_of_another_lakeshore(address):
    """A sister model's client: what both have in common."""
    bridge = LakeShore331(address, **VISA | {"read_termination": "\r\n"})
    assert "MODEL372" in bridge.id
    assert float(bridge.ask("KRDG? 6")) > 0
    bridge.adapter.close()
