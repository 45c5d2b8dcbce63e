"""Stations: files, references, interlocks, and a safe state that no instrument can prevent."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from qcodes.instrument import Instrument

from labkit.station import lab as station_lab
from labkit.station.config import read_station_file, with_seed
from labkit.station.ending import Terminated
from labkit.station.interlocks import Interlock, InterlockError, ParameterRange, check_interlocks
from labkit.station.opening import (
    StationError,
    one_address,
    open_instruments,
    open_station,
    sole_control,
)
from labkit.station.references import find, resolve
from labkit.station.safety import make_safe
from simulation.lab.world import World


class Lamp(Instrument):
    """A lamp that remembers whether it was made safe."""

    made_safe: list = []  # noqa: RUF012

    def __init__(self, name, address="", *, broken="", power=None, **kwargs):
        super().__init__(name, **kwargs)
        self.broken = broken
        self.source = power
        self.add_parameter("power", set_cmd=None, initial_value=1.0)
        if broken == "open":
            message = "no answer to *IDN?"
            raise TimeoutError(message)

    def safe_state(self):
        if self.broken in ("silent", "slow"):
            time.sleep(3 if self.broken == "silent" else 1.1)
        if self.broken == "refuses":
            message = "interlock key is off"
            raise RuntimeError(message)
        Lamp.made_safe.append(self.name)


class LampWorld:
    """A world of one address and one object."""

    addresses = {"lamp": "TCPIP::loopback"}  # noqa: RUF012
    objects = {"power": 5.0}  # noqa: RUF012

    @classmethod
    def start(cls, seed):
        from contextlib import nullcontext

        return nullcontext(cls())


LABKIT = """
labkit:
  roles: {pump_laser: one}
  channels: {pump_drive: 1}
  lock_range: 10.0
  calibration: {aom_full: 1.0, v_pi: 5.0, amplifier_gain: 8.0, aom_delay: 0.0, eom_delay: 0.0}
"""


@pytest.fixture
def station_file(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "lamps", sys.modules[__name__])
    Lamp.made_safe.clear()

    def write(instruments, labkit=LABKIT):
        path = tmp_path / "lab.yaml"
        path.write_text(labkit + "instruments:\n" + instruments)
        return path

    yield write
    Instrument.close_all()


ONE = "  one: {type: lamps.Lamp, address: A}\n"
TWO = "  two: {type: lamps.Lamp, address: B}\n"


def test_station_opens_and_leaves_everything_safe_and_closed(station_file):
    with open_station(read_station_file(station_file(ONE + TWO))) as lab:
        assert list(lab) == ["one", "two"]
    assert sorted(Lamp.made_safe) == ["one", "two"]
    assert Instrument.instances() == []


@pytest.mark.parametrize("ending", [KeyboardInterrupt, ValueError, SystemExit, Terminated])
def test_whatever_ends_it_the_instruments_are_made_safe(station_file, ending):
    with pytest.raises(ending), open_station(read_station_file(station_file(ONE + TWO))):
        raise ending
    assert sorted(Lamp.made_safe) == ["one", "two"]


def test_sigterm_ends_it_safely(station_file):
    def run():
        with open_station(read_station_file(station_file(ONE))):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(1)

    with pytest.raises(Terminated):
        run()
    assert Lamp.made_safe == ["one"]


def test_failing_opening_makes_the_opened_ones_safe_and_names_the_failed(station_file):
    path = station_file(ONE + "  two: {type: lamps.Lamp, address: B, init: {broken: open}}\n")
    with (
        pytest.raises(StationError, match=r"'two' .*address B.* no answer to \*IDN\?"),
        open_station(read_station_file(path)),
    ):
        pass
    assert Lamp.made_safe == ["one"]
    assert Instrument.instances() == []


def test_silent_and_refusing_instruments_do_not_keep_the_others_from_safety(
    station_file, capsys, monkeypatch
):
    path = station_file(
        ONE
        + "  two: {type: lamps.Lamp, address: B, init: {broken: silent}}\n"
        + "  three: {type: lamps.Lamp, address: C, init: {broken: refuses}}\n"
    )
    monkeypatch.setattr("labkit.station.safety.PATIENCE", 1.5)
    begin = time.monotonic()
    with open_station(read_station_file(path)):
        pass
    assert time.monotonic() - begin < 2.9  # the silent one answers after 3 s
    assert Lamp.made_safe == ["one"]
    err = capsys.readouterr().err
    assert "waiting up to 1.5 s for two to become safe" in err
    assert "NOT SAFE: two: no answer within 1.5 s" in err
    assert "NOT SAFE: three: RuntimeError: interlock key is off" in err


def test_slow_instrument_gets_its_safe_command_even_if_the_reply_is_late(station_file, capsys):
    path = station_file(ONE + "  two: {type: lamps.Lamp, address: B, init: {broken: slow}}\n")
    with open_station(read_station_file(path)):
        pass
    assert Lamp.made_safe == ["one", "two"]
    err = capsys.readouterr().err
    assert "waiting up to 90 s for two to become safe" in err
    assert "two: safe state set after 1 s" in err
    assert "NOT SAFE" not in err


def test_what_comes_after_one_that_cannot_be_opened_is_made_safe_too(station_file, capsys):
    labkit = LABKIT.replace("pump_laser: one", "pump_laser: two")
    path = station_file(
        ONE
        + "  two: {type: lamps.Lamp, address: B, init: {broken: open}}\n"
        + "  three: {type: lamps.Lamp, address: C}\n",
        labkit,
    )
    with pytest.raises(StationError, match="'two'"), open_station(read_station_file(path)):
        pass
    assert sorted(Lamp.made_safe) == ["one", "three"]
    assert "NOT SAFE: two: it cannot be opened" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("TCPIP0::localhost::5025::SOCKET", "tcpip::127.0.0.1::5025::socket"),
        ("TCPIP::127.0.0.1::INSTR", "TCPIP0::localhost::inst0::INSTR"),
        ("USB0::0x0699::0x034B::C01::INSTR", "USB::1689::843::C01"),
        ("ASRL3::INSTR", "COM3"),
        ("http://localhost:80/api/", "HTTP://127.0.0.1:80/api"),
    ],
)
def test_spellings_of_one_address_are_one(one, other):
    assert one_address(one) == one_address(other)


def test_a_serial_port_is_one_by_whatever_link(tmp_path):
    (tmp_path / "ttyUSB0").touch()
    (tmp_path / "by-id").symlink_to(tmp_path / "ttyUSB0")
    assert one_address(f"ASRL{tmp_path}/by-id::INSTR") == one_address(f"ASRL{tmp_path}/ttyUSB0")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("TCPIP0::127.0.0.1::5025::SOCKET", "TCPIP0::127.0.0.1::5026::SOCKET"),
        ("GPIB0::3::INSTR", "GPIB1::3::INSTR"),
        ("usb:SN1", "usb:SN2"),
        ("no.such.host.invalid", "no.other.host.invalid"),
    ],
)
def test_addresses_of_two_are_two(one, other):
    assert one_address(one) != one_address(other)


HOLD = """
import sys
from labkit.station.config import read_station_file, with_seed
from labkit.station.opening import sole_control
try:
    with sole_control(read_station_file(sys.argv[1])):
        print("admitted")
except RuntimeError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        ("  afg: {type: x.AFG, address: 'TCPIP::192.0.2.10::inst0::INSTR'}\n", "'afg'"),
        ("  dac: {type: x.DAQ, init: {outputs: {v: {line: dev1/ao0}}}}\n", "'dac'"),
        ("  tagger: {type: x.TH, init: {library: th260lib, mode: T2}}\n", "'tagger'"),
        ("  afg: {type: x.AFG, address: 'TCPIP0::192.0.2.11::INSTR'}\n", None),
        ("  tagger: {type: x.TH, init: {library: th260lib, serial: 2}}\n", None),
    ],
)
def test_no_two_processes_share_an_instrument_whatever_else_they_have(tmp_path, other, shared):
    import subprocess
    import sys

    mine, theirs = tmp_path / "mine.yaml", tmp_path / "theirs.yaml"
    mine.write_text(
        LABKIT
        + "instruments:\n"
        + "  one: {type: x.Laser, address: 'usb:SN1'}\n"
        + "  awg: {type: x.AFG, address: 'TCPIP0::192.0.2.10::INSTR'}\n"
        + "  daq: {type: x.DAQ, init: {outputs: {a: {line: Dev1/ao0}}}}\n"
        + "  th: {type: x.TH, init: {library: th260lib, mode: T3}}\n"
    )
    theirs.write_text(LABKIT + "instruments:\n  one: {type: x.Laser, address: 'usb:SN2'}\n" + other)
    with sole_control(read_station_file(mine)):
        done = subprocess.run(
            [sys.executable, "-c", HOLD, theirs], capture_output=True, text=True, check=True
        )
    assert ("admitted" in done.stdout) is (shared is None)
    if shared:
        assert f"another process works with instrument {shared}" in done.stdout


def test_one_address_in_two_spellings_is_refused_in_one_station(tmp_path):
    path = tmp_path / "station.yaml"
    path.write_text(
        LABKIT
        + "instruments:\n"
        + "  one: {type: x.AFG, address: 'TCPIP0::localhost::inst0::INSTR'}\n"
        + "  awg: {type: x.AWG, address: 'tcpip::127.0.0.1'}\n"
    )
    with (
        pytest.raises(ValueError, match=r"'one' and 'awg' must have different addresses"),
        sole_control(read_station_file(path)),
    ):
        pass


def test_missing_limit_is_named_with_its_instrument(station_file):
    path = station_file(ONE + "  awg: {type: instruments.Keysight81180A, address: C}\n")
    with (
        pytest.raises(StationError, match=r"instrument 'awg' .* `init` must give peak_limit"),
        open_station(read_station_file(path)),
    ):
        pass
    assert Lamp.made_safe == ["one"]


@pytest.mark.parametrize(
    ("path", "short"),
    [
        ("instruments.srs_sim960.SRSSIM960", "SRSSIM960"),
        ("instruments.picoquant_snapi.PicoQuantSnapi", "PicoQuantSnapi"),
        ("instruments.tektronix_limits.TektronixAFG3152C", "TektronixAFG3152C"),
        ("instruments.Keysight81180B", "Keysight81180A"),
    ],
)
def test_path_of_a_driver_that_moved_gives_the_short_name(station_file, path, short):
    file = read_station_file(station_file(ONE + f"  old: {{type: {path}, address: B}}\n"))
    with (
        pytest.raises(StationError, match=rf"instrument 'old' .*; write instruments\.{short}$"),
        open_station(file),
    ):
        pass
    assert Lamp.made_safe == ["one"]


def test_failures_are_collected_and_the_rest_is_opened(station_file):
    path = station_file("  bad: {type: lamps.Lamp, address: B, init: {broken: open}}\n" + ONE)
    failures = {}
    with open_station(read_station_file(path), failures=failures) as lab:
        assert list(lab) == ["one"]
    assert "address B" in failures["bad"]
    assert Lamp.made_safe == ["one"]


def test_world_gives_addresses_and_objects_by_reference(station_file):
    world = "  world: {factory: lamps.LampWorld, options: {seed: 1}}\n"
    path = station_file(
        "  one: {type: lamps.Lamp, address: 'world:lamp', init: {power: 'world:power'}}\n"
        "  two: {type: lamps.Lamp, init: {power: 'parameter:one.power'}}\n",
        LABKIT + world,
    )
    with open_station(read_station_file(path)) as lab:
        assert lab["one"].source == 5.0
        assert lab["two"].source is lab["one"].power


def test_option_that_the_world_does_not_know_is_told(station_file):
    world = "  world: {factory: simulation.lab.world.World, options: {sed: 1}}\n"
    path = station_file("  one: {type: lamps.Lamp, address: A}\n", LABKIT + world)
    told = r"labkit\.world\.options\.sed: this key is not known; write seed"
    with pytest.raises(ValueError, match=told), open_station(read_station_file(path)):
        pass


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LABKIT, "sections `labkit` and `instruments`"),
        (LABKIT + "instruments:\n" + TWO, "roles.pump_laser: must name an instrument"),
        (
            LABKIT + "instruments:\n" + ONE + TWO.replace("B", "A"),
            "'one' and 'two' must have different addresses, but both have A",
        ),
        (
            LABKIT
            + "instruments:\n"
            + ONE
            + "  a: {type: lamps.Lamp, init: {source: dac.ao0.voltage}}\n"
            + "  b: {type: lamps.Lamp, init: {source: dac.AO0.voltage}}\n",
            "'a' and 'b' must have different addresses, but both have dac.AO0.voltage",
        ),
        (LABKIT + "instruments:\n" + ONE + ONE, "each key must stand once, but 'one' is repeated"),
        (
            LABKIT.replace("pump_laser", "pump_lazer") + "instruments:\n" + ONE,
            "role 'pump_lazer' is not known",
        ),
        (
            LABKIT.replace("v_pi: 5.0, ", "") + "instruments:\n" + ONE,
            "calibration.v_pi: Field required",
        ),
    ],
)
def test_bad_station_file_is_refused_with_place_and_reason(tmp_path, text, message):
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        read_station_file(path)
    assert str(path) in str(error.value)


def test_reference_to_nothing_lists_what_there_is():
    with pytest.raises(KeyError, match="the world has no 'afg'; it has awg"):
        resolve({"address": ["world:afg"]}, {"awg": 1}, {})
    with pytest.raises(KeyError, match="no instrument 'dac'; there are voa"):
        find({"voa": 1}, "dac.voltage")


COLD = Interlock(name="cold", require=ParameterRange(parameter="fridge.t", at_most=0.2))
SHUT = Interlock(
    name="protect detectors",
    require=ParameterRange(parameter="voa.transmission", at_most=0.5),
    when=ParameterRange(parameter="bias.current", at_least=1e-6),
)


@pytest.mark.parametrize(
    ("values", "broken"),
    [
        ({"fridge.t": 0.06, "bias.current": 0.0, "voa.transmission": 1.0}, None),
        ({"fridge.t": 0.06, "bias.current": 9e-6, "voa.transmission": 0.4}, None),
        ({"fridge.t": 0.06, "bias.current": 9e-6, "voa.transmission": 1.0}, "protect detectors"),
        ({"fridge.t": 4.0, "bias.current": 0.0, "voa.transmission": 1.0}, "cold"),
        ({"fridge.t": float("nan"), "bias.current": 0.0, "voa.transmission": 0.0}, "cold"),
    ],
)
def test_interlocks_hold_or_name_rule_and_value(values, broken):
    if broken is None:
        assert check_interlocks([COLD, SHUT], values.__getitem__) == ()
        return
    with pytest.raises(InterlockError, match=broken):
        check_interlocks([COLD, SHUT], values.__getitem__)


def test_forced_interlock_is_told_but_not_enforced():
    values = {"fridge.t": 4.0}
    told = check_interlocks([COLD], values.__getitem__, forced=["cold"])
    assert "fridge.t <= 0.2 must hold, but it is 4" in told[0]
    with pytest.raises(ValueError, match="no interlock 'warm' to force"):
        check_interlocks([COLD], values.__getitem__, forced=["warm"])


def test_making_nothing_safe_is_safe():
    assert make_safe({}).all_safe


def test_condition_that_can_never_hold_is_refused():
    with pytest.raises(ValueError, match="`at_least` must not be above `at_most`"):
        ParameterRange(parameter="x.y", at_least=0.3, at_most=0.2)


def test_condition_with_a_limit_that_is_no_number_is_refused():
    """As a ``when`` it would never hold, and so switch its interlock off."""
    with pytest.raises(ValueError, match="its limits must be numbers, but one is nan"):
        ParameterRange(parameter="a.b", at_least=float("nan"))


def test_instruments_of_a_real_station_are_held_by_one_process(monkeypatch, tmp_path):
    monkeypatch.setattr("labkit.station.opening.gettempdir", lambda: str(tmp_path))
    real, virtual = read_station_file("example"), read_station_file("virtual")
    with sole_control(real), sole_control(virtual), sole_control(virtual):
        again = sole_control(real)
        with pytest.raises(RuntimeError, match="another process works with instrument 'lock'"):
            again.__enter__()
    with sole_control(real):
        pass


def test_driver_without_a_lock_answers_each_thread_its_own_question():
    """Safe states ask a voltage source of QCoDeS's from threads of their own."""
    file = read_station_file("qcodes")
    kept = {name: file.instruments[name] for name in ("stahl", "voa_a", "voa_b")}
    options = dict(file.config.world.options) | {"instruments": ["stahl"]}
    with (
        World.start(**options) as world,
        open_instruments(replace(file, instruments=kept), dict(world.addresses)) as instruments,
    ):
        channels = [instruments["stahl"].channel1, instruments["stahl"].channel2]
        for volts, channel in enumerate(channels, start=1):
            channel.voltage(volts)
        with ThreadPoolExecutor(2) as pool:
            told = list(pool.map(lambda channel: [channel.voltage() for _ in range(200)], channels))
    assert told == [[pytest.approx(1.0)] * 200, [pytest.approx(2.0)] * 200]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="serial lines need pseudo-terminals")
def test_reading_that_waits_for_a_busy_virtual_lab_is_no_fault():
    file = read_station_file("virtual")
    kept = {"lock": file.instruments["lock"]}
    options = dict(file.config.world.options) | {"instruments": ["lock"]}
    with (
        World.start(**options) as world,
        open_instruments(replace(file, instruments=kept), dict(world.addresses)) as instruments,
    ):
        lock = instruments["lock"]
        lock.timeout(0.3)
        held = threading.Event()

        def pass_slowly():
            with world.clock.lock:
                held.set()
                time.sleep(1.0)

        busy = threading.Thread(target=pass_slowly)
        busy.start()
        held.wait()
        assert abs(lock.error()) < 10
        busy.join()
        world.inject({"instrument": "lock", "kind": "silence"})
        with pytest.raises(TimeoutError, match=r"within 0\.3 s"):
            lock.error()


def test_interlock_on_what_is_no_number_says_which_parameter():
    with pytest.raises(RuntimeError, match=r"awg\.run_mode must be a number .* but is 'CONT'"):
        station_lab._number("awg.run_mode", "CONT")
    assert station_lab._number("afg.ch1.burst", True) == 1.0


def test_a_virtual_lab_has_other_nights_and_a_real_one_has_not():
    file = read_station_file("virtual")
    other = with_seed("virtual", 7)
    assert other.config.world.options == {**file.config.world.options, "seed": 7}
    assert replace(other.config, world=file.config.world) == file.config
    assert other.instruments == file.instruments
    with pytest.raises(ValueError, match="only a virtual lab has a seed"):
        with_seed("example", 7)
