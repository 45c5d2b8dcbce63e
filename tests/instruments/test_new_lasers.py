"""DLC pro and Santec lasers on their wires: units, arrival, safe state, interlock."""

import importlib.util

import pytest

from instruments import SantecTSL550, SantecTSL570
from instruments.roles import Laser
from simulation.lab.instruments.santec_tsl import SimulatedTSL550, SimulatedTSL570
from simulation.lab.instruments.toptica_dlcpro import SimulatedDLCPro
from simulation.lab.servers.tcp import TcpServer

LIMITS = {"wavelength_limits": (1540e-9, 1568e-9), "wavelength_tolerance": 1e-12}
needs_toptica = pytest.mark.skipif(
    importlib.util.find_spec("toptica") is None, reason="needs toptica_lasersdk"
)


@pytest.fixture(params=["legacy", "scpi", "550"])
def santec(request):
    twin = (
        SimulatedTSL550()
        if request.param == "550"
        else SimulatedTSL570(scpi=request.param == "scpi")
    )
    driver = SantecTSL550 if request.param == "550" else SantecTSL570
    with TcpServer(twin) as server:
        laser = driver("laser", server.address, max_power=10e-3, timeout=0.5, **LIMITS)
        yield laser, twin


def test_santec_counts_in_metres_whatever_the_command_set(santec):
    laser, twin = santec
    assert isinstance(laser, Laser)
    laser.wavelength(1553.76e-9)
    assert twin.port.state.wavelength == pytest.approx(1553.76e-9, rel=1e-9)
    assert laser.wavelength() == pytest.approx(1553.76e-9, rel=1e-9)


@pytest.mark.parametrize("unit", ["0", "1"])
def test_santec_power_is_in_watts_whatever_the_unit(santec, unit):
    laser, twin = santec
    laser.write(f":POW:UNIT {unit}")
    laser.power(5e-3)
    assert twin.port.state.power == pytest.approx(5e-3, rel=1e-4)
    assert laser.power() == pytest.approx(5e-3, rel=1e-3)
    with pytest.raises(ValueError, match="0\\.01"):
        laser.power(11e-3)


def test_santec_is_dark_in_the_safe_state(santec):
    laser, twin = santec
    laser.emission(True)
    if "shutter_closed" in laser.parameters:
        laser.shutter_closed(False)
    assert twin.port.state.emission
    laser.safe_state()
    assert not twin.port.state.emission
    assert not laser.emission()


def test_santec_that_stays_on_or_never_arrives_is_told(santec):
    from simulation.lab.instrument_faults import InstrumentFault

    laser, twin = santec
    laser.emission(True)
    twin.faults.inject(InstrumentFault(kind="stick", setting=":POW:STAT", count=None))
    with pytest.raises(RuntimeError, match="the diode must be off, but is on"):
        laser.safe_state()
    twin.faults.inject(InstrumentFault(kind="stick", setting=":WAV", count=None))
    with pytest.raises(TimeoutError, match=r"must come to 1.56e-06 m"):
        laser.wavelength(1560e-9)


def test_santec_limits_beyond_the_laser_are_refused(santec):
    laser, twin = santec
    with (
        TcpServer(twin) as server,
        pytest.raises(ValueError, match=r"within the laser's, 1.48e-06 to 1.64e-06 m"),
    ):
        type(laser)(
            "other", server.address, max_power=1e-3, wavelength_tolerance=1e-12,
            wavelength_limits=(1400e-9, 1500e-9),
        )  # fmt: skip


@pytest.fixture
def dlcpro():
    from instruments import TopticaDLCPro

    twin = SimulatedDLCPro()
    with TcpServer(twin) as server:
        yield TopticaDLCPro(
            "laser", "127.0.0.1", port=server.port, wavelength_unit=1e-9, timeout=0.5, **LIMITS
        ), twin, server  # fmt: skip


@needs_toptica
def test_the_makers_client_understands_the_twin(dlcpro):
    laser, twin, _ = dlcpro
    assert isinstance(laser, Laser)
    assert laser.get_idn()["firmware"] == "3.3.3"
    laser.wavelength(1553.76e-9)
    laser.emission(True)
    assert twin.port.state.wavelength == pytest.approx(1553.76e-9)
    assert twin.port.state.emission
    assert laser.interlock_open() is False
    laser.safe_state()
    assert not twin.port.state.emission


@needs_toptica
def test_dlcpro_that_may_not_emit_is_told(dlcpro, monkeypatch):
    monkeypatch.setattr("instruments.toptica_dlcpro.CONFIRMATION", 0.1)
    laser, twin, _ = dlcpro
    twin.interlock_open = True
    with pytest.raises(RuntimeError, match="did not switch on; check key, interlock and button"):
        laser.emission(True)


@needs_toptica
def test_dlcpro_refusal_and_lost_link_are_different_errors(dlcpro):
    from simulation.lab.instrument_faults import InstrumentFault

    laser, twin, server = dlcpro
    name = "laser1:ctl:wavelength-set"
    twin.faults.inject(InstrumentFault(kind="refuse", setting=name))
    with pytest.raises(RuntimeError, match=name):
        laser.wavelength(1550e-9)
    laser.emission(True)
    server.cut_links()
    laser.safe_state()
    assert not twin.port.state.emission
    server.stop()
    with pytest.raises(ConnectionError, match=r"laser at 127.0.0.1:\d+"):
        laser.emission()


def test_without_the_makers_client_the_remedy_is_told(monkeypatch):
    import sys

    from instruments import TopticaDLCPro

    monkeypatch.setitem(sys.modules, "toptica.lasersdk.client", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install -e '\.\[toptica\]'"):
        TopticaDLCPro("laser", "127.0.0.1", wavelength_unit=1e-9, **LIMITS)
