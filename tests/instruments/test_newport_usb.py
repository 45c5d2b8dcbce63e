import ctypes

import pytest

from instruments.newport_tlb6700.driver import NewportTLB6700
from instruments.newport_tlb6700.usb import (
    Endpoints,
    NewportDotNet,
    NewportRawUsb,
    NewportUsbDll,
    open_port,
)
from simulation.lab.instruments.tlb6700 import SimulatedTLB6700
from simulation.lab.instruments.tlb6700_head import TLBHead

LIMITS = {
    "wavelength_limits": (1550e-9, 1560e-9),
    "max_current": 0.1,
    "max_power": 0.01,
    "wavelength_tolerance": 0.2e-9,
    "poll": 1e-3,
}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr("instruments.newport_tlb6700.usb.SETTLE", 0.0)


class FakeDll:
    """The vendor's DLL with simulated controllers behind it."""

    def __init__(self, *controllers):
        self.controllers = controllers
        self.reply = b""
        self.status = 0

    def newp_usb_init_product(self, product):
        assert product == 0x100A
        for controller in self.controllers:
            controller.open()
        return 0

    def newp_usb_uninit_system(self):
        return 0

    def newp_usb_get_device_info(self, buffer):
        buffer.value = b"".join(
            b"%d,New_Focus 6700 v2.4 03/19/14 %s;" % (index, controller.head.serial.encode())
            for index, controller in enumerate(self.controllers)
        )
        return self.status

    def newp_usb_send_ascii(self, device, data, length):
        self.reply = self.controllers[device].exchange(data[:length].decode())
        return self.status

    def newp_usb_get_ascii(self, device, buffer, size, count):
        if not self.reply:
            return -1
        ctypes.memmove(buffer, self.reply, len(self.reply))
        count[0] = len(self.reply)
        self.reply = b""
        return 0


def endpoints_of(controller):
    controller.open()
    waiting = []

    def write(data):
        waiting.append(controller.exchange(data.decode().strip()))

    def read(size, timeout_ms):
        if not waiting:
            raise OSError(110, "timed out")
        return waiting.pop(0)

    return Endpoints(write=write, read=read)


def two_controllers():
    return [SimulatedTLB6700(head=TLBHead(serial=serial)) for serial in ("SN1", "SN2")]


def test_dll_finds_the_controller_by_serial_number():
    controllers = two_controllers()
    port = NewportUsbDll(FakeDll(*controllers), "SN2")
    laser = NewportTLB6700("laser", port, **LIMITS)
    laser.wavelength(1551e-9)
    assert laser.get_idn()["serial"] == "SN2"
    assert controllers[0].log == []


def test_dll_names_the_controllers_present():
    port = NewportUsbDll(FakeDll(*two_controllers()), "SN9")
    with pytest.raises(ConnectionError, match=r"serial SN9 .*SN1;.*SN2"):
        port.open()


def test_dll_status_is_an_error():
    dll = FakeDll(*two_controllers())
    port = NewportUsbDll(dll, "SN1")
    port.open()
    dll.status = -7
    with pytest.raises(ConnectionError, match="newp_usb_send_ascii must return 0, but is -7"):
        port.exchange("*IDN?")


def test_raw_usb_finds_the_controller_by_its_identity():
    controllers = two_controllers()
    port = NewportRawUsb(lambda: map(endpoints_of, controllers), "SN2")
    laser = NewportTLB6700("laser", port, **LIMITS)
    laser.current(0.05)
    assert laser.get_idn()["serial"] == "SN2"
    assert controllers[0].log == ["*IDN?"]


def test_raw_usb_silence_is_a_timeout():
    def read(size, timeout_ms):
        raise OSError(110, "timed out")

    port = NewportRawUsb(lambda: [Endpoints(write=bytes, read=read)], "SN1", timeout=0.01)
    with pytest.raises(TimeoutError, match=r"\*IDN\? must be answered within 0\.01 s"):
        port.open()


def test_raw_usb_failure_is_a_lost_link():
    def write(data):
        raise OSError(19, "No such device")

    controller = SimulatedTLB6700()
    good = endpoints_of(controller)
    port = NewportRawUsb(lambda: [good], "SN1234")
    port.open()
    port._endpoints = Endpoints(write=write, read=good.read)
    with pytest.raises(ConnectionError, match="could not be sent"):
        port.exchange("*IDN?")
    port.open()
    assert port.exchange("*STB?").startswith(b"0\r\n")


def test_dotnet_wrapper_answers_into_a_string_builder():
    controller = SimulatedTLB6700()

    class Text:
        def __init__(self, capacity):
            self.text = ""

        def ToString(self):
            return self.text

    class Usb:
        def OpenDevices(self, product, use_address):
            controller.open()
            return True

        def CloseDevices(self):
            controller.close()

        def Query(self, key, command, text):
            assert key == "6700 SN1234"
            text.text = controller.exchange(command).decode("latin-1")

    laser = NewportTLB6700("laser", NewportDotNet(Usb(), Text, "6700 SN1234"), **LIMITS)
    laser.piezo_percent(30.0)
    assert laser.piezo_percent() == 30.0


@pytest.mark.parametrize("address", ["SN1234", "usbdll:", "gpib:3"])
def test_unknown_address_names_the_forms(address):
    with pytest.raises(ValueError, match=r"'usbdll:SN…', 'dotnet:6700 SN…' or 'usb:SN…'"):
        open_port(address)
