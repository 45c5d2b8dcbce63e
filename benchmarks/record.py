"""The record of a run: flipped bits, kills, and a run of three weeks; counts, not only times."""

import multiprocessing
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from errno import ENOSPC
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter, sleep, time
from unittest.mock import patch

from benchmarks.timing import Row, labkit, measured
from labkit.run import (
    Block,
    BlockOutcome,
    RecordWriter,
    RunFolder,
    check_run,
    create_run,
    list_runs,
    open_run,
    recover_run,
    take_block,
)
from labkit.run.journal import UNVERIFIED
from labkit.run.manifest import ended
from labkit.run.sealing import seal_run, verify_run
from labkit.sequence.pulses import riedinger2018_sequence
from simulation.recordings.ptu import simulate_ptu
from simulation.recordings.pulses import pulsed_timing
from simulation.theory.dlcz import riedinger2018

FLIPS, KILLS, BLOCKS, RUNS = 1000, 200, 30_000, 500
TRIALS = 20_000
GATES = pulsed_timing().gates
SETTING: dict[str, float | str] = {"procedure": "witness", "delta_phi": 0.3, "delay": 1.23e-7}


def run(scale: float) -> Iterator[Row]:
    """Give a row per claim; a ratio of 1 is a claim that holds (goal over found for times)."""
    with TemporaryDirectory() as name:
        out = Path(name)
        yield _flips(out, round(FLIPS * scale))
        yield _kills(out, round(KILLS * scale))
        yield _long_run(out, round(BLOCKS * scale))
        yield from _many_runs(out / "many", round(RUNS * scale))


def _recorder(path: Path, writer: RecordWriter) -> BlockOutcome:
    seed = int(path.stem.removeprefix("block_"))
    simulate_ptu(path, riedinger2018(), TRIALS, seed=seed, overwrite=True)
    path.with_suffix(".gates.yaml").unlink()
    writer.sample(0.5, {"locked": 1.0, "temperature": 0.05})
    return BlockOutcome(monitors={"locked": 1.0})


def _made(out: Path) -> RunFolder:
    return create_run(out, "witness", riedinger2018_sequence().to_dict(), "station", gates=GATES)


def _flips(out: Path, number: int) -> Row:
    """Flip one bit at a time, seed 7, over every file of a sealed run."""
    folder = _made(out)
    for block in range(1, 6):
        take_block(folder, GATES, block, _recorder, SETTING)
    folder.write_manifest(ended(folder.manifest(), "done"))
    seal_run(folder)
    rng, unnoticed = random.Random(7), 0
    files = [path for path in folder.path.rglob("*") if path.is_file() and path.stat().st_size]
    for _ in range(number):
        path = rng.choice(files)
        content = path.read_bytes()
        at = rng.randrange(len(content))
        path.write_bytes(
            content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]
        )
        unnoticed += not verify_run(folder.path)
        path.write_bytes(content)
    detail = f"{unnoticed} of {number} unnoticed"
    return Row(name="bits flipped in a run folder", ratio=float(not unnoticed), target=1.0,
               detail=detail)  # fmt: skip


def _kills(out: Path, number: int) -> Row:
    """Kill a process that takes blocks at random moments of them, seed 3, and resume."""
    folder, rng = _made(out / "killed"), random.Random(3)
    take_block(folder, GATES, 1, _recorder, SETTING)
    began = perf_counter()
    take_block(folder, GATES, 2, _recorder, SETTING)
    took = perf_counter() - began
    context = multiprocessing.get_context("fork")
    for _ in range(number):
        begun, tell = context.Pipe(duplex=False)
        worker = context.Process(target=take_blocks, args=(folder.path, tell))
        worker.start()
        begun.recv()
        sleep(rng.uniform(0.0, 4 * took))
        worker.kill()
        worker.join()
    blocks = recover_run(folder).blocks
    wrong = check_run(folder).differences
    lost = sum(block.trials != TRIALS for block in blocks)
    unverified = sum(block.reason == UNVERIFIED for block in blocks)
    left_out = sum(not block.good for block in blocks)
    bad = len(wrong) + lost + unverified
    detail = (
        f"{number} kills, {len(blocks)} blocks: {bad} lost, doubled, differing or unverified; "
        f"{left_out} left out because the kill came before the tagger's flags were known"
    )
    return Row(name="kills inside blocks and verification", ratio=float(not bad), target=1.0,
               detail=detail)  # fmt: skip


def _long_run(out: Path, number: int) -> Row:
    """Live through three weeks of so many blocks; what looking at them costs: `long_run`."""
    folder = _made(out / "long")
    first = take_block(folder, GATES, 1, _bright, SETTING)
    began = perf_counter()
    wrong = _three_weeks(folder, first, number)
    wrote = perf_counter() - began
    detail = f"{number:,} blocks, {DAYS} restarts, {wrote:.0f} s: " + (
        "; ".join(wrong) or "none lost or doubled"
    )
    return Row(name="three weeks of troubles", ratio=float(not wrong), target=1.0, detail=detail)


def _three_weeks(folder: RunFolder, first: Block, number: int) -> list[str]:
    """Restart every day, live through its trouble, go on; return what is not as it must be."""
    wrong, taken, noted = [], 1, 0
    for day in range(DAYS):
        trouble, there = TROUBLES[day % len(TROUBLES)], recover_run(open_run(folder.path)).blocks
        if len(there) != taken:
            wrong.append(f"day {day}: {len(there)} blocks of {taken}")
        with trouble(folder), suppress(OSError):
            block = take_block(folder, GATES, taken + 1, _recorder, SETTING)
            noted += "clock jumped" in block.reason
            taken += 1
        recover_run(folder)
        last = max(taken, number * (day + 1) // DAYS)
        with patch("os.fsync"):  # as much time as a disk takes is not the matter here
            _fill(folder, first, last, begin=taken + 1)
        taken = last
    blocks = recover_run(open_run(folder.path)).blocks
    trials = [block.trials for block in blocks]
    real = DAYS - sum(TROUBLES[day % len(TROUBLES)] is _full_disk for day in range(DAYS))
    if (len(trials), trials.count(TRIALS)) != (taken, real) or not all(b.good for b in blocks):
        wrong.append(f"{len(trials)} blocks of {taken}, {trials.count(TRIALS)} of {real} real ones")
    if noted != sum(TROUBLES[day % len(TROUBLES)] is _clock_jump for day in range(DAYS)):
        wrong.append(f"{noted} clock jumps noted")
    return wrong


def _quiet(_: RunFolder) -> AbstractContextManager[object]:
    return nullcontext()


def _clock_jump(_: RunFolder) -> AbstractContextManager[object]:
    return patch("labkit.run.blocks.time", side_effect=[time(), time() + 3600])


def _full_disk(_: RunFolder) -> AbstractContextManager[object]:
    """Begin a segment that is not written to its end."""

    def record(path: Path, writer: RecordWriter) -> BlockOutcome:
        path.write_bytes(b"PQTTTR")
        raise OSError(ENOSPC, "No space left on device", str(path))

    return patch(f"{__name__}._recorder", record)


@contextmanager
def _slow_disk(_: RunFolder) -> Iterator[None]:
    fsync = os.fsync

    def slow(handle: int) -> None:
        sleep(0.1)
        fsync(handle)

    with patch("os.fsync", slow):
        yield


@contextmanager
def _torn_line(folder: RunFolder) -> Iterator[None]:
    """Let the power go while the next line is written."""
    yield
    with folder.journal.path.open("ab") as stream:
        stream.write(b'deadbeef {"kind":"blo')


DAYS = 21
TROUBLES = (_quiet, _clock_jump, _full_disk, _slow_disk, _torn_line)


def _bright(path: Path, writer: RecordWriter) -> BlockOutcome:
    simulate_ptu(path, riedinger2018(), 36_000_000, seed=1, overwrite=True)
    path.with_suffix(".gates.yaml").unlink()
    return BlockOutcome(monitors={"locked": 1.0, "temperature": 0.05, "pump_laser_hz": 1.9e14})


def _fill(folder: RunFolder, first: Block, last: int, begin: int = 2) -> None:
    counts = first.counts
    for number in range(begin, last + 1):
        segment = folder.segment_path(number)
        segment.hardlink_to(folder.path / first.segment)
        folder.record_path(number).hardlink_to(folder.record_path(1))
        block = replace(first, number=number, segment=folder.relative(segment), counts=counts)
        folder.journal.append(block)
        folder.journal.judge(number, good=True)


def _many_runs(out: Path, number: int) -> Iterator[Row]:
    folder = _made(out)
    take_block(folder, GATES, 1, _recorder, SETTING)
    folder.write_manifest(ended(folder.manifest(), "done"))
    for copy in range(1, number):
        shutil.copytree(folder.path, out / f"{folder.path.name}_{copy}")
    jobs = {
        "list of runs": lambda: [run.summary() for run in list_runs(out)],
        "labkit runs list": labkit("runs", "list", "--out", out),
        "labkit runs list --json": labkit("runs", "list", "--out", out, "--json"),
    }
    for name, taken in measured(jobs).items():
        ratio, noise = taken.of(0.5)
        yield Row(name=f"0.5 s / {name}, {number} runs", ratio=ratio, noise=noise, target=1.0,
                  detail=str(taken))  # fmt: skip


def take_blocks(path: Path, tell: Connection, seconds: float = 60.0) -> None:
    """Go on with a run until killed; say when it begins."""
    folder = open_run(path)
    number = len(recover_run(folder).blocks)
    tell.send(True)
    end = monotonic() + seconds
    while monotonic() < end:
        number += 1
        take_block(folder, GATES, number, _recorder, SETTING)
