"""Live drivers on a wire have every member of their role (see test_roles for the types)."""

import pytest

from instruments import roles
from instruments.keysight_81180a.driver import Keysight81180A
from instruments.redpitaya_lockbox import RedPitayaLockbox
from instruments.srs.sim900 import SRSSIM900
from instruments.srs.sim960 import SRSSIM960, SRSSIM960InFrame
from instruments.tektronix_afg3152c.driver import TektronixAFG3152C
from instruments.thermometers import LakeshoreModel372Thermometer, OxfordTritonThermometer
from instruments.thorlabs_pm100 import ThorlabsPM100
from simulation.lab.instruments.keysight_81180a import Simulated81180A
from simulation.lab.instruments.lakeshore_372 import SimulatedLakeshore372
from simulation.lab.instruments.oxford_triton import SimulatedTriton
from simulation.lab.instruments.redpitaya_lockbox import SimulatedLockbox
from simulation.lab.instruments.srs_sim900 import SimulatedSIM900
from simulation.lab.instruments.srs_sim960 import SimulatedSIM960
from simulation.lab.instruments.tektronix_afg3152c import SimulatedAFG3152C
from simulation.lab.instruments.thorlabs_pm100 import SimulatedPM100
from simulation.lab.servers.serial_line import SerialLine
from simulation.lab.servers.tcp import TcpServer

VOLTS = {"output_min": -1.0, "output_max": 1.0}
LOAD = {"load": 50.0, "low": 0.0, "high": 1.0}


def in_frame(address):
    return SRSSIM960InFrame("lock", SRSSIM900("frame", address, visalib="@py"), 3, **VOLTS)


def lockbox(address):
    return RedPitayaLockbox(
        "box", address, input_channel=1, output_channel=1, visalib="@py", **VOLTS
    )


def afg(address):
    channels = {1: LOAD, 2: LOAD}
    return TektronixAFG3152C("afg", address, channels=channels, trigger_latency=0, visalib="@py")


def triton(address):
    return OxfordTritonThermometer("fridge", address)


LIVE = [
    (roles.PulseGenerator, TcpServer, SimulatedAFG3152C, afg),
    (
        roles.WaveformGenerator,
        TcpServer,
        Simulated81180A,
        lambda address: Keysight81180A("awg", address, peak_limit=1, visalib="@py"),
    ),
    (
        roles.PhaseLock,
        SerialLine,
        SimulatedSIM960,
        lambda address: SRSSIM960("lock", address, visalib="@py", **VOLTS),
    ),
    (roles.PhaseLock, SerialLine, lambda: SimulatedSIM900({3: SimulatedSIM960()}), in_frame),
    (roles.PhaseLock, TcpServer, SimulatedLockbox, lockbox),
    (
        roles.PowerMeter,
        TcpServer,
        SimulatedPM100,
        lambda address: ThorlabsPM100("meter", address, visalib="@py"),
    ),
    (
        roles.Thermometer,
        TcpServer,
        SimulatedLakeshore372,
        lambda address: LakeshoreModel372Thermometer("bridge", address, visalib="@py"),
    ),
    (roles.Thermometer, TcpServer, SimulatedTriton, triton),
]


@pytest.mark.parametrize(("role", "server", "device", "connect"), LIVE)
def test_live_driver_has_every_member_and_a_safe_state_that_repeats(role, server, device, connect):
    with server(device()) as served:
        driver = connect(served.address)
        assert isinstance(driver, role)
        assert driver.get_idn()["vendor"]
        driver.safe_state()
        driver.safe_state()
