"""The attribute tree made from the PM100's manual."""

import pytest
import pyvisa
from ThorlabsPM100 import ThorlabsPM100

pytestmark = pytest.mark.peer("ThorlabsPM100", "ThorlabsPM100", "PM100", bench="power_meter")


@pytest.fixture
def meter(address):
    link = pyvisa.ResourceManager("@py").open_resource(
        address, read_termination="\n", write_termination="\n", timeout=1000
    )
    yield ThorlabsPM100(inst=link)
    assert link.query("SYST:ERR?") == '+0,"No error"'
    link.close()


def test_reading(meter):
    assert abs(meter.read) < 1e-9
    meter.initiate.immediate()
    assert abs(meter.fetch) < 1e-9


def test_wavelength(meter):
    correction = meter.sense.correction
    correction.wavelength = 1310
    assert correction.wavelength == 1310
    assert (correction.minimum_wavelength, correction.maximum_wavelength) == (800, 1700)


def test_range(meter):
    meter.sense.power.dc.range.upper = 1e-3
    assert meter.sense.power.dc.range.upper == pytest.approx(2e-3)
    assert not meter.sense.power.dc.range.auto
    meter.sense.power.dc.range.auto = "ON"
    assert meter.sense.power.dc.range.auto


def test_averaging_unit_and_zero(meter):
    meter.sense.average.count = 10
    assert meter.sense.average.count == 10
    assert meter.sense.power.dc.unit == "W"
    assert meter.sense.correction.collect.zero.magnitude == 0
    assert "S154C" in meter.system.sensor.idn
