import time
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import numpy as np
import pytest

from instruments.keysight_81180a.driver import Keysight81180A
from instruments.keysight_81180a.waveform import encode_words
from simulation.lab.instrument_faults import InstrumentFault
from simulation.lab.instruments.keysight_81180a import Simulated81180A
from simulation.lab.servers.tcp import TcpServer
from simulation.lab.servers.transcript import Transcript

IDN = ("*IDN?", "Agilent Technologies,81180A,IL50280120,1.64")
OK = ("SYST:ERR?", '0,"No error"')
RATE = 4.2e9


def connect(address, **changes):
    return Keysight81180A(
        "awg", address, visalib="@py", **{"peak_limit": 0.9, "timeout": 2.0} | changes
    )


@pytest.fixture
def device():
    return Simulated81180A()


@pytest.fixture
def server(device):
    with TcpServer(device) as server:
        yield server


@pytest.fixture
def awg(server):
    return connect(server.address)


def play(steps, act):
    transcript = Transcript([IDN, OK, IDN, *steps])
    with TcpServer(transcript) as server:
        act(connect(server.address))
        transcript.check()


def put(command, channel=1):
    return [OK, (f":INST:SEL CH{channel};{command}", None), OK]


def ask(query, reply, channel=1):
    return [(f":INST:SEL CH{channel};{query}", reply)]


def ramp(points, peak=0.5):
    return np.linspace(-peak, peak, points)


def test_segment_on_the_wire():
    words = np.full(320, 2048, "<u2")
    words[-32:] |= 1 << 14
    block = b":TRAC:DATA #3640" + words.tobytes() + b"\n"
    play(
        [
            *put(":OUTP 0"),
            *ask(":OUTP?", "0"),
            *put(":FUNC:MODE USER"),
            *put(":TRAC:DEL:ALL"),
            *put(":FREQ:RAST 4.2e+09"),
            *put(":VOLT:OFFS 0"),
            *put(":VOLT 0.05"),
            *put(":OUTP:COUP DC"),
            *put(":TRAC:DEF 1,320"),
            *put(":TRAC:SEL 1"),
            ("*OPC?", "1"),
            (block, None),
            (":INST:SEL?", "CH1"),
            (":TRAC:SEL?", "1"),
            ("*OPC?", "1"),
            OK,
            *ask(":FREQ:RAST?", "4.2000000E+09"),
            *ask(":VOLT?", "5.000E-02"),
            *ask(":VOLT:OFFS?", "0.000E+00"),
            *ask(":OUTP:COUP?", "DC"),
        ],
        lambda awg: awg.load_segments(1, [np.zeros(320)], RATE),
    )


def test_sequence_on_the_wire():
    def act(awg):
        awg.ch2.segment_lengths = (320, 320)
        awg.load_sequence(2, [(1, 1), (2, 5)])

    play(
        [
            *put(":FUNC:MODE USER", 2),
            *put(":SEQ:DEL:ALL", 2),
            *put(":SEQ:SEL 1", 2),
            *put(":SEQ:DEF 1,1,1,0", 2),
            *put(":SEQ:DEF 2,2,1,0", 2),
            *put(":SEQ:DEF 3,2,4,0", 2),
            *put(":SEQ:ADV AUTO", 2),
            *put(":INIT:CONT 0", 2),
            *put(":INIT:GATE 0", 2),
            *put(":TRIG:SOUR EXT", 2),
            *put(":TRIG:COUN 1", 2),
            *put(":FUNC:MODE SEQ", 2),
            *ask(":FUNC:MODE?", "SEQ", 2),
            *ask(":INIT:CONT?", "0", 2),
            *ask(":TRIG:SOUR?", "EXT", 2),
            *ask(":SEQ:ADV?", "AUTO", 2),
            *ask(":INIT:GATE?", "0", 2),
            *ask(":TRIG:COUN?", "1", 2),
        ],
        act,
    )


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("trigger_level", 1.2, ":TRIG:LEV 1.2"),
        ("trigger_slope", "either", ":TRIG:SLOP EITH"),
        ("trigger_source", "timer", ":TRIG:SOUR TIM"),
        ("trigger_delay", 800, ":TRIG:DEL 800"),
        ("continuous", True, ":INIT:CONT 1"),
        ("sample_rate", 3.6e9, ":FREQ:RAST 3.6e+09"),
    ],
)
def test_channel_parameter_on_the_wire(name, value, sent):
    play(put(sent, 2), lambda awg: awg.ch2.parameters[name](value))


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [("clock_coupled", True, ":INST:COUP:STAT 1"), ("skew", 1e-9, ":INST:COUP:SKEW 1e-09")],
)
def test_coupling_on_the_wire(name, value, sent):
    play([OK, (sent, None), OK], lambda awg: awg.parameters[name](value))


@pytest.mark.parametrize(
    ("path", "level", "sent"),
    [("DAC", 0.4, ":VOLT:DAC 0.4"), ("DC", 0.4, ":VOLT 0.4"), ("AC", 0.4, ":POW -3.979")],
)
def test_level_of_the_new_path_is_set_before_the_path(path, level, sent):
    offset = [] if path == "AC" else ask(":VOLT:OFFS?", "1.000E-01")
    play(
        [*offset, *put(sent), *put(f":OUTP:COUP {path}"), *ask(":OUTP:COUP?", path)],
        lambda awg: awg.ch1.set_path(path, level),
    )


@pytest.mark.parametrize(("path", "query"), [("DC", ":VOLT?"), ("DAC", ":VOLT:DAC?")])
def test_offset_is_sent_after_the_amplitude_of_its_path_is_known(path, query):
    play(
        [*ask(":OUTP:COUP?", path), *ask(query, "4.000E-01"), *put(":VOLT:OFFS 0.1")],
        lambda awg: awg.ch1.offset(0.1),
    )


def test_safe_state_on_the_wire():
    off = [step for n in (1, 2) for step in (
        (f":INST:SEL CH{n};:OUTP 0", None), (f":INST:SEL CH{n};:ABOR", None))]  # fmt: skip
    play([*off, *off, *ask(":OUTP?", "0", 1), *ask(":OUTP?", "0", 2)], lambda awg: awg.safe_state())


def test_switching_on_and_state_queries_on_the_wire():
    def act(awg):
        awg.ch1.has_sequence = True
        awg.set_output(1, on=True)
        assert (awg.ch2.continuous(), awg.ch2.trigger_delay()) == (True, 800)

    play(
        [
            *ask(":FUNC:MODE?", "SEQ"),
            *put(":OUTP 1"),
            *ask(":OUTP?", "1"),
            *ask(":INIT:CONT?", "1", 2),
            *ask(":TRIG:DEL?", "800", 2),
        ],
        act,
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("amplitude", 1.9, "configured `peak_limit`, but is 0.95"),
        ("offset", 1.0, "configured `peak_limit`"),
        ("offset", -0.7, "up to 0.9 V"),
        ("trigger_delay", 12, "not a multiple of 8"),
    ],
)
def test_value_beyond_what_is_connected_is_refused_before_sending(
    awg, device, name, value, message
):
    before = dict(device.values)
    with pytest.raises((ValueError, TypeError), match=message):
        awg.ch1.parameters[name](value)
    assert device.values == before


def test_waveform_arrives_in_the_world_to_half_a_code(awg, device):
    segments = [ramp(320), ramp(640, 0.25), np.zeros(320)]
    awg.load_segments(1, segments, RATE)
    awg.load_sequence(1, [(1, 2), (2, 1), (3, 10)])
    assert device.ports[0].drive is None
    awg.set_output(1, on=True)
    drive = device.ports[0].drive
    assert (drive.trigger, drive.sample_rate, drive.coupling) == ("external", RATE, "DC")
    assert [loops for _, loops in drive.steps] == [2, 1, 10]
    for (volts, _), wanted in zip(drive.steps, segments, strict=True):
        np.testing.assert_allclose(volts, wanted, atol=0.51 * 1.0 / 4094)


def test_serrodyne_of_both_channels_does_not_mix(awg, device):
    turns = np.arange(320) / 80  # 45 MHz at 3.6 GS/s

    def sawtooth(phase):
        return 0.4 * (np.mod(turns + phase / (2 * np.pi), 1) - 0.5)

    for channel, phase in ((1, 0.0), (2, 2.0)):
        volts = sawtooth(phase)
        awg.load_segments(channel, [volts], 3.6e9)
        awg.load_sequence(channel, [(1, 10)])
        awg.set_output(channel, on=True)
    for port, phase in zip(device.ports, (0.0, 2.0), strict=True):
        played = np.concatenate([np.tile(volts, loops) for volts, loops in port.drive.steps])
        np.testing.assert_allclose(played, np.tile(sawtooth(phase), 10), atol=2e-4)


def test_markers_stand_in_the_last_eight_words_of_each_group(device, awg):
    marker = np.zeros(320, bool)
    marker[64:72] = True
    awg.ch1.load_segments([ramp(320)], RATE, markers=[(marker, ~marker)])
    memory = device.memories[1]
    np.testing.assert_array_equal(memory.marker(1, 1), marker)
    np.testing.assert_array_equal(memory.marker(1, 2), ~marker)
    assert set(np.flatnonzero(memory.words[1] & 0x1000)) == {64 + 24, 64 + 25}


def test_code_of_zero_is_the_middle_and_full_scale_the_ends():
    words = encode_words(np.array([-0.5, 0.0, 0.5] * 32), amplitude=1.0)
    assert (words[:3] & 0xFFF).tolist() == [1, 2048, 4095]


@pytest.mark.parametrize(
    ("segments", "rate", "message"),
    [
        ([np.zeros(288)], RATE, "segment 1 must be one row of at least 320 points"),
        ([np.zeros(320), np.zeros(336)], RATE, "segment 2 .* multiple of 32"),
        ([ramp(320, 0.95)], RATE, "within ±0.9 V, but reaches 0.95"),
        ([np.full(320, np.nan)], RATE, "within ±0.9 V"),
        ([], RATE, "`segments` must be 1"),
        ([np.zeros(320)], 4.3e9, "`sample_rate` must be"),
        ([np.zeros(320)], 1e9 + 1, "with 8 digits"),
    ],
)
def test_illegal_segments_are_refused_before_anything_is_sent(device, awg, segments, rate, message):
    before = dict(device.values)
    with pytest.raises(ValueError, match=message):
        awg.load_segments(1, segments, rate)
    assert device.values == before


def test_segment_just_within_an_odd_peak_limit_is_accepted(server, device):
    awg = connect(server.address, peak_limit=0.1003)
    awg.load_segments(1, [ramp(320, 0.1003)], RATE)
    assert device.number("amplitude", 1) == pytest.approx(0.201)


def test_model_b_needs_longer_segments():
    with TcpServer(Simulated81180A(model="B")) as server:
        awg = connect(server.address)
        with pytest.raises(ValueError, match="at least 384 points"):
            awg.load_segments(1, [np.zeros(320)], 1e9)


def test_memory_that_is_too_small_is_refused(server):
    awg = connect(server.address, memory_points=1000)
    with pytest.raises(ValueError, match="1280 points must fit"):
        awg.load_segments(1, [np.zeros(640)] * 2, RATE)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([(1, 1), (1, 1)], "at least 3 segments per trigger"),
        ([(2, 3)], "asks for segment 2"),
        ([(1, 0)], "must loop 1 to"),
        ([(1, 2_000_000)], "must loop 1 to 1048575"),
    ],
)
def test_illegal_sequence_is_refused(awg, steps, message):
    awg.load_segments(1, [np.zeros(320)], RATE)
    with pytest.raises(ValueError, match=message):
        awg.load_sequence(1, steps)


def test_output_needs_a_sequence(awg):
    awg.load_segments(1, [np.zeros(320)], RATE)
    with pytest.raises(RuntimeError, match="load segments and a sequence"):
        awg.set_output(1, on=True)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("FREQ:RAST", "FREQ:RAST.* must read"),
        ("TRAC:DEL:ALL", ""),
        ("VOLT", "VOLT.* must read"),
        ("TRAC:DEF", "refused"),
        ("TRAC:SEL", ""),
    ],
)
def test_setting_that_does_not_move_is_noticed_or_harmless(awg, device, setting, message):
    device.faults.inject(InstrumentFault(kind="stick", setting=setting, count=None))
    if message:
        with pytest.raises(RuntimeError, match=message):
            awg.load_segments(1, [ramp(320)], RATE)
    else:
        awg.load_segments(1, [ramp(320)], RATE)


def test_interrupted_download_hangs_the_interface_and_the_error_says_so(awg, device, server):
    device.execute(b":TRAC:DEF 1,320;SEL 1")
    awg.write_bytes(b":TRAC:DATA #3640" + bytes(100), "half a block")
    server.cut_links()
    time.sleep(0.02)
    with pytest.raises(TimeoutError, match="check power"):
        awg.ch1.output()
    device.cycle_power()
    assert awg.ch1.output() is False


@pytest.mark.parametrize(
    ("stuck", "message"),
    [
        (":VOLT:OFFS 0.2", "must be DC without offset, but reads DC with 0.2 V"),
        (":OUTP:COUP DAC", "must be DC without offset, but reads DAC"),
        (":SEQ:ADV STEP", "must play the sequence once, but .* :SEQ:ADV STEP"),
        (":TRIG:COUN 7", "must play the sequence once, but .* :TRIG:COUN 7"),
        (":INIT:GATE ON", "must play the sequence once, but :INIT:GATE is 1"),
    ],
)
def test_setting_that_is_stuck_is_found_before_the_output_is_on(awg, device, stuck, message):
    device.execute(stuck.encode())
    setting = stuck.partition(" ")[0]
    device.faults.inject(InstrumentFault(kind="stick", count=None, setting=setting))
    with pytest.raises(RuntimeError, match=message):  # noqa: PT012  # either of them may notice
        awg.load_segments(1, [ramp(320)], RATE)
        awg.load_sequence(1, [(1, 3)])
    with pytest.raises(RuntimeError, match="load segments and a sequence"):
        awg.set_output(1, on=True)


def test_output_is_not_switched_on_after_the_link_was_lost(awg, server):
    awg.load_segments(1, [ramp(320)], RATE)
    awg.load_sequence(1, [(1, 3)])
    server.cut_links()
    time.sleep(0.02)
    with pytest.raises(RuntimeError, match="load segments and a sequence"):
        awg.set_output(1, on=True)


def test_threads_on_different_channels_do_not_mix(awg, device):
    def work(channel):
        for _ in range(100):
            channel.trigger_level(float(channel.number))
            assert channel.trigger_level() == channel.number

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(work, channel) for channel in (awg.ch1, awg.ch2)]:
            done.result()
    assert [device.number("trigger_level", channel) for channel in (1, 2)] == [1, 2]


def test_safe_state_switches_off_over_a_fresh_link(awg, device, server):
    awg.load_segments(1, [ramp(320)], RATE)
    awg.load_sequence(1, [(1, 3)])
    awg.set_output(1, on=True)
    server.cut_links()
    awg.safe_state()
    awg.safe_state()
    assert device.ports[0].drive is None


def test_snapshot_changes_nothing_not_even_the_selection(awg, device):
    device.execute(b":INST:SEL CH1")
    before = dict(device.values)
    snapshot = awg.snapshot(update=True)
    assert (device.values, device.selected) == (before, 1)
    assert snapshot["submodules"]["ch2"]["parameters"]["trigger_level"]["value"] == 1.6


def test_missing_peak_limit_is_refused(server):
    with pytest.raises(TypeError, match="peak_limit"):
        Keysight81180A("awg", server.address)
    with pytest.raises(ValueError, match="`peak_limit` must be"):
        connect(server.address, peak_limit=0)


def test_a_million_points_arrive_whole(device, server):
    awg = connect(server.address, timeout=2)
    samples = 0.5 * np.sin(np.arange(1_000_000 // 32 * 32) / 1000)
    awg.load_segments(1, [samples], RATE)
    assert device.memories[1].lengths[1] == len(samples)


def test_snapshot_asks_for_the_selection_first_and_restores_it():
    class Asking(Transcript):
        """Answers every query, and remembers what comes in."""

        lines: ClassVar[list] = []

        def feed(self, data):
            known = {"*IDN?": IDN[1], ":INST:SEL?": "CH2", "SYST:ERR?": OK[1]}
            for line in data.decode().splitlines():
                self.lines.append(line)
                if line.endswith("?"):
                    yield f"{known.get(line, 0)}\n".encode()

    far_end = Asking([])
    with TcpServer(far_end) as server:
        awg = connect(server.address)
        far_end.lines.clear()
        awg.snapshot(update=True)
    assert far_end.lines[0] == ":INST:SEL?"
    assert far_end.lines[-2:] == [":INST:SEL CH2", "SYST:ERR?"]
    commands = {line for line in far_end.lines if not line.endswith("?")}
    assert commands == {":INST:SEL CH2"}


def test_two_clients_do_not_meet_on_the_selected_channel(server):
    first, second = (
        connect(server.address),
        Keysight81180A("other", server.address, visalib="@py", peak_limit=0.9, timeout=2.0),
    )

    def set_and_read(channel, base):
        wrong = 0
        for step in range(100):
            rate = base + 1e3 * step
            channel.sample_rate(rate)
            wrong += channel.sample_rate.get() != rate
        return wrong

    with ThreadPoolExecutor(2) as pool:
        found = pool.map(set_and_read, (first.ch1, second.ch2), (2e9, 3e9))
    assert list(found) == [0, 0]


def test_download_that_went_to_another_channel_is_noticed(awg, device):
    store = device._download

    def download(call):
        device.selected = 2
        store(call)

    device.on("TRACe[:DATA]", set=download)
    with pytest.raises(RuntimeError, match=r"another program selected channel 2|refused"):
        awg.load_segments(1, [ramp(320)], RATE)


@pytest.mark.parametrize(
    "maker", ["Agilent Technologies,81180A,IL1,1.64", "Keysight Technologies,81180B,MY1,3.20"]
)
def test_both_names_of_the_maker_are_accepted(device, server, maker):
    device.idn = maker
    assert connect(server.address).memory.min_points == (384 if "B," in maker else 320)
