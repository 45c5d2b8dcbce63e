"""However a run ends, the lab is safe, and the run folder says how it ended."""

import errno
import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from labkit.cli import run as labkit
from labkit.experiment import read_experiment, run_experiment
from labkit.run import RunFolder, check_run, list_runs
from labkit.sequence import TimingError
from labkit.station.ending import Terminated, undisturbed

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]


def test_success_leaves_the_lab_safe(short_run):
    found = short_run(blocks=1)
    found.check()
    assert found.unsafe_ports() == {}
    manifest = found.folder.manifest()
    assert manifest.snapshot_after["laser_pump.emission"] is True
    assert "afg.ch1.output" not in manifest.drift, "the working point is no drift"


SCRIPT = """
import os, signal, sys
import labkit.procedures.session as session
from labkit.cli import main
from labkit.station import opening

signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal: a job may ignore it
taken = session.take_block
def take_and_stop(folder, gates, number, record, *more):
    def recording(*given):
        os.kill(os.getpid(), signal.{name})
        return record(*given)
    return taken(folder, gates, number, recording if number == 2 else record, *more)
session.take_block = take_and_stop

finish = opening.shout
def shout(report):
    print("SAFE" if report.all_safe else report, flush=True)
    finish(report)
opening.shout = shout
main()
"""


@pytest.mark.parametrize(
    ("name", "code", "status"),
    [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "interrupted")],
)
def test_signal_ends_a_run_in_order(tmp_path, witness_file, name, code, status):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(name=name), "run", witness_file(), "--out", tmp_path],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "SAFE" in done.stdout
    assert "go on with:" in done.stderr
    (folder,) = list_runs(tmp_path)
    assert folder.manifest().status == status
    assert check_run(folder).differences == {}
    assert not (folder.path / "watchdog.txt").exists()


def test_stop_within_a_block_keeps_what_was_measured(short_run, monkeypatch):
    from labkit.station.lab import Lab

    monkeypatch.setattr("labkit.station.lab.POLL", 1e-3)
    recorded = Lab.record

    def record(self, path, trials, period, progress):
        def stop(seconds):
            if seconds > 0:
                raise KeyboardInterrupt

        return recorded(self, path, trials, period, stop if "000002" in path.name else progress)

    monkeypatch.setattr(Lab, "record", record)
    found = short_run(block=10_000_000)
    found.check()
    assert found.unsafe_ports() == {}
    last = found.folder.journal.read()[-1]
    assert (last.good, last.reason) == (True, "stopped by the user")
    assert 0 < last.counts.trials.number < 10_000_000


@pytest.mark.parametrize("signal_", [KeyboardInterrupt(), Terminated("SIGTERM")])
def test_stop_before_the_first_tag_of_a_block_is_a_stop_and_no_failure(
    short_run, monkeypatch, signal_
):
    def record(*_, **__):
        raise signal_

    monkeypatch.setattr("labkit.station.lab.Lab.record", record)
    found = short_run(blocks=1)
    assert found.error is signal_
    assert found.folder.manifest().status == "interrupted"
    assert found.folder.journal.read() == []
    assert found.unsafe_ports() == {}


def test_stop_that_somebody_swallows_stops_all_the_same(short_run, monkeypatch):
    """As code of a library does that takes any exception, or a callback that cannot pass it on."""
    from labkit.station.lab import Lab

    recorded = Lab.record

    def record(*given):
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return recorded(*given)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(Lab, "record", record)
    found = short_run(blocks=3)
    signal.signal(signal.SIGINT, before)
    assert isinstance(found.error, KeyboardInterrupt)
    assert len(found.folder.journal.read()) <= 1
    assert found.unsafe_ports() == {}


def test_failing_arming_step_leaves_the_lab_safe(short_run, monkeypatch):
    from instruments.keysight_81180a.driver import Keysight81180A

    def fail(*_):
        message = "the memory is full"
        raise RuntimeError(message)

    monkeypatch.setattr(Keysight81180A, "load_sequence", fail)
    found = short_run()
    found.check()
    assert found.unsafe_ports() == {}
    assert found.folder.manifest().reason == "RuntimeError: the memory is full"


def test_impatient_user_does_not_interrupt_what_makes_the_lab_safe(capsys):
    with undisturbed():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)  # to this thread: it is handled at once
    assert capsys.readouterr().err.count("the lab is being made safe") == 2


def test_terminated_is_no_exception_that_code_swallows():
    assert not issubclass(Terminated, Exception)


class FullDisk:
    """Lets so many bytes of tags through, then there is no room."""

    def __init__(self, monkeypatch, room, number):
        from analysis.tagfile.ptu_writer import PtuWriter

        write = PtuWriter.write

        def writing(writer, records):
            if writer.path.name == "block_000002.ptu" and writer.n_records + len(records) > room:
                raise OSError(number, os.strerror(number), str(writer.path))
            write(writer, records)

        monkeypatch.setattr(PtuWriter, "write", writing)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_disk_that_refuses_ends_the_run_with_one_clear_error(short_run, monkeypatch, number):
    FullDisk(monkeypatch, 100, number)
    found = short_run()
    found.check()
    assert found.unsafe_ports() == {}
    assert os.strerror(number) in str(found.error)
    assert [block.good for block in found.folder.journal.read()] == [True]


def test_manifest_that_cannot_be_written_does_not_hide_the_error(short_run, monkeypatch):
    FullDisk(monkeypatch, 0, errno.ENOSPC)
    write = RunFolder.write_manifest

    def writing(folder, manifest):
        if manifest.status != "running":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(folder, manifest)

    monkeypatch.setattr(RunFolder, "write_manifest", writing)
    found = short_run()
    assert "the recording must run to its end" in str(found.error)
    assert any("No space left" in note for note in found.error.__notes__)
    assert found.unsafe_ports() == {}


def test_results_that_cannot_be_saved_fail_the_run_and_keep_its_blocks(short_run, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("labkit.experiment.save_results", fail)
    found = short_run(blocks=1)
    found.check()
    assert "No space left" in found.folder.manifest().reason


def test_journal_is_checked_against_the_tags(short_run, capsys):
    folder = short_run(blocks=2).folder
    assert labkit(["runs", "check", str(folder.path)]) == 0
    assert "2 blocks, 2,000,000 trials: journal and tag files agree" in capsys.readouterr().out
    folder.segment_path(4).write_bytes(folder.segment_path(1).read_bytes())
    folder.segment_path(2).write_bytes(folder.segment_path(1).read_bytes())
    folder.segment_path(1).unlink()
    assert labkit(["runs", "check", str(folder.path), "--json"]) == 1
    found = check_run(folder).differences
    assert "cannot be counted" in found["tags/block_000001.ptu"]
    assert "differ from the journal" in found["tags/block_000002.ptu"]
    assert found["tags/block_000004.ptu"] == "is in no line of the journal"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edge": 3e-9}, "edge must be at least the AOM rise time"),
        ({"start": 49.9e-6}, "within the period"),
    ],
)
def test_timing_is_refused_before_any_instrument_is_touched(
    tmp_path, quick_station, worlds, change, message
):
    plan = read_experiment("lock")
    broken = replace(plan, sequence=plan.sequence.with_pulse("lock", **change))
    with pytest.raises(TimingError, match=message):
        run_experiment(broken, quick_station, tmp_path)
    assert worlds == []
    assert list_runs(tmp_path) == []


def test_missing_role_is_named_before_any_instrument_is_touched(tmp_path, station, worlds):
    lacking = station(("    reflection_meter: reflection_meter\n", ""))
    with pytest.raises(ValueError, match="no instrument plays reflection_meter; name them there"):
        run_experiment(read_experiment("identify"), lacking, tmp_path)
    assert worlds == []
