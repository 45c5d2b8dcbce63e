"""The watchdog: what it makes safe when a run's process is killed, and what it cannot reach."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from types import ModuleType

import pytest
from qcodes.instrument import Instrument

from labkit.run import list_runs
from labkit.station.config import read_station_file, station_path
from labkit.station.watchdog import openable, rescue

ROOT = Path(__file__).parents[2]
SERVE = "from labkit.cli import main; main()"
CLIENT = """
import os, signal, sys
from pathlib import Path
from labkit.run.progress import Narrator
from labkit.experiment import read_experiment, run_experiment

def say(text):
    if text.startswith("working point set"):
        os.kill(os.getpid(), signal.SIGKILL)

run_experiment(read_experiment(sys.argv[1]), sys.argv[2], sys.argv[3], watcher=Narrator(say))
"""


@contextmanager
def served_lab(tmp_path):
    """A virtual lab in a process of its own; yields its addresses."""
    file = tmp_path / "addresses.json"
    lab = subprocess.Popen(
        [sys.executable, "-c", SERVE, "lab", "start", "-o", file],
        cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        while "serving until Ctrl-C" not in (line := lab.stderr.readline()):
            assert line, "the lab has died"
        yield json.loads(file.read_text())
        lab.send_signal(signal.SIGTERM)
        assert lab.wait(30) == 0
    finally:
        lab.kill()
        lab.wait()
        lab.stderr.close()


def test_killed_run_is_made_safe_by_the_watchdog(tmp_path, witness_file):
    """The served lab's AOM and EOM drives and its lock, asked on fresh connections."""
    with served_lab(tmp_path) as addresses:
        text = station_path("virtual").read_text()
        for name, address in addresses.items():
            text = text.replace(f"'world:{name}'", f"'{address}'")
        station = tmp_path / "station.yaml"
        station.write_text(text)
        killed = subprocess.run(
            [sys.executable, "-c", CLIENT, witness_file("switch_on"), station, tmp_path / "runs"],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        (folder,) = list_runs(tmp_path / "runs")
        # The watchdog holds stderr, so that `run` has waited for its end.
        log = (folder.path / "watchdog.txt").read_text()
        with opened(station, "afg", "awg", "lock") as lab:
            assert [lab["afg"].ch1.output(), lab["afg"].ch2.output()] == [False, False]
            assert lab["awg"].ch1.output() is False
            assert lab["lock"].engaged() is False
            assert lab["lock"].output() == 0.0
    assert "afg: safe" in log
    for name in ("laser_pump", "timeharp", "snspd", "daq", "wavemeter"):
        assert f"NOT SAFE: {name}: it belongs to the dead process" in log
    assert folder.manifest().status == "running"


@contextmanager
def opened(station, *names):
    from labkit.station.references import import_object

    plan = openable(read_station_file(station), {})
    try:
        yield {n: import_object(plan[n]["type"])(n, **plan[n]["options"]) for n in names}
    finally:
        Instrument.close_all()


def test_watchdog_reaches_what_has_an_address_and_its_dependents(monkeypatch):
    from simulation.lab.world import World

    with World.start() as world:
        file = read_station_file("virtual")
        plan = openable(file, world.addresses | world.objects)
        unreachable = {name for name, entry in plan.items() if entry["options"] is None}
        assert unreachable == {"laser_pump", "laser_read", "timeharp", "snspd", "daq", "wavemeter",
            "wavemeter_read",
        }  # fmt: skip
        lines = dict(line.removeprefix("NOT SAFE: ").split(": ", 1) for line in rescue(plan))
        Instrument.close_all()
    assert {name for name, text in lines.items() if text == "safe"} == {
        "afg", "awg", "lock", "fridge", "power_meter", "reflection_meter",
    }  # fmt: skip
    assert "daq" in lines["voa_a"]


class Silent:
    """An instrument that can be connected to only after a second."""

    def __init__(self, name):
        sleep(1.0)

    def safe_state(self):
        """Nothing to do."""


def test_instruments_that_answer_late_are_rescued_at_the_same_time(monkeypatch):
    module = ModuleType("late_instruments")
    module.Silent = Silent
    monkeypatch.setitem(sys.modules, "late_instruments", module)
    plan = {f"late_{n}": {"type": "late_instruments.Silent", "options": {}} for n in range(4)}
    begin = monotonic()
    assert len(list(rescue(plan))) == 4
    assert monotonic() - begin < 2.0


def test_watchdog_says_nothing_if_the_run_ends_in_order(tmp_path):
    from labkit.station.watchdog import watched

    log = tmp_path / "watchdog.txt"
    with watched(read_station_file("virtual"), {}, log):
        pass
    assert not log.exists()


@pytest.fixture
def watchdogs(monkeypatch):
    """Every watchdog process that is started."""
    from labkit.station import watchdog

    started, popen = [], subprocess.Popen

    def start(*arguments, **options):
        started.append(popen(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(watchdog.subprocess, "Popen", start)
    monkeypatch.setattr("labkit.station.watchdog.INTERVAL", 0.02)
    return started


def test_watchdog_that_dies_is_noticed_at_once_and_replaced(tmp_path, watchdogs):
    from labkit.station.watchdog import Heart, watched

    said = []
    heart = Heart(say=said.append)
    with watched(read_station_file("virtual"), {}, tmp_path / "log", heart):
        os.kill(watchdogs[0].pid, signal.SIGKILL)
        begin = monotonic()
        while len(watchdogs) < 2:
            sleep(0.01)
        assert monotonic() - begin < 2.0
        assert watchdogs[1].poll() is None
    assert "the watchdog process has died; another one takes its place" in said
    assert watchdogs[1].returncode == 0
    assert not (tmp_path / "log").exists()


def test_what_no_watchdog_could_reach_is_told_before_the_run(tmp_path, watchdogs):
    from labkit.station.watchdog import Heart, watched

    said = []
    with watched(read_station_file("virtual"), {}, tmp_path / "log", Heart(say=said.append)):
        assert "its watchdog cannot reach laser_pump, laser_read" in said[0]


HANGING = """
import os, signal, sys
from pathlib import Path
from labkit.station.config import read_station_file
from labkit.station.watchdog import Heart, watched

heart = Heart(hanging=lambda: "laser.wavelength has not returned" if sys.argv[3] == "call" else "")
with watched(read_station_file(sys.argv[1]), {}, Path(sys.argv[2]), heart, silence=2.0):
    if sys.argv[3] == "process":
        os.kill(os.getpid(), signal.SIGSTOP)
    signal.pause()
"""


@pytest.fixture
def lamp_station(tmp_path):
    path = tmp_path / "lab.yaml"
    path.write_text(
        "labkit:\n  roles: {}\n  channels: {}\n  lock_range: 10.0\n  calibration: {aom_full: 1.0, "
        "v_pi: 5.0, amplifier_gain: 8.0, aom_delay: 0.0, eom_delay: 0.0}\n"
        "instruments:\n  one: {type: nowhere.Lamp, address: A}\n"
    )
    return path


@pytest.mark.parametrize("what", ["process", "call"])
def test_process_or_call_that_hangs_is_ended_and_its_instruments_made_safe(
    tmp_path, lamp_station, what
):
    log = tmp_path / "watchdog.txt"
    hanging = subprocess.run(
        [sys.executable, "-c", HANGING, lamp_station, log, what],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert hanging.returncode == -signal.SIGKILL
    text = log.read_text()
    assert "gave no sign of life for 2 s and was ended; the watchdog acts" in text
    assert "NOT SAFE: one: ValueError: 'nowhere.Lamp' must be an importable name" in text


LEFT_ALONE = """
import os, signal, subprocess, sys, time
from pathlib import Path
from labkit.station import watchdog
from labkit.station.config import read_station_file

started, popen = [], subprocess.Popen
def start(*arguments, **options):
    started.append(popen(*arguments, **options))
    return started[-1]
watchdog.subprocess.Popen = start
with watchdog.watched(read_station_file(sys.argv[1]), {}, Path(sys.argv[2]), silence=2.0):
    keeper = started[0].pid
    children = Path(f"/proc/{keeper}/task/{keeper}/children")
    while not (listener := children.read_text().strip()):
        time.sleep(0.01)
    os.kill({"listener": int(listener), "keeper": keeper}[sys.argv[3]], signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for a child in /proc")
@pytest.mark.parametrize("killed", ["listener", "keeper"])
def test_process_that_is_suspended_as_its_watchdog_dies_is_ended_all_the_same(
    tmp_path, lamp_station, killed
):
    log = tmp_path / "watchdog.txt"
    begin = monotonic()
    hanging = subprocess.run(
        [sys.executable, "-c", LEFT_ALONE, lamp_station, log, killed],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert hanging.returncode == -signal.SIGKILL
    assert monotonic() - begin < 30.0
    assert "gave no sign of life for 2 s and was ended; the watchdog acts" in log.read_text()


def test_watchdog_that_dies_while_a_call_hangs_is_replaced_by_one_that_knows_since_when(
    tmp_path, watchdogs, monkeypatch
):
    from labkit.station import watchdog

    plans = []
    monkeypatch.setattr(watchdog._Watchdog, "_tell", lambda _, text: plans.append(text) or True)
    dog = watchdog._Watchdog({"silence": 30.0}, lambda _: None)
    dog.beat()
    begin = monotonic()
    dog.process.kill()
    dog.process.wait()
    with watchdog.Heart(hanging=lambda: "a call").beating(dog.beat, 0.02, tend=dog.tend):
        while len(watchdogs) < 2:
            sleep(0.01)
    dog.process.kill()
    dog.dismiss()
    assert json.loads(plans[1 + plans.index("beat")])["last_beat"] < begin


def test_watchdog_that_was_suspended_itself_takes_no_beating_heart_for_a_dead_one():
    from queue import SimpleQueue
    from threading import Timer

    from labkit.station.watchdog import _next

    heard = SimpleQueue()
    Timer(0.3, heard.put, ["beat"]).start()
    assert _next(heard, seconds=-100.0) == "beat"


def test_log_that_cannot_be_written_does_not_keep_the_watchdog_from_acting(
    tmp_path, monkeypatch, capsys
):
    from labkit.station.watchdog import _act

    module = ModuleType("quick_instruments")
    module.Quick = type("Quick", (Silent,), {"__init__": lambda *_: None})
    monkeypatch.setitem(sys.modules, "quick_instruments", module)
    plan = {"one": {"type": "quick_instruments.Quick", "options": {}}}
    _act("it died", plan, tmp_path / "gone" / "watchdog.txt", tmp_path)
    assert "one: safe" in capsys.readouterr().err


def test_what_stands_on_others_does_not_wait_long_for_who_does_not_answer(monkeypatch):
    module = ModuleType("late_instruments")
    module.Silent = Silent
    module.Quick = type("Quick", (Silent,), {"__init__": lambda *_, **__: None})
    monkeypatch.setitem(sys.modules, "late_instruments", module)
    monkeypatch.setattr("labkit.station.watchdog.RECOVERY_TIME", 0.2)
    plan = {
        "late": {"type": "late_instruments.Silent", "options": {}},
        "card": {"type": "late_instruments.Quick", "options": {}},
        "attenuator": {"type": "late_instruments.Quick", "options": {}},
    }
    monkeypatch.setattr(
        "labkit.station.watchdog._stands_on", lambda e, others: e is plan["attenuator"] and others
    )
    assert list(rescue(plan)) == ["card: safe", "attenuator: safe", "late: safe"]


def test_heart_that_cannot_do_a_task_says_so_once_and_beats_on():
    from labkit.station.watchdog import Heart

    def fail():
        message = "the line is gone"
        raise OSError(message)

    said, beats = [], []
    heart = Heart(tasks=[fail], say=said.append)
    with heart.beating(lambda: beats.append(1), 0.005):
        while len(beats) < 3:
            sleep(0.005)
    assert said == ["the heart cannot do one of its tasks: OSError: the line is gone"]


pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
