"""An ending that leaves anything unsafe cannot be overlooked; every ending has its right code."""

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from shutil import which
from time import sleep

import pytest

from labkit.cli import run as labkit
from labkit.experiment import open_session, read_experiment
from labkit.run import check_run, list_runs
from labkit.run.stopping import REQUEST, StopError, stop_run, stoppable
from labkit.station import opening
from labkit.station.ending import (
    Terminated,
    ending_on_sigterm,
    postponed,
    stopping_once,
    undisturbed,
)
from labkit.station.lab import open_lab
from simulation.lab.dead_man import DeadManRelay
from simulation.lab.world import World

ROOT = Path(__file__).parents[2]


@pytest.fixture
def losing(worlds, monkeypatch):
    """Lose DAQ card and bias source once the working point is set; the list may hold an error."""
    from labkit.cli.run_display import RunDisplay

    monkeypatch.setattr("labkit.station.opening.watched", lambda *_: nothing())
    say, then = RunDisplay.say, []

    def saying(display, text):
        say(display, text)
        if text.startswith("working point set"):
            for name in ("daq", "bias"):
                worlds[-1].inject({"instrument": name, "kind": "disconnect", "count": None})
            if then:
                raise then[0]

    monkeypatch.setattr(RunDisplay, "say", saying)
    return then


def nothing():
    from contextlib import nullcontext

    return nullcontext()


@pytest.mark.parametrize(
    ("error", "status"),
    [(None, "done"), (KeyboardInterrupt(), "interrupted"), (OSError("lost"), "failed")],
)
def test_unsafe_ending_is_exit_code_3_whatever_else_ended_it(
    quick_station, witness_file, losing, tmp_path, capsys, error, status
):
    losing += [error] if error else []
    file = witness_file("switch_on")
    code = labkit(["run", str(file), "--station", str(quick_station), "--out", str(tmp_path)])
    (folder,) = list_runs(tmp_path)
    manifest = folder.manifest()
    assert (code, manifest.status) == (3, status)
    assert {"snspd", "voa_a", "voa_b"} <= set(manifest.unsafe)
    last = capsys.readouterr().err.splitlines()
    assert "switch these off by hand, now" in last[-1]
    assert any(line.startswith("NOT SAFE: snspd") for line in last[-8:])
    assert labkit(["runs", "show", str(folder.path)]) == 0
    assert "NOT SAFE   snspd" in capsys.readouterr().out
    assert labkit(["runs", "show", str(folder.path), "--json"]) == 0
    assert "snspd" in json.loads(capsys.readouterr().out)["unsafe"]


@pytest.fixture
def heard_in_background():
    """SIGINT is heard, which a shell lets its background jobs ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_first_signal_stops_and_the_others_wait(capsys, heard_in_background):
    with pytest.raises(KeyboardInterrupt), stopping_once():
        _hear(signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    assert capsys.readouterr().err.count("stopping already") == 3


def test_station_within_a_run_does_not_raise_a_second_time(capsys):
    with pytest.raises(Terminated), stopping_once(), ending_on_sigterm():
        _hear(signal.SIGTERM, signal.SIGTERM)
    assert "stopping already" in capsys.readouterr().err


def _hear(first, *others):
    try:
        signal.raise_signal(first)
    finally:
        for number in others:
            signal.raise_signal(number)


@pytest.mark.parametrize(
    ("step", "status"), [("save_results", "interrupted"), ("save_report", "done")]
)
def test_signal_that_a_library_swallows_at_the_end_is_heard(
    quick_station, witness_file, tmp_path, monkeypatch, heard_in_background, step, status
):
    from labkit import experiment

    save = getattr(experiment, step)

    def swallowing(*given, **named):
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return save(*given, **named)

    monkeypatch.setattr(experiment, step, swallowing)
    file = witness_file("switch_on")
    code = labkit(["run", str(file), "--station", str(quick_station), "--out", str(tmp_path)])
    (folder,) = list_runs(tmp_path)
    assert (code, folder.manifest().status) == (130, status)
    assert folder.manifest().unsafe == {}


def test_signal_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        for context in (ending_on_sigterm, stopping_once, undisturbed):
            with context():
                signal.raise_signal(signal.SIGHUP)
                assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


SIGNALS = """
import os, signal, sys
import {module} as module
from labkit.cli import main

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it,
signal.signal(signal.SIGQUIT, signal.SIG_DFL)  # and this
before = module.{name}
def interrupted(*given, **named):
    module.{name} = before
    os.kill(os.getpid(), signal.{number})
    os.kill(os.getpid(), signal.{number})
    return before(*given, **named)
module.{name} = interrupted
main()
"""


@pytest.mark.parametrize(
    ("module", "name", "number"),
    [
        ("labkit.station.opening", "_open", "SIGTERM"),
        ("labkit.station.lab", "_load", "SIGINT"),
        ("labkit.run.results", "register_dataset", "SIGHUP"),
        ("labkit.station.lab", "_load", "SIGQUIT"),
    ],
)
def test_two_signals_in_any_phase_give_code_and_status(
    tmp_path, witness_file, module, name, number
):
    script = SIGNALS.format(module=module, name=name, number=number)
    done = subprocess.run(
        [sys.executable, "-c", script, "run", witness_file("switch_on"), "--out", tmp_path],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == (130 if number == "SIGINT" else 143), done.stderr
    (folder,) = list_runs(tmp_path)
    assert folder.manifest().status == "interrupted"
    assert "NOT SAFE" not in done.stderr


SUSPENDED = """
import os, signal, sys
import {module} as module
from labkit.cli import main

before = module.{name}
def suspended(*given, **named):
    module.{name} = before
    os.kill(os.getpid(), signal.SIGTSTP)
    return before(*given, **named)
module.{name} = suspended
main()
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("module", "name"),
    [("labkit.station.opening", "_open"), ("labkit.station.lab", "_wait"),
     ("labkit.run.blocks", "judge_block"), ("labkit.station.opening", "make_safe")],
)  # fmt: skip
def test_run_that_is_suspended_for_a_moment_goes_on(tmp_path, witness_file, module, name):
    script = SUSPENDED.format(module=module, name=name)
    command = [sys.executable, "-c", script, "run", witness_file(), "--out", tmp_path]
    with (tmp_path / "stderr").open("w") as stderr:
        process = subprocess.Popen(command, cwd=ROOT, stdout=stderr, stderr=stderr, process_group=0)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        sleep(1.0)
        os.kill(process.pid, signal.SIGCONT)
        assert process.wait(120) == 0
    (folder,) = list_runs(tmp_path)
    assert (folder.manifest().status, check_run(folder).differences) == ("done", {})
    assert not (folder.path / "watchdog.txt").exists()


@pytest.mark.skipif(which("nohup") is None, reason="nohup is of POSIX")
def test_run_under_nohup_outlives_its_terminal(tmp_path, witness_file):
    script = SIGNALS.format(module="labkit.station.lab", name="_load", number="SIGHUP")
    command = [sys.executable, "-c", script, "run", witness_file("switch_on"), "--out", tmp_path]
    done = subprocess.run(
        ["nohup", *command],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder,) = list_runs(tmp_path)
    assert folder.manifest().status == "done"


def test_signal_is_heard_after_an_import_not_within_it():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    imported = []
    try:
        with pytest.raises(KeyboardInterrupt):
            _import(imported)
    finally:
        signal.signal(signal.SIGINT, before)
    assert imported == ["whole"]


def _import(imported):
    with postponed():
        signal.raise_signal(signal.SIGINT)
        imported.append("whole")


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), Terminated("SIGTERM")])
@pytest.mark.parametrize(
    ("step", "number", "after"),
    [("_open", 1, False), ("_open", 9, True), ("apply_parameters", 4, True)],
)
def test_stop_while_opening_leaves_safe_also_what_was_not_open_yet(
    worlds, station, monkeypatch, stop, step, number, after
):
    monkeypatch.setenv("PYVISA_LIBRARY", "@py")
    work, calls = getattr(opening, step), []

    def stopped(*given):
        calls.append(given)
        if len(calls) != number:
            return work(*given)
        if after:
            work(*given)
        raise stop

    monkeypatch.setattr(opening, step, stopped)
    told = []
    with pytest.raises(type(stop)), open_lab(station(), told=told.append):
        pass
    assert told[0].failed == {}
    actuators = worlds[-1].wiring.actuator
    assert all(actuators[f"attenuator_{arm}"].voltage == pytest.approx(5.0) for arm in "ab")
    assert not any(port.state.emission for port in worlds[-1].wiring.laser.values())


def test_stop_while_opening_names_what_can_then_not_be_opened(worlds, station, monkeypatch, capsys):
    monkeypatch.setenv("PYVISA_LIBRARY", "@py")
    work, stops = opening._open, [KeyboardInterrupt()]

    def stopped(file, name, *more):
        if stops:
            worlds[-1].inject({"instrument": "afg", "kind": "disconnect", "count": None})
            raise stops.pop()
        return work(file, name, *more)

    monkeypatch.setattr(opening, "_open", stopped)
    with pytest.raises(KeyboardInterrupt), open_lab(station(impatient="afg")):
        pass
    assert "NOT SAFE: afg: it cannot be opened" in capsys.readouterr().err


SLOW = ("afg", "awg", "lock", "laser_pump", "daq", "bias")


@pytest.mark.parametrize("name", SLOW)
def test_slow_instrument_is_confirmed_safe_not_told_unsafe(
    worlds, station, monkeypatch, capsys, name
):
    """Replies of twice its time-out; the laser is on."""
    monkeypatch.setenv("PYVISA_LIBRARY", "@py")
    told = []
    with open_lab(station(impatient=name), told=told.append) as lab:
        lab.instruments["laser_pump"].emission(True)
        worlds[-1].inject({"instrument": name, "kind": "delay", "seconds": 0.9, "count": None})
    worlds[-1].instruments[name].faults.clear()
    assert told[0].failed == {}
    assert not worlds[-1].wiring.laser["pump"].state.emission
    assert "safe state set after" in capsys.readouterr().err


@pytest.fixture
def stopped_anywhere():
    """A stop may come between the birth of a socket and the moment somebody has it: such a one is
    left to the end of the process, here to the end of the test."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.usefixtures("stopped_anywhere")
def test_run_is_stopped_from_another_terminal(quick_station, tmp_path, monkeypatch):
    monkeypatch.setattr("labkit.station.watchdog.INTERVAL", 0.02)
    stopped = []

    def stop():
        sleep(0.1)
        stop_run(list_runs(tmp_path)[-1], 30.0)
        stopped.append(list_runs(tmp_path)[-1].manifest())

    sequence = read_experiment("autopilot").sequence
    thread = threading.Thread(target=stop)
    with pytest.raises(Terminated), open_session(quick_station, tmp_path, sequence):
        _wait_for(thread)
    thread.join()
    assert (stopped[0].status, stopped[0].unsafe) == ("interrupted", {})


def _wait_for(thread):
    thread.start()
    sleep(20.0)


@pytest.mark.usefixtures("stopped_anywhere")
def test_stop_that_is_requested_before_the_lab_is_open_is_heard_and_an_old_one_is_not(
    quick_station, tmp_path, monkeypatch
):
    monkeypatch.setattr("labkit.station.watchdog.INTERVAL", 0.02)
    began = World.start.__func__
    sequence = read_experiment("autopilot").sequence

    def starting(cls, **options):
        (list_runs(tmp_path)[-1].path / REQUEST).touch()
        return began(cls, **options)

    monkeypatch.setattr(World, "start", classmethod(starting))
    with pytest.raises(Terminated), open_session(quick_station, tmp_path, sequence):
        sleep(30.0)
    (folder,) = list_runs(tmp_path)
    assert folder.manifest().status == "interrupted"
    (folder.path / REQUEST).touch()
    with stoppable(folder.path):
        assert not (folder.path / REQUEST).exists()


def test_run_that_nobody_measures_cannot_be_stopped(short_run):
    folder = short_run(blocks=1).folder
    with pytest.raises(StopError, match="no process measures into this run"):
        stop_run(folder)


def test_dead_man_cuts_the_light_when_nobody_kicks_it():
    relay = DeadManRelay(hold=0.05)
    assert relay.holds(), "nobody has ever kicked it: it is not in use"
    relay.apply(5.0)
    assert relay.holds()
    sleep(0.06)
    relay.apply(5.0)
    assert not relay.holds(), "a stuck line is no kick"
    relay.apply(0.0)
    assert relay.holds()


DEAD_MAN = (
    ("  patience: 0.0", "  dead_man: {parameter: daq.dead_man.voltage, values: [0.0, 5.0]}\n  patie"
     "nce: 0.0"),
    ("        filter_2b: {line", "        dead_man: {line: Dev1/ao10, minimum: 0.0, maximum: 5.0, "
     "initial: 0.0}\n        filter_2b: {line"),
)  # fmt: skip


def test_heart_kicks_the_dead_man_of_the_station(station, worlds, tmp_path, monkeypatch):
    monkeypatch.setenv("PYVISA_LIBRARY", "@py")
    monkeypatch.setattr("labkit.station.watchdog.INTERVAL", 0.02)
    sequence = read_experiment("autopilot").sequence
    with open_session(station(*DEAD_MAN), tmp_path, sequence) as session:
        worlds[-1].plant.dead_man.hold = 0.5
        session.lab.instruments["laser_pump"].emission(True)
        sleep(0.8)
        assert worlds[-1].wiring.laser["pump"].emits
        monkeypatch.setattr("labkit.station.guard.LONGEST_CALL", -1.0)
        with session.lab.guard._within("a call that hangs"):
            sleep(0.8)
            assert not worlds[-1].wiring.laser["pump"].emits
