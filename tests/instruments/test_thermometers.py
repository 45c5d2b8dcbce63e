"""QCoDeS's own drivers against the simulated cryostats and the simulated voltage source."""

import time

import pytest
from qcodes.instrument_drivers.yokogawa import YokogawaGS200

from instruments.thermometers import LakeshoreModel372Thermometer, OxfordTritonThermometer
from simulation.lab.clock import VirtualClock
from simulation.lab.instrument_faults import InstrumentFault
from simulation.lab.instruments.lakeshore_372 import SimulatedLakeshore372
from simulation.lab.instruments.oxford_triton import SimulatedTriton
from simulation.lab.instruments.yokogawa_gs200 import SimulatedGS200
from simulation.lab.ports.steady import ActuatorPort, ThermometerPort
from simulation.lab.servers.tcp import TcpServer

KELVIN = {1: 42.0, 2: 3.1, 7: 0.8, 8: 0.0195}


@pytest.fixture
def port():
    return ThermometerPort(reader=KELVIN.get)


@pytest.fixture
def bridge(port):
    with TcpServer(SimulatedLakeshore372(port, names={8: "mixing"})) as server:
        yield LakeshoreModel372Thermometer("bridge", server.address, visalib="@py", timeout=2.0)


@pytest.fixture
def triton(port):
    with TcpServer(SimulatedTriton(port)) as server:
        yield OxfordTritonThermometer("triton", server.address, timeout=1.0)


@pytest.mark.parametrize(("fixture", "name"), [("bridge", "mixing"), ("triton", "MC")])
def test_temperature_by_number_and_by_name(request, fixture, name):
    thermometer = request.getfixturevalue(fixture)
    assert thermometer.temperature_of(8) == pytest.approx(0.0195)
    assert thermometer.temperature_of(name) == pytest.approx(0.0195)


@pytest.mark.parametrize("fixture", ["bridge", "triton"])
def test_sensor_without_reading_raises_instead_of_nan(request, fixture):
    with pytest.raises(RuntimeError, match="sensor 5 must have a valid reading"):
        request.getfixturevalue(fixture).temperature_of(5)


@pytest.mark.parametrize("fixture", ["bridge", "triton"])
def test_unknown_sensor_names_the_known_ones(request, fixture):
    with pytest.raises(KeyError, match=r"must be .*one of \[.*but is 'still life'"):
        request.getfixturevalue(fixture).temperature_of("still life")


def test_whole_lakeshore_driver_reads_the_simulated_bridge(bridge):
    bridge.sample_heater.setpoint.post_delay = 0
    bridge.sample_heater.setpoint(0.1)
    bridge.sample_heater.P(12)
    bridge.sample_heater.output_range("10mA")
    bridge.ch08.enabled(True)
    snapshot = bridge.snapshot(update=True)
    assert bridge.sample_heater.P() == 12
    assert bridge.sample_heater.output_range() == "10mA"
    assert snapshot["submodules"]["ch08"]["parameters"]["temperature"]["value"] == 0.0195


def test_yokogawa_driver_drives_the_world_in_jumps_and_ramps():
    port, clock = ActuatorPort(), VirtualClock()
    seen = []
    port.listener = seen.append
    with TcpServer(SimulatedGS200(port, clock)) as server:
        source = YokogawaGS200("bias", server.address, visalib="@py", device_clear=False)
        source.voltage_range(10)
        source.output("on")
        source.voltage(2.5)
        assert (source.voltage(), port.voltage) == (2.5, 2.5)
        source.ramp_mode("HARDWARE")
        source.ramp_rate(10.0)
        source.voltage(0.5)
        assert port.voltage == 0.5
        assert len(seen) > 10
        assert clock.now() > 0.1
        source.output("off")
        assert (source.output(), port.voltage) == ("off", 0.0)
        source.snapshot(update=True)


def test_yokogawa_level_beyond_its_range_is_refused():
    device = SimulatedGS200()
    device.execute(b":SOUR:RANG 1;:OUTP 1;:SOUR:LEV 1.3")
    assert device.execute(b"SYST:ERR?").startswith(b"-222")
    device.execute(b":SOUR:LEV:AUTO 2")
    assert (device.range, device.port.voltage) == (10.0, 2.0)


def test_bridge_answers_again_after_its_link_was_cut(port):
    with TcpServer(SimulatedLakeshore372(port)) as server:
        bridge = LakeshoreModel372Thermometer("bridge", server.address, visalib="@py", timeout=2.0)
        server.cut_links()
        time.sleep(0.02)
        assert bridge.temperature_of(8) == pytest.approx(0.0195)
        server.instrument.faults.inject(InstrumentFault(kind="silence"))
        with pytest.raises(TimeoutError, match="bridge at TCPIP0"):
            bridge.temperature_of(8)
