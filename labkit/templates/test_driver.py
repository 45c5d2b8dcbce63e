"""The driver and its twin talk over a socket, as the driver and the instrument would."""

import pytest
from MODULE import VoltageSource
from SIMULATED_MODULE import SimulatedVoltageSource

from simulation.lab.servers.tcp import TcpServer


@pytest.fixture
def pair():
    with TcpServer(SimulatedVoltageSource()) as server:
        source = VoltageSource("source", server.address, visalib="@py", timeout=2.0)
        yield source, server.instrument
        source.close()


def test_a_voltage_reaches_the_connector_once_the_output_is_on(pair):
    source, twin = pair
    source.voltage(1.25)
    assert (source.voltage(), twin.at_the_connector) == (1.25, 0.0)
    source.output(True)
    assert twin.at_the_connector == 1.25


def test_the_safe_state_is_reached_from_any_state(pair):
    source, twin = pair
    source.voltage(-3.0)
    source.output(True)
    source.safe_state()
    assert (twin.at_the_connector, source.output()) == (0.0, False)


def test_a_voltage_out_of_range_is_not_sent(pair):
    source, twin = pair
    with pytest.raises(ValueError, match="must be between -10 and 10"):
        source.voltage(11.0)
    assert twin.number("voltage") == 0.0


def test_what_the_instrument_refuses_raises(pair):
    source, _ = pair
    with pytest.raises(RuntimeError, match="SOUR:VOLT 11"):
        source.write("SOUR:VOLT 11")
