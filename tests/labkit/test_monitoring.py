"""Watching a run folder: the same numbers as afterwards, and nothing is touched."""

import json
import os
import time
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.evaluation import evaluate
from labkit.cli import run as command
from labkit.experiment import WATCHDOG_LOG
from labkit.monitoring import RunMonitor
from labkit.monitoring import monitor as watching
from labkit.monitoring.monitor import MOST_POINTS
from labkit.monitoring.series import Rates, series_of
from labkit.monitoring.status import SILENCE
from labkit.run import JournalError, total_counts


def test_numbers_are_those_of_labkit_analyse(run, capsys):
    for reason in ("", "the phase lock was lost", "", ""):
        run.add(good=not reason, reason=reason)
    run.add(procedure="filters")
    plain = RunMonitor(run.folder).snapshot().to_dict()
    assert command(["analyse", str(run.folder.path), "--json"]) == 0
    analysed = json.loads(capsys.readouterr().out)
    assert plain["diagnosis"] == analysed.pop("diagnosis")
    assert json.loads(json.dumps(plain["result"])) == analysed
    assert plain["course"][-1]["witness"] == analysed["witness"]["sym"]


def test_left_out_blocks_have_their_reason_and_do_not_count(run):
    run.add()
    run.add(good=False, reason="the phase lock was lost")
    found = RunMonitor(run.folder).snapshot()
    (left,) = found.left_out
    assert (left.block, left.reason) == (2, "the phase lock was lost")
    assert (found.blocks, found.good) == (2, 1)
    assert found.evaluation.counts.trials.number == left.trials
    assert found.series["temperature"].good == (True, False)


def test_run_without_a_block_is_running_and_has_no_result(run):
    found = RunMonitor(run.folder).snapshot()
    assert found.status.state == "running"
    assert (found.course, found.witness, dict(found.series)) == ((), None, {})
    assert found.progress.part() == 0.0
    assert json.loads(json.dumps(found.to_dict()))["result"] is None


def test_growing_run_is_the_same_as_one_read_at_once(run):
    monitor = RunMonitor(run.folder)
    for step in range(4):
        block = run.add(temperature=0.05 + 0.01 * step)
        monitor.snapshot()
    run.leave_out(block, "the pump rate changed")
    grown, fresh = (m.snapshot(now=0) for m in (monitor, RunMonitor(run.folder)))
    assert grown.to_dict() == fresh.to_dict()
    assert [left.block for left in grown.left_out] == [4]
    assert grown.evaluation.counts == total_counts(run.folder.journal.read())


def test_a_poll_reads_new_lines_only(run):
    blocks = [run.add() for _ in range(3)]
    monitor = RunMonitor(run.folder)
    assert monitor.poll()
    content = run.folder.journal.path.read_bytes()
    run.folder.journal.path.write_bytes(b"?" * len(content))  # would be damage if read again
    assert not monitor.poll()
    run.add()
    assert monitor.poll()
    assert monitor.snapshot().blocks == len(blocks) + 1


def test_polling_a_thousand_blocks_costs_little(run, recorded):
    block = run.add()
    with run.folder.journal.path.open("ab") as stream:
        journal = type(run.folder.journal)(run.folder.path / "one.jsonl")
        for number in range(2, 1001):
            journal.path.unlink(missing_ok=True)
            journal.append(replace(block, number=number, setting={"procedure": "filters"}))
            stream.write(journal.path.read_bytes())
    monitor = RunMonitor(run.folder)
    assert monitor.snapshot().blocks == 1000
    begin = time.perf_counter()
    monitor.snapshot()
    assert time.perf_counter() - begin < 0.05


def test_one_more_block_costs_one_evaluation(run, monkeypatch):
    evaluated = []
    monkeypatch.setattr(watching, "evaluate", lambda c: evaluated.append(c) or evaluate(c))
    monitor = RunMonitor(run.folder)
    for _ in range(3):
        run.add()
    monitor.snapshot()
    run.add()
    monitor.snapshot()
    monitor.snapshot()
    assert len(evaluated) == 4


@given(st.integers(0, 5000))
def test_course_ends_with_all_blocks_and_keeps_most_points_of_a_growing_run(blocks):
    now, later = watching._lengths(blocks), watching._lengths(blocks + 1)
    assert (now[-1:] or [0]) == [blocks]
    assert len(now) <= MOST_POINTS + 1
    assert now == sorted(set(now))
    assert len(set(later) - set(now)) <= 1


def test_rates_are_unpacked_once_and_follow_a_block_that_is_counted_again(run):
    one, two = run.add(), run.add()
    rates = Rates()
    before = series_of([one, two], rates)
    doubled = replace(two.counts, singles=2 * two.counts.singles)
    again = replace(two, counts=doubled)
    after = series_of([one, again], rates)
    assert after == series_of([one, again]) != before
    packed = run.folder.journal.read()
    assert series_of(packed) == before
    assert all(np.array_equal(b.singles, b.counts.singles) for b in packed)
    assert [b.gates for b in packed] == [b.counts.gates for b in packed]


def test_rates_have_poisson_errors(run):
    block = run.add()
    series = RunMonitor(run.folder).snapshot().series["rate.pump2"]
    clicks = block.counts.single("pump", 2)
    seconds = block.counts.trials.number * block.counts.gates.period
    assert series.value == pytest.approx([clicks / seconds])
    assert series.sigma == pytest.approx([sqrt(clicks) / seconds], rel=1e-3)
    assert series.time == (1e9,)


def test_laser_frequencies_are_relative_to_the_first(run):
    for hertz in (1.9e14, 1.9e14 + 3e6):
        run.add(pump_laser_hz=hertz)
    series = RunMonitor(run.folder).snapshot().series["laser.pump"]
    assert (series.value, series.offset) == ((0.0, 3e6), 1.9e14)


def test_other_procedures_blocks_do_not_mix_with_the_witness(run):
    for procedure in ("balance", "witness", "filters"):
        run.add(procedure=procedure)
    found = RunMonitor(run.folder).snapshot()
    assert found.about["procedure"] == "witness"
    assert found.series["rate.read1"].block == found.series["phase_noise"].block == (2,)
    assert found.series["temperature"].block == (1, 2, 3)


def test_sweep_has_g2_but_no_witness(make_run):
    run = make_run(kind="phase_sweep")
    run.folder.write_manifest(replace(run.folder.manifest(), experiment={}))
    run.add(procedure="phase_sweep")
    found = RunMonitor(run.folder).snapshot()
    assert (found.goal, found.progress, found.witness) == (None, None, None)
    assert found.to_dict()["course"][0]["g2"]["r1p2"]["value"] > 1


def test_time_left_follows_the_pace_of_the_last_blocks(run):
    """Ten blocks of 60 million trials, 100 s each: after three, 700 s; 30 s into the fourth."""
    for _ in range(3):
        run.add()
    found = RunMonitor(run.folder).snapshot(now=1e9 + 330)
    assert found.progress.part() == pytest.approx(0.3, rel=1e-4)
    assert found.seconds_left == pytest.approx(670, rel=1e-3)
    run.end("done")
    assert RunMonitor(run.folder).snapshot(now=1e9 + 330).seconds_left is None


def test_time_left_is_not_told_by_the_pace_of_another_procedure(run):
    run.add(procedure="phase_sweep")
    found = RunMonitor(run.folder).snapshot(now=1e9 + 330)
    assert (found.progress.trials, found.seconds_left) == (0, None)


def test_time_goal_counts_from_the_first_block_unless_the_run_was_resumed(make_run):
    run = make_run(goal={"seconds": 1000.0})
    run.add()
    found = RunMonitor(run.folder).snapshot(now=1e9 + 250)
    assert (found.progress.part(), found.seconds_left) == (0.25, 750.0)
    run.folder.write_manifest(replace(run.folder.manifest(), sessions=2))
    resumed = RunMonitor(run.folder).snapshot(now=1e9 + 250)
    assert (resumed.progress.part(), resumed.seconds_left) == (None, None)


@pytest.mark.parametrize("status", ["failed", "interrupted"])
def test_end_of_a_run_is_seen_with_its_reason(run, status):
    monitor = RunMonitor(run.folder)
    assert monitor.snapshot().status.state == "running"
    run.end(status, "RuntimeError: 4 blocks in a row were bad")
    found = monitor.snapshot().status
    assert (found.state, found.reason) == (status, "RuntimeError: 4 blocks in a row were bad")
    assert not found.going_on


def test_run_that_no_longer_writes_is_silent_until_it_does(run):
    run.add()
    run.folder.record_path(2).write_text("{}")
    monitor = RunMonitor(run.folder)
    status = monitor.snapshot(now=time.time() + 2 * SILENCE).status
    assert status.state == "silent"
    assert "nothing has been written for 30 min" in status.reason
    assert status.recording == 2
    tomorrow = time.time() + 86400
    os.utime(run.folder.record_path(2), (tomorrow, tomorrow))  # as growing tags would be
    assert monitor.snapshot(now=tomorrow + 1).status.state == "running"


def test_run_whose_watchdog_acted_has_died_until_it_is_resumed(run):
    run.add()
    (run.folder.path / WATCHDOG_LOG).write_text("the run's process died\nsnspd: safe\n")
    later = run.folder.manifest_path.stat().st_mtime + 1
    os.utime(run.folder.path / WATCHDOG_LOG, (later, later))
    monitor = RunMonitor(run.folder)
    status = monitor.snapshot().status
    assert (status.state, status.reason) == ("died", "the run's process died\nsnspd: safe")
    run.folder.write_manifest(replace(run.folder.manifest(), sessions=2))
    os.utime(run.folder.manifest_path, (later + 1, later + 1))
    assert monitor.snapshot().status.state == "running"


def test_half_written_line_waits_for_its_end(run):
    run.add()
    monitor = RunMonitor(run.folder)
    monitor.poll()
    run.add()
    whole = run.folder.journal.path.read_bytes()
    run.folder.journal.path.write_bytes(whole[:-100])
    assert not monitor.poll()
    run.folder.journal.path.write_bytes(whole)
    assert monitor.poll()


def test_damage_among_new_lines_is_told(run):
    monitor = RunMonitor(run.folder)
    run.add()
    monitor.poll()
    with run.folder.journal.path.open("ab") as stream:
        stream.write(b"torn\n")
    run.add()
    with pytest.raises(JournalError, match=r"line 1 after byte \d+ .* checksum"):
        monitor.poll()


def test_journal_put_back_from_an_older_copy_is_read_anew(run):
    run.add()
    older = run.folder.journal.path.read_bytes()
    run.add()
    monitor = RunMonitor(run.folder)
    assert monitor.snapshot().blocks == 2
    run.folder.journal.path.write_bytes(older)
    assert monitor.snapshot().blocks == 1


def test_nothing_is_written_and_no_lock_is_taken(run):
    run.add()

    def content():
        return {p: p.stat().st_mtime_ns for p in run.folder.path.rglob("*")}

    before = content()
    RunMonitor(run.folder).snapshot()
    assert content() == before
