"""Run folders: durable blocks, resumption after a kill at any moment, older formats."""

import json
import multiprocessing
import os
import random
import re
import signal
import sqlite3
import time
from dataclasses import replace

import pytest

from analysis.evaluation import evaluate
from analysis.tagfile import PtuFile
from labkit.cli import run as labkit
from labkit.run import (
    Block,
    BlockOutcome,
    Goal,
    JournalError,
    create_run,
    list_runs,
    open_run,
    recover_run,
    take_block,
    total_counts,
)
from labkit.run import folder as folder_module
from labkit.run.manifest import drift_between, ended, read_manifest
from labkit.run.results import estimates_of, registered
from labkit.sequence.pulses import riedinger2018_sequence
from simulation.recordings.ptu import simulate_ptu
from simulation.theory.dlcz import riedinger2018

TRIALS = 20_000


@pytest.fixture
def gates():
    from simulation.recordings.pulses import pulsed_timing

    return pulsed_timing().gates


@pytest.fixture
def run(tmp_path, gates):
    sequence = riedinger2018_sequence()
    return create_run(tmp_path, "witness", sequence.to_dict(), "station text", gates=gates)


def recorder(number):
    def record(path, writer):
        simulate_ptu(path, riedinger2018(), TRIALS, seed=number, overwrite=True)
        path.with_suffix(".gates.yaml").unlink()
        return BlockOutcome(monitors={"rate": 5.0})

    return record


def take(run, gates, number, **options):
    return take_block(run, gates, number, recorder(number), **options)


def test_finished_blocks_are_read_back_and_add_up(run, gates):
    for number in (1, 2, 3):
        take(run, gates, number, setting={"delta_phi": 0.1 * number})
    blocks = run.journal.read()
    assert [block.setting["delta_phi"] for block in blocks] == pytest.approx([0.1, 0.2, 0.3])
    assert total_counts(blocks).trials.number == 3 * TRIALS
    assert total_counts(blocks, {"delta_phi": 0.2}).trials.number == TRIALS
    assert all(block.good for block in blocks)


def test_bad_blocks_stay_in_the_journal_but_not_in_the_result(run, gates):
    take(run, gates, 1)

    def unlocked(path, writer):
        recorder(2)(path, writer)
        return BlockOutcome(problems=("lock lost",))

    take_block(run, gates, 2, unlocked)
    blocks = run.journal.read()
    assert total_counts(blocks).trials.number == TRIALS
    assert blocks[1].reason == "lock lost"


@pytest.mark.parametrize("cut", [1, 30, 200, 500])
def test_torn_last_lines_are_cut_and_their_block_verified_again(run, gates, cut):
    take(run, gates, 1)
    take(run, gates, 2, setting={"delta_phi": 0.5})
    before = run.journal.read()
    run.journal.path.write_bytes(run.journal.path.read_bytes()[:-cut])
    recovery = recover_run(run)
    assert recovery.cut_bytes > 0
    assert recovery.recovered + recovery.judged == ("tags/block_000002.ptu",)
    after = run.journal.read()
    assert after[1].setting == {"delta_phi": 0.5}
    assert [block.good for block in after] == [True, True]
    assert [block.counts for block in after] == [block.counts for block in before]


def test_damage_in_the_middle_of_a_journal_is_told_not_skipped(run, gates):
    take(run, gates, 1)
    take(run, gates, 2)
    content = run.journal.path.read_bytes()
    run.journal.path.write_bytes(content[:50] + b"?" + content[51:])
    with pytest.raises(JournalError, match=r"line 1 .* checksum"):
        run.journal.read()


def test_incomplete_segment_is_set_aside_not_counted_and_not_deleted(run, gates):
    take(run, gates, 1)

    def crash(path, writer):
        recorder(2)(path, writer)
        content = bytearray(path.read_bytes())
        at = content.index(b"TTResult_StopReason") + 40
        content[at : at + 8] = (255,) * 8  # as a writer leaves it while recording
        path.write_bytes(content)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        take_block(run, gates, 2, crash)
    recovery = recover_run(run)
    assert recovery.set_aside == ("tags/block_000002.ptu",)
    assert len(recovery.blocks) == 1
    assert (run.path / "tags" / "incomplete" / "block_000002.ptu").stat().st_size > 2000
    assert take(run, gates, 2).number == 2


def _work(path, gates, upto, begun=None):
    run = open_run(path)
    done = len(recover_run(run).blocks)
    if begun is not None:
        begun.set()
    for number in range(done + 1, upto + 1):
        take(run, gates, number)


def test_after_a_kill_at_any_of_50_random_moments_no_trial_is_lost_or_counted_twice(run, gates):
    """kill -9 at random times (seed 1) in a block or two; an undisturbed process ends the run."""
    fork = multiprocessing.get_context("fork")
    longest = 2 * take(run, gates, 1).duration
    moments = random.Random(1)
    killed = 0
    for _ in range(50):
        begun = fork.Event()
        worker = fork.Process(target=_work, args=(run.path, gates, 10_000, begun))
        worker.start()
        assert begun.wait(20)
        time.sleep(moments.uniform(0.0, longest))
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        killed += 1
        finished = [block for block in run.journal.read() if block.good]
        assert all(block.counts.trials.number == TRIALS for block in finished)
    last = len(recover_run(run).blocks) + 3
    _work(run.path, gates, last)
    blocks = run.journal.read()
    assert killed == 50
    assert len(blocks) == last > 3
    assert [block.trials for block in blocks] == [TRIALS] * last
    unknown = [block.reason for block in blocks if not block.good]
    assert all("died before the tagger was asked for its flags" in reason for reason in unknown)
    assert total_counts(blocks).trials.number == (last - len(unknown)) * TRIALS
    segments = {block.segment for block in blocks}
    assert segments == {f"tags/{p.name}" for p in (run.path / "tags").glob("*.ptu")}
    again = simulate_ptu(run.path / "again.ptu", riedinger2018(), TRIALS, seed=1)
    assert blocks[0].counts.quality.records == again.records


def test_full_disk_stops_before_the_block_and_says_what_is_safe(run, gates, monkeypatch):
    take(run, gates, 1)
    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr(folder_module.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OSError, match="must have 200 MB free, but has 1 MB; all finished blocks"):
        take(run, gates, 2)
    assert len(run.journal.read()) == 1


def test_clock_jump_is_noted_in_the_journal(run, gates, monkeypatch):
    from labkit.run import blocks as blocks_module

    times = iter([1000.0, 4600.0])
    monkeypatch.setattr(blocks_module, "time", lambda: next(times))
    jump = re.search(r"clock jumped by \+([\d.]+) s", take(run, gates, 1).reason)
    assert float(jump[1]) == pytest.approx(3600, abs=60)  # less what the block itself took


def test_manifest_says_how_the_run_ended(run):
    run.write_manifest(ended(run.manifest(), "failed", "laser gone"))
    manifest = open_run(run.path).manifest()
    assert (manifest.status, manifest.reason) == ("failed", "laser gone")
    assert manifest.versions["labkit"]
    assert list_runs(run.path.parent)[0].path == run.path


def test_older_manifest_is_migrated_and_newer_one_refused(run):
    plain = json.loads(run.manifest_path.read_text())
    for name in ("format_version", "drift", "sha256"):
        del plain[name]
    run.manifest_path.write_text(json.dumps(plain))
    assert read_manifest(run.manifest_path).format_version == 4
    run.manifest_path.write_text(json.dumps(plain | {"format_version": 99}))
    with pytest.raises(ValueError, match="use a newer labkit"):
        read_manifest(run.manifest_path)


def test_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must be the manifest of a run"):
        open_run(tmp_path)


def test_drift_report_names_what_changed():
    assert drift_between({"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}) == {
        "b": [2, 3],
        "c": [None, 4],
    }


def test_goal_is_reached_by_trials_time_or_confidence():
    assert "20,000 trials" in Goal(trials=20_000).reached(20_000, 0.0)
    assert Goal(trials=20_001).reached(20_000, 0.0) is None
    assert "60 s" in Goal(seconds=60.0).reached(0, 60.0)
    assert "reached 99 %" in Goal(confidence=0.99).reached(1, 0.0, 0.991)
    assert Goal(confidence=0.99).reached(1, 0.0, 0.989) is None
    with pytest.raises(ValueError, match="must set `trials`"):
        Goal()


def test_only_a_goal_of_trials_alone_fixes_them_in_advance():
    assert Goal(trials=1e9).fixed
    assert not Goal(trials=1e9, seconds=3600.0).fixed
    assert not Goal(trials=1e9, confidence=0.99).fixed
    assert not Goal(confidence=0.99).fixed


def test_run_is_a_qcodes_dataset_too(run, gates):
    from qcodes.dataset import load_by_id

    from labkit.run.dataset import register_dataset

    for number in (1, 2, 3):
        take(run, gates, number)
    found = load_by_id(register_dataset(run, run.journal.read()))
    data = found.get_parameter_data("trials")["trials"]
    assert data["block"].tolist() == [1, 2, 3]
    assert data["trials"].tolist() == [TRIALS, 2 * TRIALS, 3 * TRIALS]
    clicks = found.get_parameter_data("read_2")["read_2"]["read_2"]
    assert clicks.tolist() == [b.counts.single("read", 2) for b in run.journal.read()]
    assert found.get_parameter_data("g2_r1p2")["g2_r1p2"]["g2_r1p2"].shape == (3,)
    assert found.get_parameter_data("g2_defined")["g2_defined"]["g2_defined"].tolist() == [0, 0, 0]
    assert found.metadata["run_folder"] == str(run.path.resolve())
    found.conn.close()


def test_registering_a_run_leaves_no_database_open(run, gates, monkeypatch):
    from labkit.run.dataset import register_dataset

    opened = []
    connect = sqlite3.connect

    def noting(*arguments, **options):
        opened.append(connect(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", noting)
    take(run, gates, 1)
    register_dataset(run, run.journal.read())
    assert opened
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")


def test_resumption_sets_aside_a_complete_segment_without_records(run, gates):
    take(run, gates, 1)

    def dies_after_an_empty_recording(path, writer):
        recorder(2)(path, writer)
        path.write_bytes(path.read_bytes()[: -4 * PtuFile(path).n_records])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take_block(run, gates, 2, dies_after_an_empty_recording)
    recovery = recover_run(run)
    assert recovery.set_aside == ("tags/block_000002.ptu",)
    assert len(recovery.blocks) == 1


def test_a_run_that_cannot_be_read_does_not_hide_the_others(run, capsys):
    """As one of a newer labkit, or with a damaged manifest."""
    newer = run.path.parent / "newer"
    newer.mkdir()
    (newer / "manifest.json").write_text('{"format_version": 99}', encoding="utf-8")
    assert labkit(["runs", "list", "--out", str(run.path.parent), "--json"]) == 0
    printed = capsys.readouterr()
    rows = {row["run"]: row["status"] for row in json.loads(printed.out)["runs"]}
    assert rows == {run.path.name: "died", "newer": "unreadable"}
    assert "use a newer labkit" in printed.err


def test_run_that_ends_early_is_a_qcodes_dataset_too(run, gates):
    from qcodes.dataset import load_by_id

    def stopped():
        with registered(run):
            take(run, gates, 1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    found = load_by_id(1)
    assert found.get_parameter_data("good")["good"]["good"].tolist() == [1.0]
    found.conn.close()


def test_a_phase_sweep_replots_from_its_dataset_and_holds_the_station(tmp_path, recorded):
    from qcodes.dataset import load_by_id

    from labkit.run.dataset import register_dataset

    tags, counts = recorded
    run = create_run(tmp_path, "phase_sweep", {}, "the station file", gates=counts.gates)
    for number, phase in enumerate((0.0, 1.5, 3.0), 1):
        segment = run.segment_path(number)
        segment.hardlink_to(tags)
        block = Block(
            number=number, segment=run.relative(segment), counts=counts, good=number != 2,
            setting={"procedure": "phase_sweep", "delta_phi": phase},
        )  # fmt: skip
        run.journal.append(block)
        run.journal.judge(number, good=number != 2)
    snapshot = {"voa_a.transmission": 0.5}
    run.write_manifest(replace(run.manifest(), snapshot_after=snapshot))
    found = load_by_id(register_dataset(run, run.journal.read()))
    curve = found.get_parameter_data("phase_sweep_g2_crossed")["phase_sweep_g2_crossed"]
    g2 = evaluate(counts).g2
    pairs = [g2["r1p2"], g2["r2p1"]]
    expected = sum(p.coincidences for p in pairs) / sum(p.accidentals for p in pairs)
    assert curve["delta_phi"].tolist() == [0.0, 3.0]  # the second is left out
    assert curve["phase_sweep_g2_crossed"] == pytest.approx([expected] * 2)
    assert (
        found.get_parameter_data("procedure")["procedure"]["procedure"].tolist()
        == ["phase_sweep"] * 3
    )
    station = found.snapshot["station"]["instruments"]["voa_a"]["parameters"]
    assert station["transmission"]["value"] == 0.5
    assert found.snapshot["text"] == "the station file"
    found.conn.close()


def test_results_hold_g2_and_witness_with_intervals_and_units(recorded):
    found = evaluate(recorded[1])
    data = estimates_of(found, {"procedure": "witness"}).to_xarray()
    assert float(data["g2"].sel(cross_pair="r1p2")) == found.g2["r1p2"].value
    assert float(data["R_m_high"].sel(herald="sym")) == found.witness.sym.high
    assert {data[name].attrs["units"] for name in data} == {"1"}
    assert "R_m" not in estimates_of(found, {"procedure": "phase_sweep"}).variables
