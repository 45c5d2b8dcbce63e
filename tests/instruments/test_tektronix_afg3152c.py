import time
from math import inf, pi

import numpy as np
import pytest

from instruments.roles import PulseShape
from instruments.tektronix_afg3152c.driver import TektronixAFG3152C
from instruments.tektronix_afg3152c.limits import DriveLimits
from simulation.lab.instrument_faults import InstrumentFault
from simulation.lab.instruments.tektronix_afg3152c import SimulatedAFG3152C
from simulation.lab.servers.tcp import TcpServer
from simulation.lab.servers.transcript import Transcript

IDN = ("*IDN?", "TEKTRONIX,AFG3152C,C012345,SCPI:99.0 FV:1.0.1")
OK = ("SYST:ERR?", '0,"No error"')
CHANNELS = {
    1: {"load": 50.0, "low": -0.1, "high": 1.0},
    2: DriveLimits(load=inf, low=0.0, high=5.0),
}
PULSE = PulseShape(width=40e-9, delay=500e-9, low=0.0, high=0.8, edge=4e-9)


def connect(address, **changes):
    settings = {"channels": CHANNELS, "trigger_latency": 300e-9, "timeout": 2.0} | changes
    return TektronixAFG3152C("afg", address, visalib="@py", **settings)


@pytest.fixture
def device():
    return SimulatedAFG3152C(trigger_latency=300e-9)


@pytest.fixture
def server(device):
    with TcpServer(device) as server:
        yield server


@pytest.fixture
def afg(server):
    return connect(server.address)


def play(steps, act):
    transcript = Transcript([IDN, OK, *steps])
    with TcpServer(transcript) as server:
        afg = connect(server.address)
        act(afg)
        transcript.check()


def put(command):
    return [OK, (command, None), OK]


UNCOUPLED = [("SOUR1:VOLT:CONC:STAT?", "0"), ("SOUR1:FREQ:CONC:STAT?", "0")]
LOAD = [("OUTP1:IMP?;IMP?", "5.000000E+01;5.000000E+01")]


def times(width, period, lead, trail, source="SOUR1"):
    headers = ("WIDT", "PER", "TRAN:LEAD", "TRAN:TRA")
    values = (width, period, lead, trail)
    return [
        (f"{source}:PULS:{header}?", f"{value:.9E}")
        for header, value in zip(headers, values, strict=True)
    ]


def test_pulse_on_the_wire():
    source = "SOUR1"
    play(
        [
            *UNCOUPLED,
            (f"{source}:PULS:PER?", "1.000000000E-06"),
            (f"{source}:PULS:WIDT?", "5.000000000E-07"),
            (f"{source}:PULS:TRAN:LEAD?", "5.000000000E-09"),
            (f"{source}:PULS:TRAN:TRA?", "5.000000000E-09"),
            *put(f"{source}:FUNC PULS"),
            (f"{source}:FUNC?", "PULS"),
            *put("OUTP1:POL NORM"),
            *put(f"{source}:PULS:HOLD WIDT"),
            *times(5e-7, 1e-6, 5e-9, 5e-9),
            *UNCOUPLED,
            *put(f"{source}:PULS:PER 1.036e-06"),
            (f"{source}:PULS:WIDT?", "5.000000000E-07"),
            *times(5e-7, 1.036e-6, 5e-9, 5e-9),
            *put(f"{source}:PULS:WIDT 5e-07"),
            *times(5e-7, 1.036e-6, 5e-9, 5e-9),
            *put(f"{source}:PULS:TRAN:LEAD 4e-09"),
            *times(5e-7, 1.036e-6, 4e-9, 5e-9),
            *put(f"{source}:PULS:TRAN:TRA 4e-09"),
            *times(5e-7, 1.036e-6, 4e-9, 4e-9),
            *put(f"{source}:PULS:WIDT 4e-08"),
            (f"{source}:PULS:WIDT?", "4.000000000E-08"),
            (f"{source}:PULS:TRAN:LEAD?", "4.000000000E-09"),
            (f"{source}:PULS:TRAN:TRA?", "4.000000000E-09"),
            *times(4e-8, 1.036e-6, 4e-9, 4e-9),
            *UNCOUPLED,
            *put(f"{source}:PULS:PER 1e-07"),
            *put(f"{source}:PULS:DEL 0"),
            (f"{source}:PULS:DEL?", "0.000000000E+00"),
            *put(f"{source}:BURS:MODE TRIG"),
            *put(f"{source}:BURS:NCYC 1"),
            *put(f"{source}:BURS:TDEL 1.975e-07"),
            *put(f"{source}:BURS:STAT 1"),
            *put("TRIG:SOUR EXT"),
            (f"{source}:BURS:NCYC?", "1.000000000E+00"),
            (f"{source}:BURS:TDEL?", "1.975000000E-07"),
            (f"{source}:BURS:STAT?", "1"),
            ("TRIG:SOUR?", "EXT"),
            ("OUTP1:POL?", "NORM"),
            (f"{source}:BURS:MODE?", "TRIG"),
            *UNCOUPLED,
            *LOAD,
            *LOAD,
            (f"{source}:FREQ?", "1.00000000000E+07"),
            (f"{source}:VOLT:LOW?", "-5.000000E-01"),
            (f"{source}:VOLT:HIGH?", "5.000000E-01"),
            *put(f"{source}:VOLT:LIM:HIGH 1"),
            *put(f"{source}:VOLT:LIM:LOW -0.5"),
            *put(f"{source}:VOLT:HIGH 0.8"),
            *put(f"{source}:VOLT:LOW 0"),
            (f"{source}:VOLT:HIGH?", "8.000000E-01"),
            (f"{source}:VOLT:LOW?", "0.000000E+00"),
            *put(f"{source}:VOLT:LIM:HIGH 1"),
            *put(f"{source}:VOLT:LIM:LOW -0.1"),
        ],
        lambda afg: afg.program_pulse(1, PULSE),
    )


def test_waveform_on_the_wire_is_big_endian_14_bit():
    block = b"DATA:DATA EMEM,#16" + bytes.fromhex("00001fff3ffe") + b"\n"
    play(
        [
            *put("DATA:DEF EMEM,3"),
            OK,
            (block, None),
            OK,
            *put("DATA:COPY USER1,EMEM"),
            ("DATA:DATA? EMEM", block.removeprefix(b"DATA:DATA EMEM,")),
            *put("SOUR1:FUNC USER1"),
            ("SOUR1:FUNC?", "USER1"),
            *put("OUTP1:POL NORM"),
            ("SOUR1:FUNC?", "USER1"),
            *UNCOUPLED,
            ("SOUR1:VOLT:HIGH?", "1.0E+00"),
            ("SOUR1:VOLT:LOW?", "0.0E+00"),
            *put("SOUR1:FREQ 10000000"),
            *put("SOUR1:BURS:MODE TRIG"),
            *put("SOUR1:BURS:NCYC 1"),
            *put("SOUR1:BURS:TDEL 0"),
            *put("SOUR1:BURS:STAT 1"),
            *put("TRIG:SOUR EXT"),
            ("SOUR1:BURS:NCYC?", "1.000000000E+00"),
            ("SOUR1:BURS:TDEL?", "0.0E+00"),
            ("SOUR1:BURS:STAT?", "1"),
            ("TRIG:SOUR?", "EXT"),
            ("OUTP1:POL?", "NORM"),
            ("SOUR1:BURS:MODE?", "TRIG"),
            *UNCOUPLED,
            *LOAD,
            *LOAD,
            ("SOUR1:FREQ?", "1.00000000000E+07"),
            ("SOUR1:VOLT:LOW?", "0.0E+00"),
            ("SOUR1:VOLT:HIGH?", "1.0E+00"),
            *put("SOUR1:VOLT:LIM:HIGH 1"),
            *put("SOUR1:VOLT:LIM:LOW -0.1"),
            *put("SOUR1:VOLT:HIGH 0.5"),
            *put("SOUR1:VOLT:LOW 0"),
            ("SOUR1:VOLT:HIGH?", "5.0E-01"),
            ("SOUR1:VOLT:LOW?", "0.0E+00"),
            *put("SOUR1:VOLT:LIM:HIGH 1"),
            *put("SOUR1:VOLT:LIM:LOW -0.1"),
        ],
        lambda afg: afg.program_waveform(1, np.array([0, 0.25, 0.5]), 30e6),
    )


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("phase", pi / 2, "SOUR2:PHAS 1.57079632679"),
        ("burst_cycles", inf, "SOUR2:BURS:NCYC INF"),
        ("burst_cycles", 3, "SOUR2:BURS:NCYC 3"),
        ("burst", False, "SOUR2:BURS:STAT 0"),
        ("function", "SIN", "SOUR2:FUNC SIN"),
        ("polarity", "inverted", "OUTP2:POL INV"),
        ("trigger_delay", 1e-7, "SOUR2:BURS:TDEL 1e-07"),
    ],
)
def test_channel_parameter_on_the_wire(name, value, sent):
    play(put(sent), lambda afg: afg.ch2.parameters[name](value))


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("trigger_source", "timer", "TRIG:SOUR TIM"),
        ("trigger_slope", "falling", "TRIG:SLOP NEG"),
        ("trigger_period", 50e-6, "TRIG:TIM 5e-05"),
    ],
)
def test_trigger_parameter_on_the_wire(name, value, sent):
    play(put(sent), lambda afg: afg.parameters[name](value))


def test_pulse_arrives_in_the_world_where_it_was_asked_for(afg, device):
    afg.program_pulse(1, PULSE)
    assert device.ports[0].drive is None
    afg.set_output(1, on=True)
    drive = device.ports[0].drive
    assert drive.trigger == "external"
    assert drive.shape.delay == pytest.approx(PULSE.delay, abs=0.05e-9)
    assert drive.shape.width == pytest.approx(PULSE.width)
    assert (drive.shape.low, drive.shape.high) == pytest.approx((0.0, 0.8), abs=1e-6)


@pytest.mark.parametrize("width", [6e-9, 40e-9, 10e-6, 30e-9])
def test_pulse_widths_follow_each_other_in_any_order(afg, device, width):
    for first in (20e-6, 5e-9):
        afg.program_pulse(1, PulseShape(width=first, delay=1e-6, low=0, high=1, edge=3e-9))
        afg.program_pulse(1, PulseShape(width=width, delay=1e-6, low=0, high=1, edge=4e-9))
        afg.set_output(1, on=True)
        assert device.ports[0].drive.shape.width == pytest.approx(width)


def test_waveform_arrives_in_the_world_to_half_a_code(afg, device):
    samples = 0.9 * np.sin(np.linspace(0, pi, 2000))
    afg.program_waveform(1, samples, 1e9)
    afg.set_output(1, on=True)
    shape = device.ports[0].drive.shape
    assert shape.sample_rate == pytest.approx(1e9)
    np.testing.assert_allclose(shape.samples, samples, atol=0.6 * 0.9 / 16382)


def test_declared_load_rescales_numbers_not_the_output(afg, device):
    afg.program_pulse(2, PulseShape(width=40e-9, delay=1e-6, low=0, high=4, edge=4e-9))
    afg.set_output(2, on=True)
    assert afg.ch2.load() == inf
    assert device.ports[1].drive.shape.high == pytest.approx(2.0)  # V into a real 50 Ω
    device.execute(b"OUTP2:IMP 50")
    assert afg.ch2.high() == pytest.approx(2.0)
    assert device.ports[1].drive.shape.high == pytest.approx(2.0)


def test_levels_are_coupled_as_in_the_generator(device):
    device.execute(b"SOUR1:VOLT:HIGH 1;LOW 0")
    assert device.execute(b"SOUR1:VOLT?;VOLT:OFFS?") == b"1.000000E+00;5.000000E-01\n"
    device.execute(b"SOUR1:VOLT:AMPL 2VPP")
    assert device.execute(b"SOUR1:VOLT:HIGH?;LOW?") == b"1.500000E+00;-5.000000E-01\n"
    device.execute(b"SOUR1:VOLT:OFFS 500mV;HIGH -1")
    assert device.execute(b"SYST:ERR?").startswith(b"-222")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"high": 1.2}, r"afg_ch1: levels must lie within -0.1 to 1 V"),
        ({"low": 0.79}, r"high − low must be 0.02 to 10 V"),
        ({"delay": 100e-9}, r"`delay` must be at least 3.025e-07 s"),
        ({"width": 4e-9}, r"`width` must be 5e-09 to 999.99 s"),
        ({"edge": 100e-9}, r"`width` must be 1.25e-07"),
    ],
)
def test_impossible_pulse_is_refused_before_anything_is_sent(device, afg, change, message):
    values = {name: getattr(PULSE, name) for name in ("width", "delay", "low", "high", "edge")}
    before = dict(device.values)
    with pytest.raises(ValueError, match=message):
        afg.program_pulse(1, PulseShape(**values | change))
    assert device.values == before


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(1), 1e9, "2 to 131072"),
        (np.full(10, np.nan), 1e9, "finite"),
        (np.zeros(20_000), 1e9, "up to 2.5e"),
        (np.linspace(0, 2, 100), 1e9, "within -0.1 to 1 V"),
        (np.zeros(16_384), 1e9, "up to 2.5e"),
        (np.zeros(10), 1e9, "0.001 to 7.5e\\+07 Hz for the waveform USER1"),
    ],
)
def test_impossible_waveform_is_refused(afg, samples, rate, message):
    with pytest.raises(ValueError, match=message):
        afg.program_waveform(1, samples, rate)


def test_output_is_not_switched_on_unprogrammed_or_after_levels_were_moved(afg, device):
    with pytest.raises(RuntimeError, match="program a pulse or waveform"):
        afg.set_output(1, on=True)
    afg.program_pulse(1, PULSE)
    device.execute(b"SOUR1:VOLT:LIM:HIGH 5;:SOUR1:VOLT:HIGH 3")
    with pytest.raises(RuntimeError, match=r"levels 0 to 3 V .* must lie within"):
        afg.set_output(1, on=True)
    assert device.ports[0].drive is None


@pytest.mark.parametrize(
    "setting",
    ["OUTP1:IMP", "SOUR1:VOLT:HIGH", "SOUR1:PULS:WIDT", "OUTP1:POL", "SOUR1:BURS:MODE",
     "SOUR1:BURS:NCYC", "SOUR1:PULS:DEL"],
)  # fmt: skip
def test_setting_that_silently_does_not_move_is_noticed(afg, device, setting):
    device.execute(b"OUTP1:IMP 75;:OUTP1:POL INV;:SOUR1:BURS:MODE GAT;NCYC 5;:SOUR1:PULS:DEL 2us")
    device.faults.inject(InstrumentFault(kind="stick", setting=setting, count=None))
    with pytest.raises(RuntimeError, match=r"must be .* but reads|refused .*conflict"):
        afg.program_pulse(1, PULSE)
    with pytest.raises(RuntimeError, match="program a pulse"):
        afg.set_output(1, on=True)


def test_output_is_not_switched_on_after_the_link_was_lost(afg, server):
    afg.program_pulse(1, PULSE)
    server.cut_links()
    time.sleep(0.02)
    with pytest.raises(RuntimeError, match="program a pulse or waveform"):
        afg.set_output(1, on=True)


def test_output_that_sticks_on_is_reported(afg, device):
    afg.program_pulse(1, PULSE)
    afg.set_output(1, on=True)
    device.faults.inject(InstrumentFault(kind="stick", setting="OUTP1", count=None))
    with pytest.raises(RuntimeError, match=r"channels \[1\] must be off"):
        afg.safe_state()


def test_safe_state_switches_off_even_over_a_link_that_was_lost(afg, device, server):
    for channel in (1, 2):
        afg.program_pulse(channel, PULSE)
        afg.set_output(channel, on=True)
    device.faults.inject(InstrumentFault(kind="silence"))
    afg.safe_state()
    assert [port.drive for port in device.ports] == [None, None]
    assert not afg.ch1.output.cache()


def test_snapshot_changes_nothing(afg, device):
    afg.program_pulse(1, PULSE)
    before = dict(device.values), {n: str(v) for n, v in device.levels.items()}
    snapshot = afg.snapshot(update=True)
    assert (dict(device.values), {n: str(v) for n, v in device.levels.items()}) == before
    assert snapshot["submodules"]["ch1"]["parameters"]["high"]["value"] == pytest.approx(0.8)


def test_connecting_changes_nothing(device, server):
    device.execute(b"OUTP1 ON;:SOUR1:VOLT 2")
    before = dict(device.values)
    connect(server.address)
    assert device.values == before


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ({1: CHANNELS[1]}, "limits of channels 1 and 2"),
        ({1: {"load": 50}, 2: CHANNELS[2]}, "must give load, low and high"),
        ({1: {"load": 0, "low": 0, "high": 1}, 2: CHANNELS[2]}, "`load` must be 1"),
    ],
)
def test_missing_limits_are_refused(server, channels, message):
    with pytest.raises(ValueError, match=message):
        connect(server.address, channels=channels)


def test_edit_memory_reads_back_and_locked_memory_is_kept(device):
    device.execute(b"DATA:DATA EMEM2,#14\xc0\x01\x00\x0a")
    assert device.execute(b"DATA:DATA? EMEM2") == b"#14\x00\x01\x00\x0a\n"
    device.execute(b"DATA:COPY USER3,EMEM2;:DATA:LOCK USER3,1;:DATA:DEL USER3")
    assert device.execute(b"SYST:ERR?").startswith(b"-224")


def test_trigger_on_the_wire():
    play(put("*TRG"), lambda afg: afg.trigger())


def test_safe_state_on_the_wire():
    off = [(f"OUTP{n}:STAT OFF", None) for n in (1, 2)]
    checked = [*off, ("OUTP1:STAT?", "0"), ("OUTP2:STAT?", "0")]
    play([*off, *checked], lambda afg: afg.safe_state())  # first blindly, on the link as it is


def test_switching_on_asks_levels_and_load_first():
    def act(afg):
        afg.ch1.programmed = True
        afg.set_output(1, on=True)

    play(
        [
            ("SOUR1:VOLT:LOW?", "0.0000E+00"),
            ("SOUR1:VOLT:HIGH?", "8.0000E-01"),
            *LOAD,
            *put("OUTP1:STAT ON"),
            ("OUTP1:STAT?", "1"),
        ],
        act,
    )


def test_frequency_is_set_within_what_waveform_and_levels_allow():
    play(
        [
            ("SOUR2:FUNC?", "SIN"),
            *UNCOUPLED,
            ("SOUR2:VOLT:HIGH?", "1.0E+00"),
            ("SOUR2:VOLT:LOW?", "0.0E+00"),
            *put("SOUR2:FREQ 45000000"),
        ],
        lambda afg: afg.ch2.frequency(45e6),
    )


@pytest.mark.parametrize(
    ("shape", "highest"), [("SIN", 150e6), ("SQU", 75e6), ("RAMP", 1.5e6), ("LOR", 1.5e6)]
)
def test_frequency_limit_is_that_of_the_waveform(afg, device, shape, highest):
    afg.ch1.function(shape)
    afg.ch1.frequency(highest)
    if highest < 150e6:
        with pytest.raises(ValueError, match=f"for the waveform {shape}"):
            afg.ch1.frequency(1.01 * highest)
    device.execute(b"SOUR1:FREQ %.9g" % (1.01 * highest))
    assert device.execute(b"SYST:ERR?").startswith(b"-222")
    assert device.number("frequency", 1) == highest


def test_levels_above_100_mhz_are_smaller(server, device):
    afg = connect(server.address, channels={1: {"load": 50, "low": -5, "high": 5}, 2: CHANNELS[2]})
    afg.ch1.function("SIN")
    afg.ch1.set_levels(-4.5, 4.5)
    with pytest.raises(ValueError, match="up to 8 V into 50 Ω above 1e"):
        afg.ch1.frequency(101e6)
    afg.ch1.set_levels(-4, 4)
    afg.ch1.frequency(101e6)
    with pytest.raises(ValueError, match=r"but is 8\.2 V at 1\.01e"):
        afg.ch1.set_levels(-4.1, 4.1)
    device.execute(b"SOUR1:VOLT:HIGH 4.1")
    assert device.execute(b"SYST:ERR?").startswith(b"-222")


@pytest.mark.parametrize(
    ("name", "value"), [("pulse_width", 95e-9), ("leading_edge", 0.9e-6), ("pulse_period", 45e-9)]
)
def test_pulse_time_that_does_not_fit_the_others_is_refused(afg, device, name, value):
    afg.program_pulse(1, PULSE)
    before = dict(device.values)
    with pytest.raises(ValueError, match="the pulse width must be"):
        afg.ch1.parameters[name](value)
    assert device.values == before


def test_channels_do_not_follow_each_other(afg, device):
    device.execute(b"SOUR2:VOLT:CONC 1;:SOUR1:FREQ:CONC:STAT ON")
    device.execute(b"SOUR1:VOLT:HIGH 0.9;:SOUR1:VOLT:LIM:HIGH 2;:SOUR1:FREQ 2E6")
    assert device.execute(b"SOUR2:VOLT:HIGH?;LIM:HIGH?") == b"9.000000E-01;2.000000E+00\n"
    assert device.execute(b"SOUR2:FREQ?") == b"2.00000000000E+06\n"
    afg.program_pulse(1, PULSE)
    other = afg.ch1.high(), afg.ch1.low()
    afg.ch2.set_levels(0, 5)
    afg.ch2.frequency(1e5)
    assert (afg.ch1.high.get(), afg.ch1.low.get()) == other
    assert afg.ch1.frequency.get() == pytest.approx(10e6)
    assert not afg.levels_coupled.get()
    assert not afg.frequencies_coupled.get()


def test_coupling_that_cannot_be_ended_refuses_levels(afg, device):
    device.execute(b"SOUR1:VOLT:CONC ON")
    device.faults.inject(InstrumentFault(kind="stick", setting="SOUR1:VOLT:CONC", count=None))
    before = dict(device.values), {n: str(v) for n, v in device.levels.items()}
    with pytest.raises(RuntimeError, match="afg_levels_coupled must be off, but stays on"):
        afg.ch2.set_levels(0, 5)
    assert (dict(device.values), {n: str(v) for n, v in device.levels.items()}) == before


def test_old_errors_are_told_and_blamed_on_no_command(server, device, caplog):
    device.execute(b"FOO:BAR 1")
    afg = connect(server.address)
    assert "had errors in its queue from before" in caplog.text
    assert '-113,"Undefined header"' in caplog.text
    afg.ch1.frequency(2e6)
    assert device.number("frequency", 1) == 2e6


def test_edit_memory_used_by_another_program_is_noticed(afg, device):
    copied = device.memory.copy

    def copy(target, source):
        device.memory.store("EMEM", b"\0\1\0\2\0\3")
        copied(target, source)

    device.memory.copy = copy
    with pytest.raises(RuntimeError, match="edit memory must hold the waveform"):
        afg.program_waveform(1, np.array([0, 0.25, 0.5]), 30e6)


@pytest.mark.parametrize("stray", [b"1", b"7", b"-", b"0", b"5."])
def test_stray_character_before_a_number_is_refused(afg, device, stray):
    device.faults.inject(InstrumentFault(kind="garbage", data=stray))
    with pytest.raises(ConnectionError, match=r"is not what this setting can be|alike twice"):
        afg.ch1.load()
    assert afg.ch1.load() == 50


@pytest.mark.parametrize(
    ("sent", "query", "reply"),
    [
        ("PHAS 90DEG", "PHAS?", 1.570796),
        ("PHAS 90 DEG", "PHAS?", 1.570796),
        ("PHAS 1", "PHAS?", 1.0),
        ("VOLT:UNIT VRMS;:VOLT 0.25", "VOLT?", 0.25),
        ("VOLT 0.25VRMS", "VOLT?", 0.7071068),
        ("VOLT:UNIT DBM;:VOLT 3", "VOLT?", 3.0),
        ("VOLT 0 DBM", "VOLT?", 0.6324555),
        ("VOLT 500MVPP", "VOLT?", 0.5),
        ("FUNC PULS;:PULS:DCYC 30", "PULS:WIDT?", 0.3e-6),
        ("FUNC PULS;:PULS:WIDT 0.2E-6", "PULS:DCYC?", 20.0),
        ("FUNC PULS;:PULS:DCYC 30;HOLD DUTY;PER 2E-6", "PULS:WIDT?", 0.6e-6),
        ("BURS:NCYC INF", "BURS:NCYC?", 9.9e37),
        ("FUNC RAMP", "FREQ?", 1e6),
        ("FREQ 100MHZ;:FUNC SQU", "FREQ?", 75e6),
        ("AM:DEPT 30PCT", "SOUR1:AM:DEPT?", 30),
        ("FREQ:STAR 1MHZ;STOP 3MHZ", "FREQ:CENT?", 2e6),
        ("FREQ:CENT 2MHZ;SPAN 1MHZ", "FREQ:STAR?", 1.5e6),
        ("SOUR4:POW 20PCT", "SOUR4:POW:LEV?", 20),
        ("FREQ 2MHZ;:*SAV 1;:*RST;*RCL 1", "FREQ?", 2e6),
        ("SOUR1:FREQ 3MHZ;:AFGC:CSC CH1,CH2", "SOUR2:FREQ?", 3e6),
        ("FREQ\t4MHZ", "FREQ?", 4e6),
        ("FUNC EMEMORY1", "DATA:POIN? EMEM", 1000),
    ],
)
def test_simulated_generator_answers_as_the_manual(device, sent, query, reply):
    assert device.execute(sent.encode()) is None
    assert float(device.execute(query.encode())) == pytest.approx(reply, rel=1e-6)
    assert device.execute(b"SYST:ERR?") == b'0,"No error"\n'


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("FUNC PULS;:PULS:DCYC 0.1", -221),  # 1 ns is less than the edges take
        ("FUNC PULS;:PULS:DCYC 99.9", -221),
        ("FUNC LOR;:VOLT 0.2VRMS", -221),
        ("OUTP1:IMP INF;:VOLT 0DBM", -221),
        ("VOLT 1FURLONG", -131),
        ("FREQ:MODE SWE", -221),  # settings only, never played
        ("SOUR1:AM:STAT ON", -221),
        ("FUNC:RAMP:SYMM 30", -221),
        ('FUNC:EFIL "a.tfw"', -224),
        ("SOUR1:AM:NOSUCH 1", -113),
        ("*RCL 4", -224),
        ("AFGC:CSC CH1,CH3", -224),
        ("FREQ 1,2", -108),
        ("PHAS 400DEG", -222),
        ("FREQ? 5", -141),
    ],
)
def test_simulated_generator_refuses_what_it_does_not_know(device, sent, code):
    assert device.execute(sent.encode()) is None
    assert device.execute(b"SYST:ERR?").startswith(str(code).encode())
