import time

import pytest

from instruments.srs.sim900 import SRSSIM900
from instruments.srs.sim960 import SRSSIM960, SRSSIM960InFrame
from simulation.lab.clock import VirtualClock
from simulation.lab.instrument_faults import InstrumentFault
from simulation.lab.instruments.srs_sim900 import SimulatedSIM900
from simulation.lab.instruments.srs_sim960 import SimulatedSIM960
from simulation.lab.ports.phase_lock import LockPort, LockReading
from simulation.lab.servers.serial_line import SerialLine
from simulation.lab.servers.tcp import TcpServer
from simulation.lab.servers.transcript import Transcript

IDN = "Stanford_Research_Systems,SIM960,s/n003173,ver2.15"
LIMITS = {"output_min": -1.0, "output_max": 5.0}


class Loop:
    """A world whose error signal is output minus 2 V; the loop brings it to the set-point."""

    def __init__(self):
        self.output = 0.0
        self.port = LockPort(reader=self.read)

    def read(self, settings):
        wanted = settings.manual_output
        if settings.engaged:
            wanted = settings.setpoint + 2.0
        self.output = min(max(wanted, settings.low), settings.high)
        return LockReading(
            measured=self.output - 2.0,
            output=self.output,
            limit=(wanted > settings.high) - (wanted < settings.low),
        )


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def device(clock):
    return SimulatedSIM960(Loop().port, clock)


@pytest.fixture(params=["serial", "frame"])
def lock(request, device):
    if request.param == "serial":
        with SerialLine(device) as line:
            yield SRSSIM960("lock", line.address, visalib="@py", timeout=2.0, **LIMITS)
    else:
        with SerialLine(SimulatedSIM900({3: device})) as line:
            SRSSIM900("frame", line.address, visalib="@py", timeout=2.0)
            yield SRSSIM960InFrame("lock", "frame", 3, **LIMITS)


CHECKED = [("LEXE?", "0"), ("LCME?", "0")]
CONNECT = [
    ("*IDN?", IDN),
    ("LEXE?", "0"),
    ("LCME?", "0"),
    ("ULIM?", "+05.00"),
    ("LLIM?", "-01.00"),
]


def play(steps, act):
    transcript = Transcript([*CONNECT, *steps], ends=("\r\n", "\r\n"))
    with TcpServer(transcript) as server:
        lock = SRSSIM960("lock", server.address, visalib="@py", timeout=2.0, **LIMITS)
        act(lock)
        transcript.check()


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("gain", -1.5, "GAIN -1.5"),
        ("integral_rate", 1200, "INTG 1.2e+03"),
        ("derivative_time", 1e-6, "DERV 1e-06"),
        ("proportional_on", True, "PCTL 1"),
        ("integral_on", False, "ICTL 0"),
        ("derivative_on", True, "DCTL 1"),
        ("offset_on", False, "OCTL 0"),
        ("external_setpoint", False, "INPT 0"),
        ("ramp_on", True, "RAMP 1"),
        ("ramp_rate", 0.5, "RATE 0.5"),
        ("offset", 0.25, "OFST 0.250"),
        ("setpoint", -0.0125, "SETP -0.013"),
        ("upper_limit", 4.5, "ULIM 4.50"),
        ("lower_limit", -0.5, "LLIM -0.50"),
        ("manual_output", 1.0, "MOUT 1.000"),
    ],
)
def test_parameter_on_the_wire(name, value, sent):
    assert len(sent) <= 30
    play([(sent, None), *CHECKED], lambda lock: lock.parameters[name](value))


def test_engage_release_and_safe_state_on_the_wire():
    def act(lock):
        lock.engage()
        lock.release()
        lock.safe_state()

    play(
        [
            ("ICTL?", "ON"),
            ("INPT?", "INT"),
            ("AMAN 1", None),
            *CHECKED,
            ("AMAN?", "PID"),
            ("AMAN?", "1"),
            ("OMON?", "+02.345678"),
            ("MOUT 2.346", None),
            *CHECKED,
            ("AMAN 0", None),
            *CHECKED,
            ("AMAN?", "0"),
            ("MOUT 2.000", None),  # blindly, then checked
            ("AMAN 0", None),
            ("MOUT 2.000", None),
            ("AMAN 0", None),
            ("LEXE?", "18"),
            ("AMAN?", "MAN"),
            ("MOUT?", "+02.000"),
        ],
        act,
    )


def test_connecting_narrows_limits_that_are_too_wide_and_nothing_else(device):
    device.execute("SETP 0.5")
    device.execute("AMAN 1")
    before = dict(device.values)
    with SerialLine(device) as line:
        SRSSIM960("lock", line.address, visalib="@py", **LIMITS)
        assert device.values == before | {"ULIM": 5.0, "LLIM": -1.0}


@pytest.mark.parametrize(("upper", "lower"), [(9, 6), (-2, -9), (3, 1)])
def test_limits_are_narrowed_from_anywhere(device, upper, lower):
    for line in (f"ULIM {upper}", f"LLIM {lower}", f"ULIM {upper}"):
        device.execute(line)
    device.execute("*CLS")
    with SerialLine(device) as line:
        SRSSIM960("lock", line.address, visalib="@py", **LIMITS)
    assert -1 <= device.values["LLIM"] < device.values["ULIM"] <= 5


def test_lock_holds_the_error_at_the_setpoint_and_release_keeps_the_output(lock):
    lock.setpoint(0.25)
    assert lock.lock_state() == "off"
    lock.engage()
    assert lock.lock_state() == "locked"
    assert lock.error() == pytest.approx(0, abs=1e-6)
    held = lock.output()
    lock.release()
    assert lock.output() == pytest.approx(held, abs=1e-3)
    assert lock.lock_state() == "off"


def test_lock_at_its_limit_says_so(lock):
    lock.setpoint(4.0)
    lock.engage()
    assert lock.lock_state() == "saturated"
    assert lock.output() == 5.0


def test_output_is_set_while_released_only(lock):
    lock.output(1.5)
    assert lock.output() == 1.5
    lock.engage()
    with pytest.raises(RuntimeError, match=r"while released only; call release\(\)"):
        lock.output(1.0)


def test_engaging_without_integrator_is_refused_because_it_would_step(lock):
    lock.integral_on(False)
    with pytest.raises(RuntimeError, match="else the output steps"):
        lock.engage()


def test_engaging_with_the_setpoint_of_another_is_refused(lock):
    lock.external_setpoint(True)
    with pytest.raises(RuntimeError, match="`external_setpoint` must be False"):
        lock.engage()
    assert not lock.engaged()


@pytest.mark.parametrize(
    ("name", "value"), [("output", 5.1), ("upper_limit", 6), ("manual_output", -1.1)]
)
def test_voltage_beyond_the_actuators_limits_is_refused(lock, name, value):
    with pytest.raises(ValueError, match=r"must be between -1.0 and 5.0"):
        lock.parameters[name](value)


@pytest.mark.parametrize(("name", "value"), [("gain", 0.05), ("gain", 0), ("ramp_on", 7)])
def test_value_that_the_servo_does_not_have_is_never_sent(device, name, value):
    with SerialLine(device) as line:
        lock = SRSSIM960("lock", line.address, visalib="@py", **LIMITS)
        before = dict(device.values)
        with pytest.raises((ValueError, TypeError)):
            lock.parameters[name](value)
        assert device.values == before


def test_safe_state_goes_to_the_middle_from_a_closed_loop(lock, device):
    lock.engage()
    lock.safe_state()
    assert (device.values["AMAN"], device.values["MOUT"]) == (0, 2.0)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("GAIN 5000", "illegal value"),
        ("AMAN AUTO", "wrong token"),
        ("SETP", "missing parameter"),
        ("LLIM 6", "upper limit below lower limit"),
        ("UMAX 5", "undefined command"),
        ("OMON 1", "illegal set"),
    ],
)
def test_refusal_is_named(lock, line, reason):
    with pytest.raises(RuntimeError, match=f"lock refused {line!r}: {reason}"):
        lock.write(line)
    lock.setpoint(0.1)


def test_line_that_overflows_the_buffer_is_never_sent(lock):
    with pytest.raises(ValueError, match="up to 30 bytes"):
        lock.write("SETP 0.1000000000000000000000000001")


def test_overflowing_line_is_lost_as_a_whole(device):
    assert device.execute("*IDN?" + " " * 30) is None
    assert device.execute("*ESR?") == "8"


def test_setpoint_ramp_takes_its_time_in_the_world(lock, device, clock):
    device.execute("SETP 0")
    assert device.execute("INCR?") == "16"
    lock.ramp_setpoint(0.5, rate=0.1)
    clock.advance(2.0)
    assert (lock.ramp_state(), device.execute("INCR?")) == ("ramping", "0")
    assert device.port.settings.setpoint == pytest.approx(0.2, abs=2e-3)
    lock.pause_ramp()
    clock.advance(1.0)
    assert lock.ramp_state() == "paused"
    with pytest.raises(RuntimeError, match="must wait for the end of the one that is paused"):
        lock.ramp_setpoint(0.1, rate=0.1)
    assert device.port.settings.setpoint == pytest.approx(0.2, abs=2e-3)
    lock.resume_ramp()
    clock.advance(3.1)
    assert lock.ramp_state() == "idle"
    assert device.port.settings.setpoint == 0.5
    assert device.execute("INSR?") == "16"


def test_start_begins_no_ramp(device, clock):
    for line in ("RATE 1", "RAMP 0", "SETP 0.5", "STRT 1"):
        device.execute(line)
    assert (device.execute("RMPS?"), device.setpoint) == ("0", 0.5)  # no ramp: it jumped
    device.execute("RAMP 1")
    device.execute("SETP 0")
    assert device.execute("RMPS?") == "2"  # it began by itself
    clock.advance(0.6)
    assert device.execute("RMPS?") == "0"


def test_pending_ramp_is_told(device):
    play(
        [
            ("RMPS?", "0"),
            ("RATE 0.1", None),
            *CHECKED,
            ("RAMP 1", None),
            *CHECKED,
            ("SETP 0.500", None),
            *CHECKED,
            ("RMPS?", "PENDING"),
        ],
        expect_pending,
    )


def expect_pending(lock):
    with pytest.raises(RuntimeError, match="start button at the front panel"):
        lock.ramp_setpoint(0.5, rate=0.1)


@pytest.mark.parametrize(
    ("sent", "reply"),
    [
        ("RATE 2.2E-3", "+0.2E-2"),
        ("RATE 0.0222", "+2.2E-2"),
        ("DERV 0.000015", "+1.5E-5"),
        ("DERV 6E-6", "+0.6E-5"),
        ("INTG 1520", "+1.5E+3"),
        ("INTG 0.02", "+0.2E-1"),
        ("GAIN +2.5E+2", "+2.5E+2"),
        ("GAIN -0.55", "-0.6E+0"),
        ("OFST -12.3E-2", "-0.123"),
        ("MOUT 8", "+8.000"),
    ],
)
def test_numbers_have_the_digits_of_the_manual(device, sent, reply):
    device.execute(sent)
    assert device.execute(f"{sent[:4]}?") == reply


@pytest.mark.parametrize("limit", ["ULIM", "LLIM"])
def test_output_limit_that_the_module_does_not_take_is_refused(device, limit):
    device.faults.inject(InstrumentFault(kind="stick", setting=limit, count=None))
    with (
        SerialLine(device) as line,
        pytest.raises(RuntimeError, match=f"{limit} must be .* set the output limits at the front"),
    ):
        SRSSIM960("lock", line.address, visalib="@py", timeout=2.0, **LIMITS)


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("ramp_rate", 2.26e-3, "RATE 0.002"),
        ("ramp_rate", 0.0226, "RATE 0.023"),
        ("gain", -0.55, "GAIN -0.6"),
        ("gain", 251.0, "GAIN 2.5e+02"),
        ("derivative_time", 1.52e-5, "DERV 1.5e-05"),
    ],
)
def test_no_more_digits_are_sent_than_the_module_keeps(name, value, sent):
    play([(sent, None), *CHECKED], lambda lock: lock.parameters[name](value))


def test_words_and_integers_are_both_understood(lock, device):
    device.execute("TOKN ON")
    lock.engage()
    assert lock.engaged() is True
    lock.release()
    assert lock.engaged() is False


def test_loop_that_does_not_close_is_noticed(lock, device):
    device.faults.inject(InstrumentFault(kind="stick", setting="AMAN", count=None))
    with pytest.raises(RuntimeError, match="the loop did not close"):
        lock.engage()


def test_snapshot_changes_nothing(lock, device):
    before = dict(device.values)
    lock.snapshot(update=True)
    assert device.values == before


@pytest.mark.parametrize("kind", ["silence", "partial", "garbage"])
def test_serial_line_fault_ends_in_time_and_the_next_command_works(device, kind):
    with SerialLine(device) as line:
        lock = SRSSIM960("lock", line.address, visalib="@py", timeout=1.0, **LIMITS)
        device.faults.inject(InstrumentFault(kind=kind))
        start = time.monotonic()
        with pytest.raises(OSError, match="lock at ASRL"):
            lock.output()
        assert time.monotonic() - start < 5  # bounded: no link hangs
        lock.output(1.5)
        assert lock.output() == 1.5


def test_module_that_is_not_there_is_named():
    with SerialLine(SimulatedSIM900({})) as line:
        frame = SRSSIM900("frame", line.address, visalib="@py", timeout=1.0)
        with pytest.raises(TimeoutError, match="frame slot 5: no complete reply"):
            SRSSIM960InFrame("lock", frame, 5, **LIMITS)


def test_late_reply_of_a_module_is_flushed_before_the_next_question(device):
    frame_device = SimulatedSIM900({3: device})
    with SerialLine(frame_device) as line:
        frame = SRSSIM900("frame", line.address, visalib="@py", timeout=1.0)
        lock = SRSSIM960InFrame("lock", frame, 3, **LIMITS)
        frame.write('SNDT 3,"*IDN?"')
        lock.port._has_stale_bytes = True
        assert lock.setpoint() == 0.0


def test_frame_left_in_transparent_mode_is_not_taken_for_another(device):
    frame = SimulatedSIM900({3: device})
    frame.execute('CONN 3,"xyz"')
    with SerialLine(frame) as line:
        with pytest.raises(ValueError, match="must identify itself as 'SIM900'"):
            SRSSIM900("frame", line.address, visalib="@py", timeout=1.0)
        frame.execute("xyz")
        SRSSIM900("frame2", line.address, visalib="@py", timeout=1.0)


def test_blocks_of_the_frame_count_their_bytes(device):
    frame = SimulatedSIM900({3: device})
    frame.execute('SNDT 3,"AMAN?"')
    assert frame.execute("GETN? 3,128") == b"#130\r\n\r\n"


def test_frame_on_the_wire():
    transcript = Transcript(
        [
            ("*IDN?", "Stanford_Research_Systems,SIM900,s/n100001,ver3.6"),
            ("FLSH 3", None),
            ('SNDT 3,"OMON?"', None),
            ("NINP? 3", "0"),
            ("NINP? 3", "4"),
            ("RAWN? 3,4", b"+02."),
            ("NINP? 3", "8"),
            ("RAWN? 3,8", b"345678\r\n"),
            ('SNDT 3,"AMAN 0"', None),
            ("NINP? 3", "0"),
        ],
        ends=("\r\n", "\r\n"),
    )
    with TcpServer(transcript) as server:
        port = SRSSIM900("frame", server.address, visalib="@py", timeout=2.0).port(3)
        assert port.ask("OMON?") == "+02.345678"
        port.write("AMAN 0")
        transcript.check()


def test_setpoint_ramp_on_the_wire():
    play(
        [
            ("RMPS?", "IDLE"),
            ("RATE 0.1", None),
            *CHECKED,
            ("RAMP 1", None),
            *CHECKED,
            ("SETP 0.500", None),
            *CHECKED,
            ("RMPS?", "RAMPING"),
        ],
        lambda lock: lock.ramp_setpoint(0.5, rate=0.1),
    )


def test_monitors_and_lock_state_on_the_wire():
    def act(lock):
        assert (lock.measured(), lock.amplified_error()) == (0.106139, -0.0106)
        assert lock.error() == pytest.approx(0.081139)
        assert lock.lock_state() == "saturated"

    play(
        [
            ("MMON?", "+00.106139"),
            ("EMON?", "-00.010600"),
            ("MMON?", "+00.106139"),
            ("SMON?", "+00.025000"),
            ("AMAN?", "1"),
            ("INCR?", "10"),
        ],
        act,
    )


def test_limits_that_are_too_wide_are_narrowed_on_the_wire():
    steps = [
        *CONNECT[:3],
        ("ULIM?", "+10.00"),
        ("LLIM?", "-10.00"),
        ("ULIM 5.00", None),
        *CHECKED,
        ("ULIM?", "+05.00"),
        ("LLIM -1.00", None),
        *CHECKED,
        ("LLIM?", "-01.00"),
    ]
    transcript = Transcript(steps, ends=("\r\n", "\r\n"))
    with TcpServer(transcript) as server:
        SRSSIM960("lock", server.address, visalib="@py", timeout=2.0, **LIMITS)
        transcript.check()
