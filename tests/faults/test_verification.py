"""No block counts unless its own record says that all was well, however its process ended."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.procedures.session import Session
from labkit.run import check_run, list_runs, recover_run
from labkit.run.lines import read_lines
from labkit.run.record import read_record
from labkit.station.lab import Lab

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]

READ_SIDE = {
    "read laser 90 MHz off": {"kind": "mode_hop", "target": "read", "value": 90e6},
    "read filter 40 MHz off": {"kind": "filter_drift", "target": "read", "value": 40e6},
}


@pytest.mark.parametrize("name", READ_SIDE)
def test_read_clicks_are_watched_as_pump_clicks_are(short_run, name):
    found = short_run(READ_SIDE[name] | {"at": 10.0}, block=20_000_000, blocks=3)
    assert any("read rate of detector" in reason for reason in found.left_out)
    rates = [
        block.counts.singles[1].sum() / block.trials
        for block in found.folder.journal.read()
        if block.good and block.setting["procedure"] == "witness"
    ]
    assert max(rates) / min(rates) < 1.5


def test_reading_that_is_no_number_leaves_its_block_out_and_does_not_end_the_run(
    short_run, monkeypatch
):
    readings = iter([0.05, float("nan")])
    monitors = Session.monitors

    def monitored(session, **look):
        found = monitors(session, **look)
        return found | {"temperature": next(readings, 0.05)} if "temperature" in found else found

    monkeypatch.setattr(Session, "monitors", monitored)
    found = short_run(blocks=2)
    assert found.error is None
    assert found.left_out == ["temperature was nan at its end, which is no reading"]
    found.check()


SPOILT = {
    "dropped_events": {"value": 0.5},
    "latched_detector": {"target": "1"},
    "lock_loss": {},
}


def stopping_in_block(monkeypatch, number):
    """Press Ctrl-C when 400 s of a block are recorded."""
    record, recorded = Lab.record, []

    def stopped(self, path, trials, period, progress):
        recorded.append(path)

        def press(seconds):
            if seconds > 400:
                raise KeyboardInterrupt
            return progress(seconds)

        watch = press if len(recorded) == number else progress
        return record(self, path, trials, period, watch)

    monkeypatch.setattr(Lab, "record", stopped)


@pytest.mark.parametrize("kind", [None, *SPOILT])
def test_block_cut_by_ctrl_c_passes_the_same_checks(short_run, monkeypatch, kind):
    stopping_in_block(monkeypatch, 2)
    faults = [] if kind is None else [{"kind": kind, "at": 10.0} | SPOILT[kind]]
    found = short_run(*faults, block=20_000_000, blocks=3, as_published=True)
    assert isinstance(found.error, KeyboardInterrupt)
    first, second = found.folder.journal.read()
    assert first.good
    assert second.good == (kind is None), second.reason
    assert second.reason.startswith("stopped by the user")
    assert 0 < second.trials < 20_000_000
    assert found.unsafe_ports() == {}


SCRIPT = """
import contextlib, os, signal, sys
sys.path.insert(0, sys.argv[1])
from labkit.run import blocks
from labkit.station import opening
from simulation.lab.world import World
opening.watched = lambda *_: contextlib.nullcontext()
worlds, count, start = [], blocks.count, World.start.__func__

@contextlib.contextmanager
def starting(cls, **options):
    with start(cls, **options) as world:
        worlds.append(world)
        yield world
World.start = classmethod(starting)

def die(number, moment):
    if number == 2 and moment == sys.argv[5]:
        os.kill(os.getpid(), signal.SIGKILL)

judge = blocks.judge_block
def judging(folder, block, **note):
    die(block.number, "judging")
    return judge(folder, block, **note)
blocks.judge_block = judging

def counting(path, gates):
    die(int(path.stem[-6:]), "counting")
    worlds[-1].inject({"kind": sys.argv[2], "at": worlds[-1].clock.now() + 10.0, **FAULT})
    return count(path, gates)
blocks.count = counting
from labkit.experiment import read_experiment, run_experiment
run_experiment(read_experiment(sys.argv[3]), "virtual", sys.argv[4])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(
    ("kind", "moment"),
    [("dropped_events", "counting"), ("latched_detector", "counting"),
     ("latched_detector", "judging")],
)  # fmt: skip
def test_recovered_block_passes_the_same_checks(tmp_path, witness_file, monkeypatch, kind, moment):
    """Killed before its line of the journal, and between that and its verdict."""
    monkeypatch.setenv("PYVISA_LIBRARY", "@py")
    file = witness_file(goal={"trials": 8_000_000}, block=2_000_000)
    script = SCRIPT.replace("FAULT", repr(SPOILT[kind]))
    killed = subprocess.run(
        [sys.executable, "-c", script, str(ROOT), kind, file, tmp_path / "runs", moment],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (folder,) = list_runs(tmp_path / "runs")
    assert not any(block.good for block in folder.journal.read()[1:])
    recovery = recover_run(folder)
    of_it = recovery.recovered if moment == "counting" else recovery.judged
    assert of_it == ("tags/block_000002.ptu",)
    first, second = recovery.blocks
    assert first.good
    assert not second.good
    said = "recovered" if moment == "counting" else "verified on resumption"
    assert second.reason.startswith(said)
    assert {"dropped_events": "dropped", "latched_detector": "detector 1"}[kind] in second.reason
    assert check_run(folder).differences == {}


@pytest.fixture
def unhurried(monkeypatch):
    """However busy the computer is, only the time of the experiment counts."""
    monkeypatch.setattr("labkit.procedures.session.LOOK_INTERVAL", 1e9)
    for name in ("_PATIENCE", "_TRUST"):
        monkeypatch.setattr(f"simulation.lab.recorder.{name}", 1e9)


@pytest.mark.usefixtures("unhurried")
def test_conditions_are_sampled_every_minute_of_the_experiment(short_run):
    found = short_run(block=18_000_000, blocks=1, as_published=True)
    record = read_record(found.folder.record_path(1))
    times = [sample["t"] for sample in record.samples]
    assert times[:14] == [60.0 * n for n in range(1, 15)]
    wanted = {"locked", "lock_error", "phase_error", "temperature", "pump_laser_hz", "pump_power"}
    assert wanted <= record.samples[0].keys()
    assert record.plan.demands.laser_hz.keys() == {"pump", "read"}


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("begin", [10.0, 55.0])
def test_twenty_seconds_of_warmth_within_a_block_do_not_count(short_run, begin):
    """Between two looks the clicks tell it; in a look the interlock ends the run."""
    warm = {"kind": "warm_cryostat", "value": 0.5, "at": begin, "duration": 20.0}
    found = short_run(warm, block=6_000_000, blocks=4)
    assert found.left_out
    if begin == 10.0:
        assert found.error is None
        assert any("usual rate from 1" in reason for reason in found.left_out), found.left_out
    else:
        assert "interlock 'cold'" in str(found.error)
    assert found.unsafe_ports() == {}


def test_a_lock_lost_and_found_within_a_block_leaves_it_out(short_run, monkeypatch):
    """Locked again at the end, as a loop that catches another fringe: only samples can tell."""
    from labkit.procedures.session import Session

    monitors, asked = Session.monitors, []

    def lost_once(self, **how):
        found = monitors(self, **how)
        if how.get("brief"):
            asked.append(1)
            return found | {"locked": float(len(asked) != 2)}
        return found

    monkeypatch.setattr(Session, "monitors", lost_once)
    found = short_run(block=36_000_000, blocks=1)
    assert found.error is None
    assert "the phase lock was lost (seen" in found.left_out[0]


@pytest.mark.parametrize("trials", [1_234_567, 999_999])
def test_goals_that_are_no_whole_number_of_milliseconds_are_reached(short_run, trials):
    found = short_run(blocks=1, block=trials, as_published=True)
    assert found.error is None
    (block,) = [b for b in found.folder.journal.read() if b.setting["procedure"] == "witness"]
    assert 0 <= block.trials - trials <= 20


def test_steps_and_settings_of_a_run_are_logged_in_order(short_run):
    found = short_run(blocks=1)
    events = [line.plain for line in read_lines(found.folder.path / "events.jsonl")]
    assert [event["time"] for event in events] == sorted(event["time"] for event in events)
    steps = [event["text"] for event in events if event["kind"] == "step"]
    assert steps == found.said[1:]
    changed = {event["parameter"] for event in events if event["kind"] == "setting"}
    assert any(name.startswith("laser_pump") for name in changed)
    assert any(event.get("old") not in (None, event.get("new")) for event in events)
