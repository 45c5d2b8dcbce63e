import ctypes
import threading
import time
from dataclasses import replace

import numpy as np
import ptufile
import pytest

from analysis.tagfile import Events, PtuFile, PtuWriter, find_layout
from analysis.tagfile.codec import Decoder, Encoder
from instruments.picoquant_timeharp260.driver import PicoQuantTimeHarp260
from instruments.picoquant_timeharp260.library import ERRORS, TH260Error, TH260Lib
from instruments.roles import TimeTagger
from simulation.lab.instruments.timeharp260 import SimulatedTH260Lib
from simulation.lab.instruments.timeharp260_board import PICO_BOARD, TimeHarpModel
from simulation.lab.ports.tagger import TaggerFlags, TaggerRates


def events_t3(seed, n=5000):
    rng = np.random.default_rng(seed)
    return Events(
        time=np.sort(rng.integers(0, 200_000, n)),
        dtime=rng.integers(0, 32_768, n).astype(np.int32),
        channel=rng.integers(0, 2, n).astype(np.uint8),
    )


def tagger(port=None, mode="T3", board=None, *, ready=True):
    library = SimulatedTH260Lib(port, board)
    device = PicoQuantTimeHarp260("tagger", library, mode)
    if ready:
        configure(device)
    return device, library


def configure(device):
    for channel in (device.sync, *device.inputs):
        channel.trigger_level(0.1)
        if hasattr(channel, "trigger_edge"):
            channel.trigger_edge("rising")


def write_ptu(path, device, duration):
    form = device.record_format()
    return PtuWriter(
        path,
        layout=find_layout(form.record_type),
        resolution=form.resolution,
        sync_rate=form.sync_rate,
        acquisition_time=duration,
        tags=dict(form.tags),
    )


def test_fulfils_the_role():
    device, _ = tagger()
    role: TimeTagger = device
    assert isinstance(role, TimeTagger)
    assert device.get_idn()["model"] == "TimeHarp 260 N"


@pytest.mark.parametrize("mode", ["T2", "T3"])
def test_recorded_file_is_read_identically_by_ptufile(tmp_path, mode, scripted_tagger):
    events = events_t3(1)
    if mode == "T2":
        events = Events(time=events.time * 4000, dtime=None, channel=events.channel)
    layout = find_layout(0x00010205 if mode == "T2" else 0x00010305)
    records = Encoder(layout).encode(events)
    device, _ = tagger(scripted_tagger(blocks=np.array_split(records, 7)), mode)
    with write_ptu(tmp_path / "x.ptu", device, 10.0) as writer:
        device.start(writer, 10.0)
        assert device.wait(5.0)
    assert device.events() == ()
    with ptufile.PtuFile(tmp_path / "x.ptu") as reference:
        decoded = reference.decode_records()
        assert reference.tags["HWInpChan_TrgLevel"] == [100, 100]
        assert reference.tags["HW_LibraryVersion"] == "3.2"
        assert reference.tags["HWMarkers_Enabled"] == [False] * 4
    photons = decoded[decoded["channel"] >= 0]
    np.testing.assert_array_equal(photons["time"], events.time)
    np.testing.assert_array_equal(photons["channel"], events.channel)


def test_file_is_readable_while_recording(tmp_path, scripted_tagger):
    port = scripted_tagger(blocks=[np.arange(1, 1001)], endless=True)
    device, _ = tagger(port)
    with write_ptu(tmp_path / "x.ptu", device, 10.0) as writer:
        device.start(writer, 10.0)
        until(lambda: writer.n_records == 1000)
        with ptufile.PtuFile(tmp_path / "x.ptu") as reference:
            assert len(reference.read_records()) == 1000
        assert PtuFile(tmp_path / "x.ptu").n_records == 1000
        device.stop()
    assert not port.active


def until(condition, timeout=5.0):
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end
        time.sleep(1e-3)


def test_large_blocks_arrive_complete_and_in_order(sink, scripted_tagger):
    records = np.arange(1_000_000, dtype=np.uint32)
    device, _ = tagger(scripted_tagger(blocks=[records]))
    device.start(sink, 1.0)
    assert device.wait(5.0)
    np.testing.assert_array_equal(sink.records, records)
    assert sink.syncs >= 1


def test_fifo_overrun_ends_the_recording_with_an_event(sink, scripted_tagger):
    port = scripted_tagger(
        blocks=[[1, 2], [3], [4]], flags_at={2: TaggerFlags(fifo_full=True)}, endless=True
    )
    device, _ = tagger(port)
    device.start(sink, 1.0)
    assert device.wait(5.0)
    (event,) = device.events()
    assert (event.kind, event.records) == ("fifo_full", 3)
    np.testing.assert_array_equal(sink.records, [1, 2, 3])
    assert not port.active


def test_dropped_events_and_sync_loss_are_reported_once_each_time_they_appear(
    sink, scripted_tagger
):
    lost = TaggerFlags(sync_lost=True)
    flags = {1: lost, 2: TaggerFlags(), 3: replace(lost, dropped_events=True)}
    port = scripted_tagger(blocks=[[1], [2], [3], [4]], flags_at=flags)
    device, _ = tagger(port)
    device.start(sink, 1.0)
    assert device.wait(5.0)
    found = [(event.kind, event.records) for event in device.events()]
    assert found == [("sync_lost", 1), ("dropped_events", 3), ("sync_lost", 3)]
    assert len(sink.records) == 4


def test_stop_drains_what_waits_in_the_fifo(sink, scripted_tagger):
    port = scripted_tagger(blocks=[[1]] * 2000, endless=True)
    device, _ = tagger(port)
    device.start(sink, 1.0)
    device.stop()
    assert len(sink.records) == 2000
    assert device.wait(0.0)


def test_failing_sink_is_raised_by_wait_and_ends_the_measurement(scripted_tagger):
    class FullDisk:
        def write(self, records):
            raise OSError(28, "No space left on device")

        def sync(self):
            pass

    port = scripted_tagger(blocks=[[1]], endless=True)
    device, _ = tagger(port)
    device.start(FullDisk(), 1.0)
    with pytest.raises(RuntimeError, match=r"tagger: .* failed after 1 records: .*No space left"):
        device.wait(5.0)
    assert not port.active
    assert device.events()[0].kind == "system_error"


def test_library_error_while_reading_is_raised_by_wait(sink, scripted_tagger):
    device, library = tagger(scripted_tagger(blocks=[[1]], endless=True))
    device.start(sink, 1.0)
    library.TH260_CloseDevice(0)
    with pytest.raises(RuntimeError, match="DEVICE_NOT_OPEN"):
        device.wait(5.0)


def test_stuck_sink_makes_stop_time_out(sink, monkeypatch, scripted_tagger):
    gate = threading.Event()
    sink.write = lambda records: gate.wait()
    monkeypatch.setattr("instruments.bases.recording.STOP_TIMEOUT", 0.05)
    device, _ = tagger(scripted_tagger(blocks=[[1]]))
    device.start(sink, 1.0)
    with pytest.raises(TimeoutError, match=r"must end within 0\.05 s"):
        device.stop()
    gate.set()
    assert device.wait(5.0)


def test_missing_trigger_settings_are_named():
    device, _ = tagger(ready=False)
    device.sync.trigger_level(0.2)
    with pytest.raises(RuntimeError, match=r"tagger_sync\.trigger_edge, tagger_input1\.trigger_le"):
        device.start(None, 1.0)


def test_settings_reach_the_world(sink, scripted_tagger):
    port = scripted_tagger()
    device, _ = tagger(port)
    device.resolution(2e-9)
    device.window_start(100e-9)
    device.inputs[1].trigger_level(-0.05)
    device.inputs[1].trigger_edge("falling")
    device.inputs[0].offset(-12.345e-9)
    device.inputs[0].enabled(False)
    device.start(sink, 0.25)
    device.wait(5.0)
    settings = port.settings
    assert (settings.mode, settings.binning, port.duration) == ("T3", 3, 0.25)
    assert settings.t3_offset == pytest.approx(100e-9)
    assert settings.inputs[0].offset == pytest.approx(-12.345e-9)
    assert not settings.inputs[0].enabled
    assert settings.inputs[1].level == pytest.approx(-0.05)
    assert not settings.inputs[1].rising


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("resolution", 3e-9, "times 2"),
        ("window_start", 1.5e-9, "multiple of 1e-09 s"),
        ("window_start", 1.0, "must be between"),
    ],
)
def test_illegal_settings_are_refused_before_anything_is_sent(name, value, rule):
    device, library = tagger()
    before = library.settings
    with pytest.raises(ValueError, match=rule):
        device.parameters[name](value)
    assert library.settings == before


@pytest.mark.parametrize("level", [1.3, 0.1005])
def test_illegal_trigger_level_is_refused(level):
    device, library = tagger()
    before = library.settings
    with pytest.raises(ValueError, match=r"must be (between|a multiple of 0\.001 V)"):
        device.inputs[0].trigger_level(level)
    assert library.settings == before


@pytest.mark.parametrize("duration", [0.0, 360_001.0, 1.0005e-3])
def test_illegal_duration_is_refused(duration):
    device, _ = tagger()
    with pytest.raises(ValueError, match="`duration` must be"):
        device.start(None, duration)


def test_settings_are_refused_during_a_recording(sink, scripted_tagger):
    device, _ = tagger(scripted_tagger(endless=True))
    device.start(sink, 1.0)
    with pytest.raises(RuntimeError, match="must wait for the recording's end"):
        device.sync.divider(2)
    with pytest.raises(RuntimeError, match="start must wait"):
        device.start(sink, 1.0)
    assert device.count_rate(0) == 120.0
    device.safe_state()
    assert device.wait(5.0)


def test_t2_resolution_is_fixed():
    device, _ = tagger(mode="T2")
    assert device.resolution() == pytest.approx(250e-12)
    with pytest.raises(ValueError, match=r"must be 2\.5e-10 s in T2"):
        device.resolution(500e-12)


def test_pico_has_zero_crossing_and_its_own_record_type():
    device, library = tagger(board=PICO_BOARD, ready=False)
    assert not hasattr(device.sync, "trigger_edge")
    device.inputs[0].trigger_level(-0.2)
    device.inputs[0].zero_crossing(-0.01)
    assert library.settings.inputs[0].level == pytest.approx(-0.2)
    form = device.record_format()
    assert form.record_type == 0x00010306
    assert ("HWInpChan_CFDZeroCross[0]", -10) in form.tags


def test_warnings_are_put_into_words(scripted_tagger):
    rates = TaggerRates(sync=0.0, inputs=(10.0, 0.0))
    device, _ = tagger(scripted_tagger(rate=rates))
    assert device.warnings() == ("no triggers at the sync input", "no clicks at an input")


def test_t3_span_shorter_than_the_period_is_warned_of(scripted_tagger):
    device, _ = tagger(scripted_tagger())
    assert device.warnings() == ("the time span is shorter than the sync period",)
    device.resolution(2e-9)
    assert device.warnings() == ()


def test_absent_board_and_wrong_serial_are_connection_errors():
    with pytest.raises(ConnectionError, match=r"serial 42.*SIM0001.*DEVICE_OPEN_FAIL"):
        PicoQuantTimeHarp260("a", SimulatedTH260Lib(), "T3", serial="42")
    used = SimulatedTH260Lib()
    holder = PicoQuantTimeHarp260("b", used, "T3")
    with pytest.raises(ConnectionError, match="DEVICE_LOCKED"):
        PicoQuantTimeHarp260("c", used, "T3")
    assert holder.get_idn()["serial"] == "SIM0001"


@pytest.mark.parametrize(
    ("board", "rule"),
    [
        (TimeHarpModel(features=1), "must have the time-tagging"),
        (TimeHarpModel(model="MultiHarp 150"), "must be a TimeHarp 260 N"),
    ],
)
def test_unfit_board_is_refused_and_closed(board, rule):
    library = SimulatedTH260Lib(board=board)
    with pytest.raises(RuntimeError, match=rule):
        PicoQuantTimeHarp260("a", library, "T3")
    assert library.TH260_OpenDevice(0, ctypes.create_string_buffer(8)) == 0


def test_reconnect_restores_all_settings():
    device, library = tagger()
    device.resolution(1e-9)
    device.inputs[0].offset(5e-9)
    before = library.settings
    library.TH260_CloseDevice(0)
    device.reconnect()
    assert library.settings == before


def test_snapshot_changes_nothing():
    device, library = tagger()
    before = library.settings
    snapshot = device.snapshot(update=True)
    assert library.settings == before
    level = snapshot["submodules"]["input1"]["parameters"]["trigger_level"]["value"]
    assert level == 0.1


def test_wrong_order_gives_the_vendors_codes():
    library = SimulatedTH260Lib()
    number = ctypes.pointer(ctypes.c_int())
    assert library.TH260_GetFlags(0, number) == -10
    library.TH260_OpenDevice(0, ctypes.create_string_buffer(8))
    assert library.TH260_GetFlags(0, number) == -22
    assert library.TH260_Initialize(0, 1) == -18
    assert library.TH260_Initialize(0, 3) == 0
    assert library.TH260_SetSyncCFD(0, -50, -10) == -80
    assert library.TH260_SetBinning(0, 22) == -17
    assert library.TH260_ReadFiFo(0, None, 1, number) == -17
    assert library.TH260_GetFlags(7, number) == -17


def test_error_names_follow_the_vendors_header():
    known = {-1: "DEVICE_OPEN_FAIL", -12: "DEVICE_DRIVERVER_MISMATCH", -24: "DMA_FAIL"}
    known |= {-37: "USB_BULKRD_FAIL", -56: "INVALID_LENGTH", -74: "EEPROM_F11"}
    known |= {-80: "UNSUPPORTED_FUNCTION", -30: "THREADLOCK_FAIL"}
    assert {code: ERRORS[code] for code in known} == {
        code: f"TH260_ERROR_{name}" for code, name in known.items()
    }
    assert not {-13, -31, -38, -57} & set(ERRORS)
    with pytest.raises(TH260Error, match=r"TH260_SetBinning\(0, 3\) .* -10 \(TH260_ERROR_DEVICE_N"):
        TH260Lib(SimulatedTH260Lib()).call("SetBinning", 0, 3)


def test_absent_library_is_named():
    with pytest.raises(OSError, match=r"'no-such-th260\.so', but is not"):
        PicoQuantTimeHarp260("a", "no-such-th260.so", "T3")


def test_decoded_records_are_those_of_the_world(sink, scripted_tagger):
    events = events_t3(3)
    layout = find_layout(0x00010305)
    device, _ = tagger(scripted_tagger(blocks=[Encoder(layout).encode(events)]))
    device.start(sink, 1.0)
    device.wait(5.0)
    decoded = Decoder(layout).decode(sink.records)
    np.testing.assert_array_equal(decoded.time, events.time)
    np.testing.assert_array_equal(decoded.dtime, events.dtime)


class Calls:
    """A library that notes what is called."""

    def __init__(self, library):
        self.library, self.names = library, []

    def __getattr__(self, name):
        function = getattr(self.library, name)

        def call(*arguments):
            self.names.append(name.removeprefix("TH260_"))
            return function(*arguments)

        return call


def test_every_recording_ends_with_stop(sink, scripted_tagger):
    library = Calls(SimulatedTH260Lib(scripted_tagger(blocks=[[1], [2]])))
    device = PicoQuantTimeHarp260("tagger", library, "T2")
    configure(device)
    for _ in range(2):
        library.names.clear()
        device.start(sink, 1.0)
        assert device.wait(5.0)
        assert library.names[0] == "StartMeas"
        assert library.names[-1] == "StopMeas"
        assert library.names.count("StopMeas") == 1
        before = library.names[: library.names.index("StopMeas")]
        assert before.index("CTCStatus") > before.index("ReadFiFo") > before.index("GetFlags")
        device.inputs[0].offset(1e-9)  # refused until StopMeas


def test_call_order_of_the_vendors_demos_is_accepted(scripted_tagger):
    """TH260-Demos, TTTR mode: what each call returns, restated."""
    library = SimulatedTH260Lib(scripted_tagger(blocks=[[1, 2, 3]]))
    text, number, real = ctypes.create_string_buffer(40), ctypes.c_int(), ctypes.c_double()
    buffer = (ctypes.c_uint * 131_072)()
    integer, double = ctypes.pointer(number), ctypes.pointer(real)
    assert library.TH260_CloseDevice(1) == 0  # closing what is not open does no harm
    assert library.TH260_StopMeas(0) == -10
    for function, *arguments in (
        ("OpenDevice", text), ("Initialize", 2), ("GetHardwareInfo", text, text, text),
        ("GetFeatures", integer), ("GetBaseResolution", double, integer),
        ("GetNumOfInputChannels", integer), ("SetSyncDiv", 1), ("SetSyncEdgeTrg", -50, 0),
        ("SetSyncChannelOffset", 0), ("SetInputEdgeTrg", 0, -50, 0),
        ("SetInputChannelOffset", 0, 0), ("SetInputChannelEnable", 0, 1),
        ("GetResolution", double), ("GetSyncRate", integer), ("GetCountRate", 0, integer),
        ("GetCountRate", 1, integer), ("GetWarnings", integer), ("StartMeas", 1000),
    ):  # fmt: skip
        assert getattr(library, f"TH260_{function}")(0, *arguments) == 0, function
    total = 0
    while True:
        assert library.TH260_GetFlags(0, integer) == 0
        assert number.value & 2 == 0
        assert library.TH260_ReadFiFo(0, buffer, 131_072, integer) == 0
        if number.value:
            total += number.value
            continue
        assert library.TH260_CTCStatus(0, integer) == 0
        if number.value:
            break
    assert total == 3
    assert library.TH260_SetSyncDiv(0, 1) == -16  # the time has passed, but nobody stopped
    assert library.TH260_StartMeas(0, 1000) == -16
    assert library.TH260_StopMeas(0) == 0
    assert library.TH260_StartMeas(0, 1000) == 0
    assert library.TH260_CloseDevice(0) == 0


def test_read_is_a_multiple_of_128_records(scripted_tagger):
    library = SimulatedTH260Lib(scripted_tagger(blocks=[np.arange(500)]))
    PicoQuantTimeHarp260("tagger", library, "T2")
    actual = ctypes.pointer(ctypes.c_int())
    assert library.TH260_ReadFiFo(0, (ctypes.c_uint * 300)(), 300, actual) == -17
    calls = []

    class Functions:
        def TH260_ReadFiFo(self, device, buffer, count, actual):
            calls.append(count)
            return 0

    lib = TH260Lib(Functions())
    lib.read_fifo(0, np.empty(300, np.uint32))
    lib.read_fifo(0, np.empty(1 << 20, np.uint32))
    assert calls == [256, 131_072]


def test_warnings_are_valid_only_after_all_rates_were_read(scripted_tagger):
    library = SimulatedTH260Lib(scripted_tagger())
    device = PicoQuantTimeHarp260("tagger", library, "T3")
    bits = ctypes.c_int()
    library.TH260_GetWarnings(0, ctypes.pointer(bits))
    assert bits.value & 0x11 == 0x11
    assert not any("no " in text for text in device.warnings())


def test_sync_period_is_in_seconds(scripted_tagger):
    library = SimulatedTH260Lib(scripted_tagger())
    PicoQuantTimeHarp260("tagger", library, "T2")
    period = ctypes.c_double()
    assert library.TH260_GetSyncPeriod(0, ctypes.pointer(period)) == 0
    assert period.value == pytest.approx(50e-6)


def test_vendors_library_is_looked_for_where_its_installer_puts_it(monkeypatch):
    tried = []

    def load(name, maker, signatures):
        tried.append(name)
        if len(tried) < 2:
            raise OSError(name)
        return "library"

    monkeypatch.setattr("instruments.picoquant_timeharp260.library.load_library", load)
    monkeypatch.setattr("sys.platform", "linux")
    TH260Lib.load("installed")
    assert tried == ["libth260.so", "/usr/local/lib64/th260/th260lib.so"]
    tried.clear()
    with pytest.raises(OSError, match=r"mine\.so"):
        TH260Lib.load("mine.so")
