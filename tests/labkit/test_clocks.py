"""Clocks that are set back, or changed for summer: no order, length or age depends on it."""

import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from instruments import BlueforsLogs
from labkit.experiment import WATCHDOG_LOG
from labkit.monitoring import RunMonitor
from labkit.monitoring.outcome import outcome_of
from labkit.monitoring.status import SILENCE
from labkit.run import BlockOutcome, check_run, create_run, recover_run, take_block
from labkit.run.durations import past_runs
from labkit.run.events import EventLog, read_events
from labkit.run.manifest import ended
from labkit.run.progress import Watcher
from labkit.run.replay import replay_run
from labkit.run.sealing import seal_run, verify_run
from labkit.sequence.pulses import riedinger2018_sequence
from simulation.recordings.ptu import simulate_ptu
from simulation.recordings.pulses import pulsed_timing
from simulation.theory.dlcz import riedinger2018

GATES = pulsed_timing().gates


class WallClock:
    """The computer's clock, which somebody can set; nothing else knows of it."""

    def __init__(self, monkeypatch):
        self.ahead = 0.0
        clock = self

        class Datetime(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.now(tz) + timedelta(seconds=clock.ahead)

        monkeypatch.setattr("labkit.run.manifest.datetime", Datetime)
        monkeypatch.setattr("labkit.run.blocks.time", lambda: time.time() + self.ahead)


@pytest.fixture
def clock(monkeypatch):
    return WallClock(monkeypatch)


@pytest.fixture
def set_back(tmp_path, clock):
    """A finished run; the clock is set back by an hour between blocks 1 and 2, and within 3."""
    sequence = riedinger2018_sequence()
    folder = create_run(tmp_path / "runs", "witness", sequence.to_dict(), "station", gates=GATES)
    log = EventLog(Watcher(), folder.path)

    def record(path, writer):
        simulate_ptu(path, riedinger2018(), 20_000, seed=int(path.stem[-6:]), overwrite=True)
        path.with_suffix(".gates.yaml").unlink()
        writer.sample(0.5, {"locked": 1.0, "temperature": 0.05})
        if path.stem.endswith("3"):
            clock.ahead -= 3600.0
        return BlockOutcome(monitors={"locked": 1.0})

    for number in (1, 2, 3, 4):
        log.say(f"block {number}")
        take_block(folder, GATES, number, record, {"procedure": "witness", "delta_phi": 0.3})
        if number == 1:
            clock.ahead -= 3600.0
    folder.write_manifest(ended(folder.manifest(), "done"))
    seal_run(folder)
    return folder


def test_blocks_keep_their_order_and_count_when_the_clock_is_set_back(set_back):
    blocks = set_back.journal.read()
    assert [b.number for b in blocks if b.good] == [1, 2, 3, 4]
    assert ["clock jumped by -3600.0 s" in b.reason for b in blocks] == [False, False, True, False]
    assert blocks[1].started < blocks[0].started
    assert check_run(set_back).differences == {}
    assert verify_run(set_back.path) == []
    assert [b.number for b in recover_run(set_back).blocks] == [1, 2, 3, 4]
    assert [e["text"] for e in read_events(set_back.path)] == [f"block {n}" for n in (1, 2, 3, 4)]


def test_what_looks_at_such_a_run_takes_no_length_from_the_clock(set_back):
    assert outcome_of(set_back).duration == ""
    assert past_runs([set_back]) == []
    assert RunMonitor(set_back).snapshot().status.state == "done"


def test_such_a_run_is_replayed_in_the_order_in_which_it_was_taken(set_back, tmp_path):
    played = replay_run(set_back, tmp_path / "shown", pause=lambda _: None)
    assert [b.number for b in played.journal.read()] == [1, 2, 3, 4]
    texts = [e["text"] for e in read_events(played.path)]
    assert texts == [f"block {n}" for n in (1, 2, 3, 4)]


def test_time_left_is_told_by_the_steady_clock_where_the_other_was_set_back(run, monkeypatch):
    blocks = [run.add() for _ in range(5)]  # of 600 million trials 300, in 100 s each
    honest = RunMonitor(run.folder).snapshot(now=1e9 + 500.0).time_left
    assert honest.seconds == pytest.approx(500.0)
    for block in blocks[3:]:
        began, over = (datetime.fromisoformat(t).timestamp() - 3600 for t in
                       (block.started, block.ended))  # fmt: skip
        moved = {"started": datetime.fromtimestamp(began, UTC).isoformat(),
                 "ended": datetime.fromtimestamp(over, UTC).isoformat()}  # fmt: skip
        run.folder.journal.append(replace(block, **moved))
        run.folder.journal.judge(block.number, good=True)
    found = RunMonitor(run.folder).snapshot(now=1e9 - 3100.0).time_left
    assert found.seconds == pytest.approx(500.0)


def test_run_that_has_died_is_told_although_its_files_lie_ahead_of_the_clock(run):
    run.add()
    ahead = time.time() + 3600
    for path in (run.folder.manifest_path, run.folder.path / "gates.yaml"):
        os.utime(path, (ahead, ahead))  # written before the clock was set back
    later = time.time() + SILENCE + 1
    assert RunMonitor(run.folder).snapshot(now=later).status.state == "silent"
    (run.folder.path / WATCHDOG_LOG).write_text("the run's process died\n")
    assert RunMonitor(run.folder).snapshot(now=later).status.state == "died"


@pytest.fixture
def autumn_and_spring(monkeypatch):
    """Central Europe: clocks go from 2:00 to 3:00 on 29 March and back on 25 October 2026."""
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the time zone cannot be changed here")
@pytest.mark.usefixtures("autumn_and_spring")
@pytest.mark.parametrize(
    ("utc", "line", "refused"),
    [
        ("2026-03-29T01:00:10", "29-03-26,01:59:50", ""),  # 20 s, not an hour and 20 s
        ("2026-10-25T01:00:10", "25-10-26,02:59:50", ""),  # 20 s: the hour begins again
        ("2026-10-25T01:10:00", "25-10-26,02:50:00", "but is 1200 s old"),
        ("2026-10-25T00:10:00", "25-10-26,02:09:50", ""),
        ("2026-10-25T01:10:00", "25-10-26,02:09:50", ""),  # of the hour's second time
        ("2026-07-01T10:00:00", "01-07-26,13:00:00", "must not lie ahead of this computer's clock"),
    ],
)
def test_age_of_a_log_in_local_time_is_right_in_nights_of_changed_clocks(
    tmp_path, monkeypatch, utc, line, refused
):
    now = datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp()
    there = datetime.fromtimestamp(now)

    class Datetime(datetime):
        @classmethod
        def now(cls, tz=None):
            return there

    monkeypatch.setattr("instruments.bluefors.datetime", Datetime)
    day = f"{there:%y-%m-%d}"
    (tmp_path / day).mkdir()
    (tmp_path / day / f"CH6 T {day}.log").write_text(f"{line},0.02\n")
    fridge = BlueforsLogs("fridge", str(tmp_path), [6], max_age=60.0)
    try:
        if refused:
            with pytest.raises(RuntimeError, match=refused):
                fridge.temperature_of(6)
        else:
            assert fridge.temperature_of(6) == 0.02
    finally:
        fridge.close()


def test_every_stamp_of_a_record_tells_its_offset(set_back):
    manifest = set_back.manifest()
    stamps = [manifest.started, manifest.ended, *(e["time"] for e in read_events(set_back.path))]
    stamps += [t for b in set_back.journal.read() for t in (b.started, b.ended)]
    assert all(datetime.fromisoformat(stamp).utcoffset() == timedelta(0) for stamp in stamps)
