"""QMI's drivers (QuTech)."""

import ctypes
import sys

import pytest
import qmi
from qmi.instruments.newport.tlb670x import NewFocus_TLB670X
from qmi.instruments.stanford_research_systems import Srs_Sim900
from qmi.instruments.tektronix import Tektronix_Afg31000
from qmi.instruments.tektronix.afg31000 import BurstMode, TriggerEdge, Waveform

from simulation.lab.instruments.tlb6700 import SimulatedTLB6700
from simulation.lab.instruments.tlb6700_head import TLBHead


@pytest.fixture(scope="module", autouse=True)
def _context():
    qmi.start("labkit_peers", None)
    yield
    qmi.stop()


@pytest.mark.peer("qmi", "Tektronix_Afg31000", "AFG3152C", bench="afg")
def test_generator(socket_address):
    afg = qmi.make_instrument("afg", Tektronix_Afg31000, "tcp:{}:{}".format(*socket_address))
    afg.open()
    for shape in (Waveform.PULSE, Waveform.SINE, Waveform.NOISE, Waveform.EMEMORY, Waveform.PULSE):
        afg.set_waveform(1, shape)
        assert afg.get_waveform(1) == shape
    for name, value in (
        ("pulse_duty_cycle", 20.0), ("burst_enabled", True), ("burst_mode", BurstMode.TRIGGERED),
        ("burst_count", 3), ("burst_count", float("inf")), ("output_inverted", True),
        ("output_load_impedance", 50.0), ("output_load_impedance", float("inf")),
        ("output_enabled", True), ("output_enabled", False),
    ):  # fmt: skip
        getattr(afg, f"set_{name}")(1, value)
        assert getattr(afg, f"get_{name}")(1) == value, name
    afg.set_trigger_edge(TriggerEdge.RISING)
    assert afg.get_trigger_edge() == TriggerEdge.RISING
    afg.set_external_reference_enabled(False)
    assert not afg.get_external_reference_enabled()
    afg.close()


class UsbDll:
    """The vendor's library, with the simulated controller behind it."""

    def __init__(self, *_):
        self.controller = SimulatedTLB6700(head=TLBHead(serial="SN1012"))
        self.controller.open()
        self.packets = []

    def newp_usb_init_product(self, *_):
        return 0

    newp_usb_init_system = newp_usb_open_devices = newp_usb_uninit_system = newp_usb_init_product

    def newp_usb_get_device_info(self, buffer):
        info = b"0,New_Focus 6700 v2.4 03/19/14 SN1012;"
        ctypes.memmove(buffer._obj, info, len(info) + 1)
        return 0

    def newp_usb_send_ascii(self, device, command, length):
        self.packets.append(self.controller.exchange(command._obj.value.decode()))
        return 0

    def newp_usb_get_ascii(self, device, buffer, length, count):
        packet = self.packets.pop(0) if self.packets else self.controller.read()
        ctypes.memset(buffer._obj, 0, 64)
        ctypes.memmove(buffer._obj, packet[:63], len(packet[:63]))
        return 0


@pytest.mark.peer("qmi", "NewFocus_TLB670X", "TLB-6700", bench="laser_pump")
def test_laser(monkeypatch, address):
    monkeypatch.setattr(ctypes, "WinDLL", UsbDll, raising=False)
    with monkeypatch.context() as windows:
        windows.setattr(sys, "platform", "win32")
        laser = qmi.make_instrument("laser", NewFocus_TLB670X, "SN1012")
    laser.open()
    laser.set_wavelength(1553.5)
    assert laser.get_wavelength() == pytest.approx(1553.5, abs=0.1)
    assert laser.get_diode_current() == 0
    laser.close()


@pytest.mark.peer("qmi", "Srs_Sim900", "SIM900 with SIM960", bench="sim900_tcp")
def test_mainframe(world):
    from simulation.lab.servers.tcp import TcpServer

    with TcpServer(world.instruments["sim900"]) as server:
        frame = qmi.make_instrument("frame", Srs_Sim900, f"tcp:127.0.0.1:{server.port}")
        frame.open()
        assert "SIM960" in frame.ask_module(1, "*IDN?")
        frame.send_terminated_message(1, "GAIN 2.5")
        assert float(frame.ask_module(1, "GAIN?")) == 2.5
        frame.close()
