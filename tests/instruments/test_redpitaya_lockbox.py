import pytest

from instruments.redpitaya_lockbox import RedPitayaLockbox
from simulation.lab.instrument_faults import InstrumentFault
from simulation.lab.instruments.redpitaya_lockbox import SimulatedLockbox
from simulation.lab.ports.phase_lock import LockPort, LockReading
from simulation.lab.servers.tcp import TcpServer
from simulation.lab.servers.transcript import Transcript

OPTIONS = {
    "input_channel": 1,
    "output_channel": 2,
    "output_min": -0.5,
    "output_max": 0.5,
    "visalib": "@py",
    "timeout": 2.0,
}
OK = ("SYST:ERR?", '0,"No error"')


def servo(settings):
    """An error signal equal to output + 0.1 V; an integrator of the right sign holds it."""
    wanted = settings.manual_output
    if settings.engaged:
        right_sign = settings.gain > 0 and settings.integral_rate > 0
        wanted = settings.setpoint - 0.1 if right_sign else settings.high
    output = min(max(wanted, settings.low), settings.high)
    limit = (wanted > settings.high) - (wanted < settings.low)
    return LockReading(measured=output + 0.1, output=output, limit=limit)


@pytest.fixture
def device():
    return SimulatedLockbox(LockPort(reader=servo), input_channel=1, output_channel=2)


@pytest.fixture
def lock(device):
    with TcpServer(device) as server:
        yield RedPitayaLockbox("lock", server.address, **OPTIONS)


def play(steps, act):
    start = [
        ("*IDN?", "REDPITAYA,INSTR2014,0,01-02"),
        OK,
        ("OUT2:LIM:MIN?", "-0.5"),
        ("OUT2:LIM:MAX?", "0.5"),
    ]
    transcript = Transcript([*start, *steps], ends=("\r\n", "\r\n"))
    with TcpServer(transcript) as server:
        act(RedPitayaLockbox("lock", server.address, **OPTIONS))
        transcript.check()


def put(command):
    return [OK, (command, None), OK]


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("setpoint", 0.05, "PID:IN1:OUT2:SETP 0.05"),
        ("proportional_gain", 2, "PID:IN1:OUT2:KP 2"),
        ("integral_rate", 7_812_499, "PID:IN1:OUT2:KI 7812499"),
        ("inverted", True, "PID:IN1:OUT2:INV ON"),
    ],
)
def test_parameter_on_the_wire(name, value, sent):
    play(put(sent), lambda lock: lock.parameters[name](value))


def test_parking_engaging_and_releasing_on_the_wire():
    def act(lock):
        lock.output(0.0)
        lock.engage()
        lock.release()

    pid = "PID:IN1:OUT2"
    play(
        [
            (f"{pid}:HOLD?", "ON"),
            *put("OUT2:LIM:MIN 0"),
            *put("OUT2:LIM:MAX 0"),
            ("OUT2:LIM:MIN?", "0.0001"),
            ("OUT2:LIM:MAX?", "0.0001"),
            ("OUT2:LIM:MIN?", "0.0001"),
            ("OUT2:LIM:MAX?", "0.0001"),
            *put(f"{pid}:INT:RES ON"),
            *put("OUT2:LIM:MIN -0.5"),
            *put("OUT2:LIM:MAX 0.5"),
            ("OUT2:LIM:MIN?", "-0.5"),
            ("OUT2:LIM:MAX?", "0.5"),
            *put(f"{pid}:INT:RES OFF"),
            *put(f"{pid}:HOLD OFF"),
            (f"{pid}:HOLD?", "OFF"),
            *put(f"{pid}:HOLD ON"),
            (f"{pid}:HOLD?", "ON"),
        ],
        act,
    )


def test_lock_holds_the_error_and_release_keeps_the_output(lock, device):
    lock.release()
    lock.inverted(True)
    lock.integral_rate(1000)
    lock.setpoint(0.2)
    lock.engage()
    assert lock.lock_state() == "locked"
    assert lock.error() == pytest.approx(0, abs=1e-6)
    lock.release()
    assert lock.lock_state() == "off"
    assert lock.output() == pytest.approx(0.1)


def test_wrong_sign_saturates(lock):
    lock.integral_rate(1000)
    lock.engage()
    assert lock.lock_state() == "saturated"
    assert lock.output() == pytest.approx(0.5)


def test_safe_state_parks_at_the_middle_and_engaging_starts_there(lock, device):
    lock.inverted(True)
    lock.integral_rate(1000)
    lock.engage()
    lock.safe_state()
    assert (lock.output(), lock.lock_state()) == (0.0, "off")
    lock.engage()
    assert lock.lock_state() == "locked"
    assert device.number("high", 2) == 0.5


def test_engaging_from_a_parked_output_would_step_and_is_refused(lock):
    lock.release()
    lock.output(0.3)
    assert lock.output() == pytest.approx(0.3)
    with pytest.raises(RuntimeError, match="park the output at 0 V before engaging"):
        lock.engage()


def test_output_is_set_while_released_only_and_within_limits(lock):
    lock.engage()
    with pytest.raises(RuntimeError, match="while released only"):
        lock.output(0.1)
    with pytest.raises(ValueError, match=r"between -0.5 and 0.5"):
        lock.output(0.6)


def test_connecting_narrows_limits_and_nothing_else(device):
    before = dict(device.values)
    with TcpServer(device) as server:
        RedPitayaLockbox("lock", server.address, **OPTIONS)
    assert device.values == before | {("low", 2): -0.5, ("high", 2): 0.5}


def test_hold_that_sticks_is_noticed(lock, device):
    device.faults.inject(InstrumentFault(kind="stick", setting="PID:IN1:OUT2:HOLD", count=None))
    with pytest.raises(RuntimeError, match="did not open"):
        lock.safe_state()


def test_limits_that_the_board_does_not_have_are_refused(device):
    with pytest.raises(ValueError, match=r"within ±1 V"):
        RedPitayaLockbox("lock", "TCPIP::x::5000::SOCKET", **OPTIONS | {"output_max": 2})


def test_snapshot_changes_nothing(lock, device):
    before = dict(device.values)
    lock.snapshot(update=True)
    assert device.values == before


def test_monitors_and_safe_state_on_the_wire():
    def act(lock):
        assert (lock.measured(), lock.output()) == (0.25, -0.125)
        lock.safe_state()

    play(
        [
            ("ANALOG:IN1:VOLT?", "0.25"),
            ("ANALOG:OUT2:VOLT?", "-0.125"),
            ("OUT2:LIM:MAX 0", None),
            ("OUT2:LIM:MIN 0", None),
            ("PID:IN1:OUT2:HOLD ON", None),
            ("OUT2:LIM:MIN?", "0.0001"),
            ("OUT2:LIM:MAX?", "0.0001"),
            ("PID:IN1:OUT2:HOLD?", "ON"),
        ],
        act,
    )


@pytest.mark.parametrize(
    ("sent", "query", "reply"),
    [
        ("PID:IN1:OUT1:INT:RES 0", "PID:IN1:OUT1:INT:RES?", "OFF"),
        ("PID:IN1:OUT1:REL 0", "PID:IN1:OUT1:REL?", "OFF"),
        ("PID:IN1:OUT1:REL 1", "PID:IN1:OUT1:REL?", "OFF"),  # refused: not simulated
        ("PID:IN1:OUT1:REL:STEP 2.5", "PID:IN1:OUT1:REL:STEP?", "2.5"),
        ("PID:IN1:OUT1:REL:INP AIN2", "PID:IN1:OUT1:REL:INP?", "AIN2"),
        ("OUTPUT1:STATE 0", "OUTPUT1:STATE?", "0"),
        ("PID:IN1:OUT1:KP 2;:LOCK:CONF:SAVE;:PID:IN1:OUT1:KP 3;:LOCK:CONF:LOAD",
         "PID:IN1:OUT1:KP?", "2"),
    ],
)  # fmt: skip
def test_lines_of_the_makers_own_client(device, sent, query, reply):
    assert device.execute(sent.encode()) is None
    assert device.execute(query.encode()) == reply.encode() + b"\r\n"
