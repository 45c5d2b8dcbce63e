import pytest

from instruments.thorlabs_pm100 import ThorlabsPM100
from simulation.lab.clock import VirtualClock
from simulation.lab.instruments.thorlabs_pm100 import SimulatedPM100
from simulation.lab.ports.steady import PowerPort
from simulation.lab.servers.tcp import TcpServer
from simulation.lab.servers.transcript import Transcript

IDN = ("*IDN?", "Thorlabs,PM100D,P0000001,2.4.0")
OK = ("SYST:ERR?", '+0,"No error"')


@pytest.fixture
def meter():
    with TcpServer(SimulatedPM100(PowerPort(reader=lambda: 1.25e-6))) as server:
        yield ThorlabsPM100("meter", server.address, visalib="@py", timeout=2.0)


@pytest.mark.parametrize(
    ("steps", "act"),
    [
        (
            [("SENS:CORR:WAV 1553.8", None), OK, ("SENS:CORR:WAV?", "1.553800E+03")],
            lambda meter: meter.wavelength(1553.8e-9),
        ),
        ([("MEAS:POW?", "1.0E-6")], lambda meter: meter.power()),
        ([("SENS:POW:RANG:AUTO 1", None), OK], lambda meter: meter.auto_range(True)),
        ([("SENS:POW:RANG 0.001", None), OK], lambda meter: meter.power_range(1e-3)),
        ([("SENS:AVER 30", None), OK], lambda meter: meter.averages(30)),
        ([("SYST:SENS:IDN?", '"S154C","1","",3,1,33')], lambda meter: meter.sensor()),
    ],
    ids=["wavelength", "power", "auto", "range", "averages", "sensor"],
)
def test_meter_on_the_wire(steps, act):
    transcript = Transcript([IDN, *steps])
    with TcpServer(transcript) as server:
        act(ThorlabsPM100("meter", server.address, visalib="@py", timeout=2.0))
        transcript.check()


def test_power_is_that_of_the_world(meter):
    assert meter.power() == 1.25e-6
    assert meter.sensor()[0] == "S154C"


def test_averaging_takes_the_mean_of_readings_and_their_time():
    readings, clock = iter([1e-6, 2e-6, 6e-6]), VirtualClock()
    port = PowerPort(reader=lambda: next(readings))
    with TcpServer(SimulatedPM100(port, clock)) as server:
        meter = ThorlabsPM100("meter", server.address, visalib="@py")
        meter.averages(3)
        assert meter.power() == pytest.approx(3e-6)
    assert clock.now() == pytest.approx(3 * 3e-4)


def test_wavelength_that_the_meter_silently_keeps_is_noticed(meter):
    meter.wavelength(1553.8e-9)
    with pytest.raises(RuntimeError, match=r"calibrated for, .* kept 1.5538e-06 m"):
        meter.wavelength(633e-9)
    assert meter.wavelength() == pytest.approx(1553.8e-9)


def test_reading_beyond_the_range_is_no_number(meter):
    meter.auto_range(False)
    meter.power_range(1e-6)
    with pytest.raises(RuntimeError, match="beyond the range"):
        meter.power()


def test_other_thorlabs_device_is_refused():
    device = SimulatedPM100()
    device.idn = "Thorlabs,TSP01,M00000001,1.0"
    with TcpServer(device) as server, pytest.raises(ValueError, match="correct the address"):
        ThorlabsPM100("meter", server.address, visalib="@py", timeout=2.0)
