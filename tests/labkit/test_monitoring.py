"""Watching a run folder: the same numbers as afterwards, and nothing is touched."""

import gc
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from math import sqrt
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.evaluation import evaluate
from labkit.cli import run as command
from labkit.experiment import WATCHDOG_LOG
from labkit.monitoring import RunMonitor
from labkit.monitoring import monitor as watching
from labkit.monitoring.comparison import compare_runs
from labkit.monitoring.pace import _walk_error
from labkit.monitoring.scan import ScanBook
from labkit.monitoring.series import SeriesBook
from labkit.monitoring.status import SILENCE
from labkit.run import Block, Goal, JournalError, total_counts
from labkit.run.always_valid import TestPoint
from labkit.run.events import EVENTS, EventLog
from labkit.run.kept_sums import MOST_POINTS, lengths_of_course
from labkit.run.lines import framed
from labkit.run.progress import Step, Watcher
from labkit.station.config import read_station_file, station_path


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
    assert found.series["temperature"].good.tolist() == [True, False]


def test_run_without_a_block_is_running_and_has_no_result(run):
    found = RunMonitor(run.folder).snapshot()
    assert found.status.state == "running"
    assert (found.course, found.witness, dict(found.series)) == ((), None, {})
    assert found.progress.part() == 0.0
    assert json.loads(json.dumps(found.to_dict()))["result"] is None


def test_growing_run_is_the_same_as_one_read_at_once(run, monkeypatch):
    free = SimpleNamespace(free=5e10)
    monkeypatch.setattr("labkit.monitoring.states.shutil.disk_usage", lambda _: free)
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
    now, later = lengths_of_course(blocks), lengths_of_course(blocks + 1)
    assert (now[-1:] or [0]) == [blocks]
    assert len(now) <= MOST_POINTS + 1
    assert now == sorted(set(now))
    assert len(set(later) - set(now)) <= 1


def plain(book):
    return {name: series.to_dict() for name, series in book.series().items()}


def test_series_follow_a_run_that_grows_and_a_block_that_is_counted_again(run):
    one, two = run.add(), run.add(good=False, temperature=0.07)
    grown = SeriesBook()
    grown.follow([one], 1)
    grown.follow([one, two], 2)
    at_once = SeriesBook()
    at_once.follow([one, two], 1)
    before = plain(at_once)
    assert plain(grown) == before
    again = replace(two, counts=replace(two.counts, singles=2 * two.counts.singles), good=True)
    grown.follow([one, again], 2)
    after = plain(grown)
    assert after["rate.pump1"]["value"][1] == 2 * before["rate.pump1"]["value"][1]
    assert after["temperature"]["good"] == [True, True]
    packed = run.folder.journal.read()
    of_journal = SeriesBook()
    of_journal.follow(packed, 1)
    assert plain(of_journal) == before
    assert all(np.array_equal(b.singles, b.counts.singles) for b in packed)


def test_series_begin_anew_when_the_run_turns_to_another_procedure(run):
    sweep, witness = run.add(procedure="phase_sweep"), run.add()
    book = SeriesBook()
    book.follow([sweep], 1)
    assert book.series()["rate.pump1"].block.tolist() == [1]
    book.follow([sweep, witness], 2)
    assert book.series()["rate.pump1"].block.tolist() == [2]
    assert book.series()["temperature"].block.tolist() == [1, 2]


def test_rates_have_poisson_errors(run):
    block = run.add()
    series = RunMonitor(run.folder).snapshot().series["rate.pump2"]
    clicks = block.counts.single("pump", 2)
    seconds = block.counts.trials.number * block.counts.gates.period
    assert series.value == pytest.approx([clicks / seconds])
    assert series.sigma == pytest.approx([sqrt(clicks) / seconds], rel=1e-3)
    assert series.time.tolist() == [1e9]


def test_laser_frequencies_are_relative_to_the_first(run):
    for hertz in (1.9e14, 1.9e14 + 3e6):
        run.add(pump_laser_hz=hertz)
    series = RunMonitor(run.folder).snapshot().series["laser.pump"]
    assert (series.value.tolist(), series.offset) == ([0.0, 3e6], 1.9e14)


def test_other_procedures_blocks_do_not_mix_with_the_witness(run):
    for procedure in ("balance", "witness", "filters"):
        run.add(procedure=procedure)
    found = RunMonitor(run.folder).snapshot()
    assert found.about["procedure"] == "witness"
    of_witness = (found.series[name].block.tolist() for name in ("rate.read1", "phase_noise"))
    assert list(of_witness) == [[2], [2]]
    assert found.series["temperature"].block.tolist() == [1, 2, 3]


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
    assert found.time_left.seconds == pytest.approx(670, rel=1e-3)
    assert found.time_left.low == pytest.approx(found.time_left.high)  # every block takes as long
    run.end("done")
    assert RunMonitor(run.folder).snapshot(now=1e9 + 330).time_left is None


def test_time_left_is_not_told_by_the_pace_of_another_procedure(run):
    run.add(procedure="phase_sweep")
    found = RunMonitor(run.folder).snapshot(now=1e9 + 330)
    assert (found.progress.trials, found.time_left) == (0, None)


def test_time_goal_counts_from_the_first_block_unless_the_run_was_resumed(make_run):
    run = make_run(goal={"seconds": 1000.0})
    run.add()
    found = RunMonitor(run.folder).snapshot(now=1e9 + 250)
    assert (found.progress.part(), found.time_left.seconds) == (0.25, 750.0)
    run.folder.write_manifest(replace(run.folder.manifest(), sessions=2))
    resumed = RunMonitor(run.folder).snapshot(now=1e9 + 250)
    assert (resumed.progress.part(), resumed.time_left) == (None, None)


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


def walk(rng, blocks):
    """Log E after each of many blocks of 100 trials: steps of 0.05 ± 0.05."""
    steps = 0.05 + 0.05 * rng.choice([-1, 1], blocks)
    return [
        TestPoint(trials=100 * n, upper_limit=1.0, log_e=e)
        for n, e in enumerate(np.cumsum(steps), 1)
    ]


def test_error_of_the_time_to_a_confidence_is_that_of_walks_told_after_a_third():
    """Of 400 walks, seed 5: the spread has a standard deviation of 4 %."""
    rng, goal = np.random.default_rng(5), Goal(confidence=0.999)
    wrong, told = [], []
    for _ in range(400):
        course = walk(rng, 400)
        seen = course[:45]
        height = -np.log(0.001) - seen[-1].log_e
        expected = height / seen[-1].log_e * 45
        needed = next(n for n, p in enumerate(course) if p.log_e >= -np.log(0.001)) - 44
        wrong.append(np.log(needed / expected))
        told.append(_walk_error(goal, seen))
    assert np.std(wrong) == pytest.approx(np.mean(told), rel=0.16)


def test_nothing_is_told_of_a_walk_that_is_short_or_there():
    course = walk(np.random.default_rng(5), 60)
    assert _walk_error(Goal(confidence=0.999), course[:5]) is None
    assert _walk_error(Goal(confidence=0.5), course) is None
    assert _walk_error(Goal(trials=1e9), course) is None


def test_verdict_of_a_thread_is_that_of_waiting_for_it(run):
    for _ in range(3):
        run.add()
    with ThreadPoolExecutor(1) as thread:
        monitor = RunMonitor(run.folder, thread)
        found = monitor.snapshot(patience=60.0)
        run.add()
        early = monitor.snapshot(patience=60.0)
    fresh = RunMonitor(run.folder).snapshot()
    assert found.evaluation.verdict is not None
    assert (early.judged, fresh.judged) in [(3, 4), (4, 4)]  # a judge rests after a verdict
    assert found.evidence == fresh.evidence[:3]


def test_steps_alarms_and_events_are_those_of_the_log(run):
    log = EventLog(Watcher(), run.folder.path)
    log.say("locked")
    path = (Step(procedure="autopilot", number=8, of=9, what="phase sweep"),)
    log.step((*path, Step(procedure="phase_sweep", number=1, of=9, what="Δφ = 0 π")))
    log.alarm("the disk is nearly full")
    found = RunMonitor(run.folder).snapshot()
    assert [step.number for step in found.steps] == [8, 1]
    assert str(found.steps[0]) == "autopilot 8 of 9 (phase sweep)"
    assert [(e.kind, e.text) for e in found.events] == [
        ("step", "locked"), ("alarm", "the disk is nearly full"),
    ]  # fmt: skip
    assert found.alarms == 1
    run.end("done")
    assert RunMonitor(run.folder).snapshot().steps == ()


def states(run):
    return {state.name: state for state in RunMonitor(run.folder).snapshot().states}


def test_states_say_what_the_last_block_says(run):
    assert states(run)["lasers"].level == "unknown"
    run.add(procedure="filters")
    run.add()
    assert {states(run)[n].level for n in ("lasers", "lock", "detectors", "watchdog")} == {"good"}
    assert states(run)["filters"].word == "tuned"
    run.add(pump_laser_hz=1.9e14 + 150e6, locked=0.0)
    assert (states(run)["lasers"].word, states(run)["lasers"].level) == ("off their lines", "bad")
    assert "+150.0 MHz" in states(run)["lasers"].detail
    assert states(run)["lock"].word == "lost"


def test_states_of_a_run_that_left_something_unsafe_say_so(run):
    run.add()
    run.end("failed", "lost")
    assert states(run)["lasers"].word == "safe state"
    run.folder.write_manifest(replace(run.folder.manifest(), unsafe={"daq": "does not answer"}))
    assert (states(run)["lasers"].level, states(run)["lasers"].detail) == (
        "bad", "daq: does not answer",
    )  # fmt: skip


def test_limits_are_those_of_the_station_the_run_keeps(run):
    assert RunMonitor(run.folder).snapshot().limits.temperature is None
    text = station_path("virtual").read_text(encoding="utf-8")
    run.folder.write_manifest(replace(run.folder.manifest(), station=text))
    run.add(temperature=0.19)
    found = RunMonitor(run.folder).snapshot()
    config = read_station_file("virtual").config
    assert found.limits.lock_output == config.lock_range
    assert found.limits.temperature is not None
    run.add(temperature=2 * found.limits.temperature)
    assert states(run)["fridge"].word == "warm"


def test_scan_has_the_points_of_its_blocks(run):
    for phase in (0.0, np.pi / 2):
        setting = {"procedure": "phase_sweep", "delta_phi": phase}
        run.folder.journal.append(replace(block := run.add(), setting=setting))
        run.leave_out(block, "")
    scan = RunMonitor(run.folder).snapshot().scan
    assert (scan.title, scan.x_label, scan.y_label) == ("phase sweep", "Δφ (π)", "g²")
    crossed = scan.curves["different detectors"]
    assert crossed.x == (0.0, 0.5)
    found = evaluate(block.counts).g2
    events = sum(found[p].coincidences for p in ("r1p2", "r2p1"))
    assert crossed.y[0] == events / sum(found[p].accidentals for p in ("r1p2", "r2p1"))


def test_filters_moved_together_are_drawn_step_by_step_and_each_time_anew(run):
    def moved(volts):
        setting = {
            "procedure": "filters",
            "filter": "1a 2a",
            "voltage_1a": volts,
            "voltage_2a": 1.0,
        }
        run.folder.journal.append(replace(block := run.add(), setting=setting))
        run.leave_out(block, "")

    for volts in (5.0, 5.1, 5.2):
        moved(volts)
    assert RunMonitor(run.folder).snapshot().scan.curves["pump 1"].x == (1.0, 2.0, 3.0)
    run.add()  # of the witness
    moved(5.3)
    scan = RunMonitor(run.folder).snapshot().scan
    assert (scan.title, scan.x_label) == ("filters 1a 2a", "step")
    assert scan.curves["pump 1"].x == (1.0,)


def test_runs_are_compared_by_what_they_set(make_run):
    runs = [make_run(), make_run(kind="autopilot")]
    manifest = runs[1].folder.manifest()
    runs[1].folder.write_manifest(replace(manifest, experiment={}))
    for number, run in enumerate(runs):
        run.add()
        log = EventLog(Watcher(), run.folder.path)
        for name, new in (("voa_a_transmission", 0.5 + number), ("lock_gain", 2.0)):
            log._log("setting", instrument="", parameter=name, old=None, new=new)
    found = compare_runs([run.folder for run in runs])
    assert found.settings == {"voa_a_transmission": (0.5, 1.5)}
    assert found.facts["procedure"] == ("witness", "autopilot")
    assert found.facts["trials"] == (f"{runs[0].recorded[1].trials.number:,}",) * 2


def with_steps(run, *begun, ended=None, after=()):
    """Write when the steps of a run began, s after 1e9; its manifest says when it ended.

    What a procedure does `after` its steps is told as steps of another one.
    """
    names = ["witness"] * len(begun) + ["splitting"] * len(after)
    run.folder.path.joinpath(EVENTS).write_text(
        "".join(
            framed({
                "kind": "progress", "time": instant(1e9 + seconds),
                "path": [{"procedure": name, "number": n, "of": 3, "what": f"step {n}"}],
            })
            for name, n, seconds in zip(names, (1, 2, 3, 1, 2, 3), (*begun, *after), strict=False)
        ),
        encoding="utf-8",
    )  # fmt: skip
    if ended is not None:
        manifest = replace(run.folder.manifest(), status="done", ended=instant(1e9 + ended))
        run.folder.write_manifest(manifest)


def instant(seconds):
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def test_time_left_is_that_of_all_steps_by_earlier_runs_of_the_same(make_run):
    for times, ended in (((0, 10, 40), 140), ((0, 14, 54), 174)):  # 10, 30, 100 s; 14, 40, 120 s
        with_steps(make_run(), *times, ended=ended, after=(ended - 20,))
    with_steps(make_run(goal={"trials": 5}), 0, 1000, 2000, ended=3000)  # of another goal
    running = make_run()
    with_steps(running, 0, 12)
    left = RunMonitor(running.folder).snapshot(now=1e9 + 12 + 5).time_left
    assert left.seconds == pytest.approx(35 - 5 + 110)
    sigma = (1.5 * (5**2 + 10**2) * 2) ** 0.5  # variances of two runs: 50 and 200, times 1 + 1/2
    assert (left.low, left.high) == pytest.approx((left.seconds - sigma, left.seconds + sigma))


def test_time_left_of_steps_is_not_known_without_an_earlier_run(make_run):
    running = make_run()
    with_steps(running, 0, 12)
    assert RunMonitor(running.folder).snapshot(now=1e9 + 20).time_left is None


def test_time_left_of_the_last_step_is_by_the_pace_of_its_blocks(make_run):
    with_steps(make_run(), 0, 10, 40, ended=140)
    running = make_run()
    with_steps(running, 0, 1, 2)
    for _ in range(3):
        running.add()
    found = RunMonitor(running.folder).snapshot(now=1e9 + 300)
    assert found.time_left.seconds == pytest.approx(700)  # 420 of 600 million trials, 60 in 100 s


def test_a_scan_goes_on_after_the_filters_were_tuned_in_it():
    def block(number, procedure, **setting):
        found = object.__new__(Block)
        found.__dict__.update(number=number, setting={"procedure": procedure, **setting})
        return found

    order = ["phase_sweep", "filters", "filters", "phase_sweep", "filters", "phase_sweep"]
    blocks = [block(n, name, delta_phi=0.1 * n) for n, name in enumerate(order, 1)]
    book, seen = ScanBook(), []
    for n in range(1, 7):
        for _ in range(2):  # a block comes, then its verdict
            book.follow(blocks[:n], n)
        seen.append([one.number for one in book._blocks])
    assert seen == [[1], [2], [2, 3], [1, 4], [5], [1, 4, 6]]
    blocks += [block(7, "witness"), block(8, "phase_sweep")]
    book.follow(blocks, 7)
    assert [one.number for one in book._blocks] == [8]


def test_calibrations_have_no_verdict_on_the_page(run):
    from labkit.dashboard.page import Page

    run.add(procedure="null_test", temperature=0.07)
    found = RunMonitor(run.folder).snapshot()
    assert "Verdict and its conditions" not in Page().tables(found)
    run.add()
    assert "Verdict and its conditions" in Page().tables(RunMonitor(run.folder).snapshot())


def test_many_blocks_are_set_aside_from_the_collector_for_a_live_page_only(run, monkeypatch):
    run.add()
    monkeypatch.setattr("labkit.run.journal.VERY_MANY", 0)
    gc.unfreeze()  # what a command's end in this process has frozen
    try:
        RunMonitor(run.folder).poll()
        assert gc.get_freeze_count() == 0
        RunMonitor(run.folder, ThreadPoolExecutor(1)).poll()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
    assert gc.isenabled()
