"""A run killed at any moment goes on where it was: nothing counted twice, no whole block lost."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.cli import run as labkit
from labkit.experiment import experiment_from_dict, read_experiment, run_experiment
from labkit.run import RunFolder, check_run, list_runs
from labkit.run.progress import Narrator
from labkit.run.sole_use import LOCK, held, is_in_use, sole_use
from labkit.station.lab import Lab

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
TRIALS = 300_000

SCRIPT = """
import contextlib, os, signal, sys
from analysis.tagfile import PtuWriter
from labkit.cli import main
from labkit.run import blocks
from labkit.run.journal import Journal
from labkit.station import opening

opening.watched = lambda *_: contextlib.nullcontext()  # has tests of its own, and takes time
moment, number = sys.argv[1], int(sys.argv[2])
sys.argv[1:3] = []
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

judge, close, count = Journal.judge, PtuWriter.close, blocks.count
def judging(journal, block, **verdict):
    if block < number:
        return judge(journal, block, **verdict)
    if moment == "journaling":
        content = journal.path.read_bytes()
        journal.path.write_bytes(content[:-200])
        die()
    if moment == "unverified":
        die()
    judge(journal, block, **verdict)
    die()
if moment in ("journaling", "unverified", "journaled"):
    Journal.judge = judging

def closing(writer, **options):
    die() if f"{number:06d}" in writer.path.name else close(writer, **options)
def counting(path, gates):
    return die() if f"{number:06d}" in path.name else count(path, gates)
if moment == "recording":
    PtuWriter.close = closing
if moment == "recorded":
    blocks.count = counting
main()
"""

MOMENTS = [
    # moment and block of the kill, blocks in the journal after it
    ("recording", 2, 1),
    ("recorded", 2, 1),
    ("journaling", 3, 2),
    ("unverified", 4, 4),
    ("journaled", 5, 5),
]


def lines_of(folder):
    return [block.counts.to_dict() for block in folder.journal.read()]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_run_killed_at_five_moments_goes_on_each_time(tmp_path, witness_file, capsys, monkeypatch):
    monkeypatch.setenv("PYVISA_LIBRARY", "@py")
    options = {"goal": {"trials": 6 * TRIALS}, "block": TRIALS}
    file, resume, before = witness_file(**options), [], []
    for moment, number, finished in MOMENTS:
        killed = subprocess.run(
            [sys.executable, "-c", SCRIPT, moment, str(number), "run", file, "--out", tmp_path,
             *resume],
            cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        (folder,) = list_runs(tmp_path)
        resume = ["--resume", folder.path]
        assert folder.manifest().status == "running"
        after = lines_of(folder)
        assert len(after) == finished
        assert after[: len(before)] == before
        before = after
        assert check_run(folder).differences == {}
    assert labkit(["runs", "list", "--out", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["status"] == "died"
    assert labkit(["run", str(file), "--resume", str(folder.path)]) == 0
    manifest, blocks = folder.manifest(), folder.journal.read()
    assert (manifest.status, manifest.sessions) == ("done", 6)
    assert [block.counts.trials.number for block in blocks] == [TRIALS] * 6
    assert all(block.good for block in blocks)
    assert check_run(folder).differences == {}
    said = ["", "recovered", "recovered", "verified ", "", ""]
    assert [block.reason[:9] for block in blocks] == said
    assert len(list((folder.path / "tags" / "incomplete").glob("*.ptu"))) == 1
    singles = {str(block.counts.histogram.tolist()) for block in blocks}
    assert len(singles) == 6, "a resumed virtual lab repeats the data of an earlier session"


def test_run_of_another_experiment_is_not_resumed(short_run, witness_file, capsys):
    folder = short_run(blocks=1).folder
    before = folder.manifest_path.read_bytes()
    other = witness_file(goal={"trials": 2.0}, block=1)
    assert labkit(["run", str(other), "--resume", str(folder.path)]) == 1
    error = capsys.readouterr().err
    assert "must be resumed with the experiment it began with, but options differ" in error
    assert folder.manifest_path.read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="no flock there")
def test_a_run_is_let_go_of_also_while_a_child_that_is_being_born_has_its_lock(tmp_path):
    """Between fork and exec a child has all of its parent's files open."""
    fcntl = pytest.importorskip("fcntl")
    lock = tmp_path / LOCK
    with held(lock, "held"):
        fds = [int(path.name) for path in Path("/dev/fd").iterdir()]
        mine = [fd for fd in fds if _same_file(fd, lock)]
        assert mine
        child = os.dup(mine[0])
    try:
        assert not is_in_use(tmp_path)
        fcntl.flock(child, fcntl.LOCK_SH)  # somebody else looks
        assert not is_in_use(tmp_path)
        fcntl.flock(child, fcntl.LOCK_EX)
        assert is_in_use(tmp_path)
    finally:
        os.close(child)


def _same_file(fd, path):
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except OSError:
        return False


def test_two_processes_do_not_measure_into_one_run(short_run, witness_file, capsys):
    folder = short_run(blocks=1).folder
    assert not is_in_use(folder.path)
    with sole_use(folder.path):
        assert is_in_use(folder.path)
        assert labkit(["run", str(witness_file(blocks=1)), "--resume", str(folder.path)]) == 1
    assert "another process is measuring into this run" in capsys.readouterr().err


QUICK = {
    "filters": {"points": 7, "trials": 400_000, "passes": 1, "span": 0.08},
    "phase_sweep": {"points": 4, "trials": 20_000_000},
    "balance": {"trials": 2_000_000, "tolerance": 0.3},
    "splitting": {"trials": 1_000_000, "pump_trials": 0},
    "stray_light": {"trials": 200_000, "bright_trials": 100_000},
    "null_test": {"accidentals": 20, "block": 1_000_000},
    "witness": {"goal": {"trials": 4_000_000}, "block": 1_000_000},
}


def test_resumed_autopilot_keeps_its_phase(tmp_path, quick_station, witness_file):
    plain = json.loads(witness_file("autopilot", **QUICK).read_text())
    autopilot = experiment_from_dict(plain, "test")

    def stop(text):
        if " clicks/s" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_experiment(autopilot, quick_station, tmp_path, watcher=Narrator(stop))
    (folder,) = list_runs(tmp_path)
    first = folder.journal.read()
    assert folder.manifest().status == "interrupted"
    resumed = run_experiment(autopilot, quick_station, tmp_path, resume=folder.path)
    blocks = RunFolder(path=folder.path).journal.read()
    assert [b.counts.to_dict() for b in blocks[: len(first)]] == [b.counts.to_dict() for b in first]
    sweeps = [b for b in blocks[len(first) :] if b.setting["procedure"] == "phase_sweep"]
    assert sweeps == []
    assert resumed.result.phase_sweep is None
    phases = {b.setting["theta"] for b in blocks if b.setting["procedure"] == "witness"}
    assert len(phases) == 1
    assert check_run(folder).differences == {}


KEPT = {
    "g2": {"trials": 3_000_000, "block": 1_000_000},
    "thermometry": {"trials": 9_000_000, "rounds": 3},
}


@pytest.mark.parametrize("kind", KEPT)
def test_whole_blocks_of_an_earlier_session_count_whatever_the_procedure(
    tmp_path, quick_station, kind, monkeypatch
):
    """Stopped within the third block; no block is measured twice."""
    whole = read_experiment("g2").to_dict()
    plan = experiment_from_dict(whole | {"kind": kind, "options": KEPT[kind]}, "test")
    record, calls = Lab.record, []

    def stopping(lab, *arguments):
        calls.append(1)
        if len(calls) == 3:
            raise TimeoutError
        return record(lab, *arguments)

    monkeypatch.setattr(Lab, "record", stopping)
    with pytest.raises(TimeoutError):
        run_experiment(plan, quick_station, tmp_path)
    (folder,) = list_runs(tmp_path)
    before = len(folder.journal.read())
    said = []
    with contextlib.suppress(RuntimeError):  # so few trials need not give a result
        run_experiment(
            plan, quick_station, tmp_path, resume=folder.path, watcher=Narrator(said.append)
        )
    blocks = folder.journal.read()
    assert before == 2
    assert len([text for text in said if "of an earlier session counts" in text]) == 2
    assert len(blocks) == {"g2": 3, "thermometry": 9}[kind]
