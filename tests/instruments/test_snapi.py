from enum import Enum
from types import SimpleNamespace

import numpy as np
import pytest

from instruments.picoquant_timeharp260.snapi import PicoQuantSnapi
from instruments.roles import TimeTagger


class FakeSnapi:
    """The part of snAPI that is used: one device, blocks of records."""

    def __init__(self):
        self.blocks = []
        self.sent = []
        self.refuses = set()
        self.is_finished = False
        self.model = "TimeHarp 260 N"
        self.deviceConfig = {}
        self.measDescription = {}
        self.device = self
        self.raw = self

    def __getattr__(self, name):
        if not name.startswith("set"):
            raise AttributeError(name)

        def setter(*values):
            self.sent.append((name, *values))
            return name not in self.refuses

        return setter

    def getDevice(self, *serial):
        return serial in {(), ("77",)}

    def initDevice(self, mode):
        self.mode = mode
        self.deviceConfig = {
            "ID": "77",
            "Model": self.model,
            "PartNo": "9",
            "Version": "1.0",
            "BaseResolution": 250.0,
            "NumChans": 2,
        }
        return True

    def closeDevice(self, everything):
        self.sent.append(("close", everything))

    def getCountRates(self):
        return np.array([20000, 120, 80])

    def startBlock(self, milliseconds, size, save):
        self.milliseconds = milliseconds
        return not self.refuses

    def getBlock(self):
        if self.blocks:
            return np.asarray(self.blocks.pop(0), np.uint32)
        self.is_finished = True
        return np.empty(0, np.uint32)

    def isFinished(self):
        return self.is_finished

    def stopMeasure(self):
        self.is_finished = True

    def getMeasDescription(self):
        self.measDescription = {"StopAfter": self.milliseconds}


@pytest.fixture
def snapi():
    return FakeSnapi()


def tagger(snapi, mode="T3", **options):
    library = SimpleNamespace(snAPI=lambda: snapi, MeasMode=Enum("MeasMode", {"T2": 2, "T3": 3}))
    return PicoQuantSnapi("tagger", mode, library=library, **options)


def configure(device):
    for channel in (device.sync, *device.inputs):
        channel.trigger_level(0.1)
        channel.trigger_edge("rising")


def test_fulfils_the_role_and_speaks_snapis_names(snapi):
    device = tagger(snapi, binning=3)
    role: TimeTagger = device
    assert isinstance(role, TimeTagger)
    configure(device)
    device.inputs[1].offset(1e-9)
    assert snapi.sent[:2] == [("setBinning", 3), ("setSyncEdgeTrig", 100, 1)]
    assert snapi.sent[-1] == ("setInputChannelOffset", 1, 1000)
    form = device.record_format()
    assert (form.record_type, form.resolution) == (0x00010305, pytest.approx(2e-9))
    assert (device.sync_rate(), device.count_rate(1)) == (20000.0, 80.0)


def test_records_arrive_in_order(snapi, sink):
    records = np.arange(300_000, dtype=np.uint32)
    snapi.blocks = [records[:5], records[5:200_000], records[200_000:]]
    device = tagger(snapi)
    configure(device)
    device.start(sink, 0.25)
    assert device.wait(5.0)
    np.testing.assert_array_equal(sink.records, records)
    assert device.elapsed() == pytest.approx(0.25)


def test_refusals_are_errors(snapi, sink):
    device = tagger(snapi)
    with pytest.raises(RuntimeError, match=r"tagger_sync\.trigger_level"):
        device.start(sink, 1.0)
    configure(device)
    snapi.refuses = {"setInputEdgeTrig"}
    with pytest.raises(RuntimeError, match=r"setInputEdgeTrig\(0, 200, 1\) was refused"):
        device.inputs[0].trigger_level(0.2)
    with pytest.raises(RuntimeError, match="the measurement was refused"):
        device.start(sink, 1.0)


def test_absent_and_other_devices_are_refused(snapi):
    with pytest.raises(ConnectionError, match="device 78 must be present"):
        tagger(snapi, serial="78")
    snapi.model = "MultiHarp 150 4P"
    with pytest.raises(RuntimeError, match="must be a TimeHarp 260 N, but is 'MultiHarp 150 4P'"):
        tagger(snapi)


def test_reconnect_restores_settings(snapi):
    device = tagger(snapi)
    configure(device)
    snapi.sent.clear()
    device.reconnect()
    assert ("setSyncEdgeTrig", 100, 1) in snapi.sent
    assert ("setInputChannelEnable", 1, 1) in snapi.sent
