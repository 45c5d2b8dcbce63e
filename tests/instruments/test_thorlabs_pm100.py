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
            [
                ("SENS:CORR:WAV? MIN", "8.0E+02"),
                ("SENS:CORR:WAV? MAX", "1.7E+03"),
                OK,
                ("SENS:CORR:WAV 1553.8", None),
                OK,
                ("SENS:CORR:WAV?", "1.553800E+03"),
            ],
            lambda meter: meter.wavelength(1553.8e-9),
        ),
        ([("SENS:POW:UNIT?;:MEAS:POW?", "W;1.0E-6")], lambda meter: meter.power()),
        ([OK, ("SENS:POW:RANG:AUTO 1", None), OK], lambda meter: meter.auto_range(True)),
        ([OK, ("SENS:POW:RANG 0.001", None), OK], lambda meter: meter.power_range(1e-3)),
        ([OK, ("SENS:AVER 30", None), OK], lambda meter: meter.averages(30)),
        ([("SYST:SENS:IDN?", '"S154C","1","",3,1,33')], lambda meter: meter.sensor()),
    ],
    ids=["wavelength", "power", "auto", "range", "averages", "sensor"],
)
def test_meter_on_the_wire(steps, act):
    transcript = Transcript([IDN, OK, *steps])
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


def test_wavelength_that_the_sensor_does_not_have_is_not_sent(meter):
    meter.wavelength(1553.8e-9)
    with pytest.raises(RuntimeError, match=r"calibrated for, 8e-07 to 1.7e-06 m, but is 6.33e-07"):
        meter.wavelength(633e-9)
    assert meter.wavelength() == pytest.approx(1553.8e-9)


def test_wavelength_that_the_meter_silently_keeps_is_noticed():
    steps = [
        ("SENS:CORR:WAV? MIN", "8.0E+02"),
        ("SENS:CORR:WAV? MAX", "1.7E+03"),
        OK,
        ("SENS:CORR:WAV 633.5", None),
        OK,
        ("SENS:CORR:WAV?", "1.553800E+03"),
    ]
    steps[0] = ("SENS:CORR:WAV? MIN", "4.0E+02")
    with TcpServer(Transcript([IDN, OK, *steps])) as server:
        meter = ThorlabsPM100("meter", server.address, visalib="@py", timeout=2.0)
        with pytest.raises(RuntimeError, match=r"but the meter kept 1.5538e-06 m"):
            meter.wavelength(633.5e-9)


def test_meter_that_shows_dbm_gives_no_power(meter):
    meter.write("SENS:POW:UNIT DBM")
    with pytest.raises(RuntimeError, match="must show W, but shows DBM"):
        meter.power()


@pytest.mark.parametrize(
    ("sent", "query", "reply"),
    [
        ("", "SENS:CORR:WAV? MIN", 800),
        ("SENS:CORR:WAV 1310", "SENS:CORR:WAV? MAX", 1700),
        ("SENS:CORR:WAV 5000", "SENS:CORR:WAV?", 1550),
        ("SENS:POW:DC:RANG:UPP 1E-6", "SENS:POW:RANG?", 2e-6),
        ("SENS:POW:RANG 1E-6", "SENS:POW:RANG:AUTO?", 0),
        ("SENS:POW:UNIT DBM", "READ?", -29.0309),
        ("INIT", "FETC?", 1.25e-6),
        ("SENS:CORR:COLL:ZERO", "READ?", 0.0),
        ("SENS:CORR:COLL:ZERO:INIT", "SENS:CORR:COLL:ZERO:MAGN?", 1.25e-6),
    ],
)
def test_simulated_meter_answers_as_the_manual(sent, query, reply):
    device = SimulatedPM100(PowerPort(reader=lambda: 1.25e-6))
    device.execute(sent.encode())
    assert float(device.execute(query.encode())) == pytest.approx(reply, rel=1e-5, abs=1e-15)
    assert device.execute(b"SYST:ERR?") == b'+0,"No error"\n'


@pytest.mark.parametrize(
    ("sent", "code"), [("FETC?", -230), ("SENS:CORR:WAV? MIDDLE", -141), ("MEAS:ENER?", -113)]
)
def test_simulated_meter_refuses_what_it_cannot_answer(sent, code):
    device = SimulatedPM100(PowerPort(reader=lambda: 1.25e-6))
    assert device.execute(sent.encode()) is None
    assert device.execute(b"SYST:ERR?").startswith(str(code).encode())


def test_reading_beyond_the_range_is_no_number(meter):
    meter.auto_range(False)
    meter.power_range(1e-7)
    with pytest.raises(RuntimeError, match="beyond the range"):
        meter.power()


def test_other_thorlabs_device_is_refused():
    device = SimulatedPM100()
    device.idn = "Thorlabs,TSP01,M00000001,1.0"
    with TcpServer(device) as server, pytest.raises(ValueError, match="correct the address"):
        ThorlabsPM100("meter", server.address, visalib="@py", timeout=2.0)
