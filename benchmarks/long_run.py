"""A run of three weeks with all that a verdict asks for, made in minutes.

Every block is a real one, recorded, counted and verified; there are as many different ones as
`KINDS` says, and the others are the same segments under further numbers.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import nan, pi
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from unittest.mock import patch

import numpy as np

from benchmarks.timing import Row, spread
from labkit.run import Block, BlockOutcome, RecordWriter, RunFolder, Tail, create_run, take_block
from labkit.run.evidence import RunJudge
from labkit.run.kept_sums import keep_sums
from labkit.sequence.pulses import riedinger2018_sequence
from simulation.recordings.clicks import ClickModel
from simulation.recordings.ptu import simulate_ptu
from simulation.recordings.pulses import pulsed_timing
from simulation.theory.dlcz import DLCZParameters, riedinger2018_matched

BLOCKS = 30_000
GATES = pulsed_timing().gates
TRIALS = 1_200_000
"""Of a block: 60 s at 50 µs, so that 30,000 of them are three weeks."""

KINDS = 16
"""Different blocks at θ, and at θ + π."""

Setting = dict[str, float | str]
Source = DLCZParameters | ClickModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a block is for, and the light in it."""

    setting: Setting
    source: Source
    trials: int = TRIALS


def run(scale: float) -> Iterator[Row]:
    """Give a row per goal: goal over found; times are of the processor."""
    with TemporaryDirectory() as name:
        number = round(BLOCKS * scale)
        folder, patterns = make_long_run(Path(name), number)

        def goal_row(what: str, goal: float, found: Sequence[float], unit: str) -> Row:
            ratios = [goal / each for each in found]
            ratio, noise = spread(ratios) if len(ratios) > 1 else (ratios[0], nan)
            return Row(
                name=f"{number:,} blocks: {what}", ratio=ratio, noise=noise, target=1.0,
                detail=f"{goal / ratio:.2f} {unit}",
            )  # fmt: skip

        size = folder.journal.path.stat().st_size / 1e6
        yield goal_row("journal, MB", 60.0, [size], "MB")
        seconds, memory, _ = _fresh(folder, _RESUME)
        yield goal_row("resume, s", 1.5, seconds, "s")
        yield goal_row("resume, MB", 300.0, memory, "MB")
        page, started, further = _fresh(folder, _PAGE)
        yield goal_row("first page, from the request to its document, s", 1.5, page, "s")
        yield goal_row("the same from the start of the server, s", 4.0, started, "s")
        yield goal_row("page after one more block, s", 0.1, further, "s")
        judge, tail = RunJudge(folder.path, None), Tail(folder.journal)
        for what, goal in (("verdict from nothing, s", 10.0), ("after two more blocks, s", 1.0)):
            tail.poll()
            blocks, began = list(tail.blocks.values()), process_time()
            judge.verdict(blocks)
            yield goal_row(what, goal, [process_time() - began], "s")
            for one_more in (1, 2):
                append(folder, patterns[0], len(blocks) + one_more)
        judge.keep(blocks)  # as the run itself does
        live, began = RunJudge(folder.path, None, go_on=True), process_time()
        tail.poll()
        live.verdict(list(tail.blocks.values()))
        yield goal_row("first verdict of a page, s", 2.0, [process_time() - began], "s")


_HEAD = """
import os, sys
from pathlib import Path
from time import process_time, thread_time
path = Path(sys.argv[1])
def memory():  # as in `timing`: ru_maxrss would never be below the parent's
    line, = (x for x in open("/proc/self/status") if x.startswith("VmHWM"))
    return float(line.split()[1]) / 1024
"""

_RESUME = """
from labkit.run import open_run, recover_run
began = process_time()
recover_run(open_run(path))
print(process_time() - began, memory(), 0.0)
"""

_PAGE = """
from bokeh.document import Document
from benchmarks.long_run import append
from labkit.dashboard.live import server_of, view
from labkit.dashboard.watch import Watch
from labkit.run import open_run
watch, folder = Watch(path.parent), open_run(path)
server = server_of(watch, address="localhost", port=0, every=60.0, token=None)
began = thread_time()
view(watch, 60.0).server_doc(document := Document())
document.to_json()
first, started = thread_time() - began, process_time()
if not (child := os.fork()):  # which leaves nothing behind in this process
    blocks = folder.journal.read()
    append(folder, blocks[-1], len(blocks) + 1)
    os._exit(0)
os.waitpid(child, 0)
began = thread_time()
watch.look(path.name, patience=0.0)
print(first, started, thread_time() - began, flush=True)
os._exit(0)  # the verdict in the other thread is not waited for
"""


def _fresh(
    folder: RunFolder, code: str, rounds: int = 7
) -> tuple[list[float], list[float], list[float]]:
    """Return the three numbers that code prints, in so many fresh processes."""
    command = [sys.executable, "-c", _HEAD + code, str(folder.path)]
    found = []
    for _ in range(rounds):
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append([float(word) for word in done.stdout.split()])
    first, second, third = map(list, zip(*found, strict=True))
    return first, second, third


def calibrations() -> list[Kind]:
    """Return balance, single arms, leaks, stray light and laser light: a verdict's conditions."""
    both = riedinger2018_matched()
    alone = {"A": replace(both, eta_B=0.0), "B": replace(both, eta_A=0.0)}
    leaks, closed = _independent(1e-7, 1e-6), _independent(1e-8, 1e-7)
    kinds = [
        Kind(
            setting={"procedure": "balance", "arm": arm, "transmission_A": 1.0,
                     "transmission_B": 1.0},
            source=alone[arm],
        )
        for arm in "AB"
    ]  # fmt: skip
    for arm in "AB":
        for light, source in (("both", alone[arm]), ("leaks", leaks)):
            setting: Setting = {"procedure": "splitting", "arm": arm, "light": light}
            kinds.append(Kind(setting=setting, source=source, trials=200_000_000))
    for light, source in (("leaks", leaks), ("closed", closed)):
        kinds.append(Kind(setting={"procedure": "stray_light", "light": light}, source=source))
    for light, read, trials in (("laser", 3e-4, 12_000_000), ("bright laser", 0.15, 2_000_000)):
        kinds.append(
            Kind(
                setting={"procedure": "null_test", "light": light, "when": ""},
                source=_independent(0.15, read), trials=trials,
            )
        )  # fmt: skip
    return kinds


def witness_kind(number: int) -> Kind:
    """Return what the block of a number is for: θ, θ + π, θ + π, θ, and so on."""
    turn = ("theta", "pi", "pi", "theta")[number % 4]
    phase = float(riedinger2018_matched().delta_phi) - 0.1 * pi + (pi if turn == "pi" else 0.0)
    setting: Setting = {
        "procedure": "witness", "delta_phi": phase, "delay": 1.23e-7, "turn": turn,
    }  # fmt: skip
    return Kind(setting=setting, source=replace(riedinger2018_matched(), delta_phi=phase))


def make_long_run(
    out: Path, blocks: int, *, kinds: int = KINDS, shorter: int = 1
) -> tuple[RunFolder, list[Block]]:
    """Make a run with so many witness blocks after its calibrations.

    Repeated blocks repeat their luck, so that the verdict itself says nothing.

    Parameters
    ----------
    out : Path
    blocks : int
    kinds : int
        Different blocks at θ, and at θ + π.
    shorter : int
        Trials are divided by it.

    Returns
    -------
    folder : RunFolder
    patterns : list of Block
        The different witness blocks: `append` takes them.
    """
    sequence = riedinger2018_sequence().to_dict()
    folder = create_run(out, "witness", sequence, "station", gates=GATES)
    with patch("os.fsync"):  # as much time as a disk takes is not the matter here
        before = calibrations()
        for number, kind in enumerate(before, 1):
            _take(folder, number, kind, shorter)
        first = len(before) + 1
        patterns = [_take(folder, first + n, witness_kind(n), shorter) for n in range(2 * kinds)]
        for number in range(first + len(patterns), first + blocks):
            append(folder, patterns[(number - first) % len(patterns)], number)
        keep_sums(folder)  # as the run itself does
    return folder, patterns


def append(folder: RunFolder, pattern: Block, number: int) -> None:
    """Add a block like another one, a minute after the one before."""
    segment, record = folder.segment_path(number), folder.record_path(number)
    segment.hardlink_to(folder.path / pattern.segment)
    record.hardlink_to(folder.record_path(pattern.number))
    began = _BEGAN + timedelta(minutes=number)
    block = replace(
        pattern, number=number, segment=folder.relative(segment), counts=pattern.counts,
        started=began.isoformat(), ended=(began + timedelta(seconds=58)).isoformat(),
        hashes={folder.relative(segment): pattern.hashes[pattern.segment],
                folder.relative(record): pattern.hashes[folder.relative(
                    folder.record_path(pattern.number))]},
    )  # fmt: skip
    folder.journal.append(block)
    folder.journal.judge(number, good=True)


_BEGAN = datetime(2026, 11, 1, tzinfo=UTC)


def _take(folder: RunFolder, number: int, kind: Kind, shorter: int) -> Block:
    def record(path: Path, writer: RecordWriter) -> BlockOutcome:
        trials = kind.trials // shorter
        simulate_ptu(path, kind.source, trials, seed=number, overwrite=True)
        path.with_suffix(".gates.yaml").unlink()
        readings = {"locked": 1.0, "temperature": 0.05, "pump_laser_hz": 1.9294e14,
                    "read_laser_hz": 1.9293e14, "phase_noise": 0.04}  # fmt: skip
        writer.sample(30.0, readings)
        return BlockOutcome(monitors=readings)

    return take_block(folder, GATES, number, record, kind.setting)


def _independent(pump: float, read: float) -> ClickModel:
    """Return coherent light: every gate clicks by itself."""
    each = np.array([[1.0 - pump, pump]] * 2 + [[1.0 - read, read]] * 2)
    return ClickModel(light=np.einsum("a,b,c,d->abcd", *each), dark=np.zeros((2, 2)))
