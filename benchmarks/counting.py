"""Counting: bright and dense T3, T2 with sync records, against readinto, ptufile, pandas, numpy."""

import contextlib
import gc
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from math import nan
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from analysis.counting import count
from analysis.gates import Gate, GateSet
from analysis.tagfile.layouts import TIMEHARP_260N_T2, TIMEHARP_260N_T3, RecordLayout
from analysis.tagfile.ptu_writer import PtuWriter
from analysis.tagfile.source import Records
from benchmarks.timing import Row, Taken, labkit, measured, process_megabytes

GATES = GateSet(
    period=50e-6,
    detectors={1: 0, 2: 1},
    gates=(
        Gate(name="pump", start=0.0, stop=60e-9),
        Gate(name="read", start=123e-9, stop=183e-9),
    ),
)
TICKS = {"pump": (0, 240), "read": (492, 732)}
PERIOD_TICKS = 200_000
WRAP_T2 = 33_554_432
TRIALS_TO_WRAP = 524_288
"""Trials of 50 µs whose end is the end of a T2 wrap (3,125 wraps)."""


def bright_t3_block(n: int, seed: int = 1) -> Records:
    """Return photons at 0.1 per trial over 4 µs (gates see 3 %), with overflow records."""
    rng = np.random.default_rng(seed)
    sync = np.cumsum(rng.geometric(1 / 11, n) - 1)
    dtime = np.where(rng.random(n) < 0.1, rng.integers(0, 800, n), rng.integers(0, 16_000, n))
    return _with_overflows(sync, dtime, rng.integers(0, 2, n))


def _with_overflows(sync: np.ndarray, dtime: np.ndarray, channel: np.ndarray) -> Records:
    records = (channel << 25 | dtime << 10 | sync % 1024).astype(np.uint32)
    wraps = np.diff(sync // 1024, prepend=-1)
    at = np.flatnonzero(wraps)
    return np.insert(records, at, (0xFE000000 | wraps[at]).astype(np.uint32))


def dense_t3_block(n: int, seed: int = 1) -> Records:
    """Return photons of which the gates see nine tenths, two to a trial, with overflow records."""
    rng = np.random.default_rng(seed)
    sync = np.cumsum(rng.geometric(0.5, n) - 1)
    gated = np.where(rng.random(n) < 0.5, rng.integers(0, 240, n), rng.integers(492, 732, n))
    dtime = np.where(rng.random(n) < 0.9, gated, rng.integers(0, 16_000, n))
    return _with_overflows(sync, dtime, rng.integers(0, 2, n))


def sync_t2_block(trials: int, seed: int = 1) -> Records:
    """Return a sync record every 50 µs and photons in 0.7 % of trials, ending at a wrap.

    `trials` must be a multiple of `TRIALS_TO_WRAP`, so that blocks can follow one another.
    """
    if trials % TRIALS_TO_WRAP:
        message = f"`trials` must be a multiple of {TRIALS_TO_WRAP}, but is {trials}"
        raise ValueError(message)
    rng = np.random.default_rng(seed)
    hit = np.flatnonzero(rng.random(trials) < 0.007)
    start = np.arange(trials, dtype=np.int64) * PERIOD_TICKS
    time = np.concatenate([start, start[hit] + rng.integers(1, 800, len(hit))])
    code = np.concatenate([np.full(trials, 64), rng.integers(0, 2, len(hit))])
    order = np.argsort(time, kind="stable")
    time, code = time[order], code[order]
    records = (code << 25 | time % WRAP_T2).astype(np.uint32)
    end = trials * PERIOD_TICKS // WRAP_T2
    wraps = np.diff(time // WRAP_T2, prepend=0, append=end)
    at = np.flatnonzero(wraps)
    return np.insert(records, at, (0xFE000000 | wraps[at]).astype(np.uint32))


@contextlib.contextmanager
def recording(mode: str, block: Records, repeats: int) -> Iterator[Path]:
    """Write `block` `repeats` times into a PTU file that exists inside the ``with``."""
    layout = TIMEHARP_260N_T3 if mode == "T3" else TIMEHARP_260N_T2
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"bench_{mode}.ptu"
        _write(path, block, repeats, layout)
        yield path


def read_into(path: Path) -> None:
    """Read a file by 1 MiB into one buffer: no page faults, as fast as records can come."""
    buffer = bytearray(1 << 20)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def read_and_bin(path: Path, job: Callable[[Records, Records], None], clicks: Records) -> None:
    """Read a file by 1 MiB and count each record by its channel and dtime: nothing else is done."""
    buffer = bytearray(1 << 20)
    records = np.frombuffer(buffer, np.uint32)
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            job(records[: size // 4], clicks)


def fewest_steps() -> Callable[[Records, Records], None]:
    """Return the shortest compiled loop that fills an arrival histogram: one addition a record."""
    import numba

    @numba.njit(nogil=True)
    def add(records, clicks):  # type: ignore[no-untyped-def]
        for i in range(len(records)):
            clicks[records[i] >> np.uint32(10)] += np.uint32(1)

    return add


def count_with_pandas(path: Path) -> list[int]:
    """Do it as a table: decode, gate, one merge on the trial per pair of cells."""
    import pandas as pd
    import ptufile

    with ptufile.PtuFile(path) as ptu:
        decoded = ptu.decode_records()
    photon = decoded[decoded["channel"] >= 0]
    table = pd.DataFrame({name: photon[name] for name in ("time", "dtime", "channel")})
    cells = [
        table.loc[
            (table.dtime >= low) & (table.dtime < high) & (table.channel == detector), ["time"]
        ].drop_duplicates()
        for low, high in TICKS.values()
        for detector in (0, 1)
    ]
    return [len(a.merge(b, on="time")) for k, a in enumerate(cells) for b in cells[k + 1 :]]


def count_with_ptufile(path: Path) -> np.ndarray:
    """Do the same job as people do today: decode all records, gate, intersect trials."""
    import ptufile

    with ptufile.PtuFile(path) as ptu:
        decoded = ptu.decode_records()
    photon = decoded["channel"] >= 0
    sync, dtime = decoded["time"][photon], decoded["dtime"][photon]
    channel = decoded["channel"][photon]
    trials = []
    for low, high in TICKS.values():
        for detector in (0, 1):
            inside = (dtime >= low) & (dtime < high) & (channel == detector)
            trials.append(np.unique(sync[inside]))
    return np.array(
        [[len(np.intersect1d(a, b, assume_unique=True)) for a in trials] for b in trials]
    )


def count_with_numpy_t2(path: Path, offset: int) -> np.ndarray:
    """Count a T2 file with plain numpy: decode everything, assign photons to syncs."""
    records = np.fromfile(path, np.uint32, offset=offset)
    special = records >> 31
    channel = (records >> 25) & 63
    ticks = (records & 0x1FFFFFF).astype(np.int64)
    overflow = (special == 1) & (channel == 63)
    time = ticks + np.cumsum(np.where(overflow, ticks, 0)) * WRAP_T2
    start = time[(special == 1) & (channel == 0)]
    photon = special == 0
    trial = np.searchsorted(start, time[photon], side="right") - 1
    delay = time[photon] - start[trial]
    found = []
    for low, high in TICKS.values():
        for detector in (0, 1):
            inside = (delay >= low) & (delay < high) & (channel[photon] == detector)
            found.append(np.unique(trial[inside]))
    return np.array([[len(np.intersect1d(a, b)) for a in found] for b in found])


def run(scale: float = 1.0) -> list[Row]:
    """Measure; `scale` shrinks the 1e8-record files for a quick look."""
    records = round(100e6 * scale)
    return [*_bright(records), *_dense(records // 2), *_syncs(records),
            *_start_up(scale)]  # fmt: skip


def _bright(records: int) -> list[Row]:
    block = bright_t3_block(min(records, 4_000_000))
    repeats = max(1, records // len(block))
    add, clicks = fewest_steps(), np.zeros(1 << 22, np.uint32)
    with recording("T3", block, repeats) as path:
        taken = measured(
            {
                "labkit": lambda: count(path, GATES, kernel="bright"),
                "two": lambda: count(path, GATES, kernel="bright", threads=2),
                "readinto": lambda: read_into(path),
                "bins alone": lambda: read_and_bin(path, add, clicks),
            }
        )
        gc.collect()
        small = path.with_name("small.ptu")
        few = min(repeats, 5)  # the peers need twenty times the file's size
        _write(small, block, few)
        peers = measured(
            {
                "labkit": lambda: count(small, GATES, kernel="bright"),
                "ptufile": lambda: count_with_ptufile(small),
                "pandas": lambda: count_with_pandas(small),
            }
        )
        _same_pairs(small)
        memory = _memory_above_imports(path)
        against_eta = _eta(path, "T3")
    return [
        _row("bright T3: speed / readinto by 1 MiB", 0.45, taken, "readinto", len(block) * repeats),
        _bound("bright T3", taken, len(block) * repeats),
        _row("bright T3: speed / (ptufile + numpy)", 40, peers, "ptufile", len(block) * few),
        _row("bright T3: speed / (ptufile + pandas)", 20, peers, "pandas", len(block) * few),
        _two_threads("bright T3", taken),
        Row(name="bright T3: 150 MB / peak memory above imports", ratio=150 / max(memory, 1.0),
            target=1, detail=f"{memory:.0f} MB"),
        *against_eta,
    ]  # fmt: skip


def _dense(records: int) -> list[Row]:
    block = dense_t3_block(min(records, 4_000_000))
    repeats = max(1, records // len(block))
    add, clicks = fewest_steps(), np.zeros(1 << 22, np.uint32)
    with recording("T3", block, repeats) as path:
        taken = measured(
            {
                "labkit": lambda: count(path, GATES, kernel="bright"),
                "readinto": lambda: read_into(path),
                "bins alone": lambda: read_and_bin(path, add, clicks),
            }
        )
    return [
        _row("dense T3: speed / readinto by 1 MiB", 0.35, taken, "readinto", len(block) * repeats),
        _bound("dense T3", taken, len(block) * repeats),
    ]


def _bound(name: str, taken: dict[str, Taken], records: int) -> Row:
    """Say how near the shortest loop that fills the histogram comes: no counting is faster."""
    ratio, noise = taken["readinto"].per(taken["bins alone"])
    rate = records / median(taken["bins alone"].processor) / 1e6
    return Row(name=f"{name}: bound of that: reading and one addition a record", ratio=ratio,
               noise=noise, target=0, detail=f"{rate:.0f} M records/s")  # fmt: skip


def _row(name: str, target: float, taken: dict[str, Taken], peer: str, records: int) -> Row:
    ratio, noise = taken[peer].per(taken["labkit"])
    rate = records / median(taken["labkit"].processor) / 1e6
    return Row(name=name, ratio=ratio, noise=noise, target=target,
               detail=f"{rate:.0f} M records/s; {taken['labkit']}; peer {taken[peer]}")  # fmt: skip


def _write(
    path: Path, block: Records, repeats: int, layout: RecordLayout = TIMEHARP_260N_T3
) -> None:
    with PtuWriter(path, layout=layout, resolution=250e-12, sync_rate=20_000) as writer:
        for _ in range(repeats):
            writer.write(block)


def _same_pairs(path: Path) -> None:
    ours = np.triu(count(path, GATES).pairs, 1)
    expected = ours[np.triu_indices(len(ours), 1)].tolist()
    if count_with_pandas(path) != expected:
        message = "pandas and labkit must find the same coincidences, but do not"
        raise RuntimeError(message)


def _in_order(path: Path) -> None:
    """Refuse to measure on a file in disorder, which would be counted twice."""
    found = count(path, GATES).quality.out_of_order
    if found:
        message = f"the file's tags must be in order, but {found} are not"
        raise RuntimeError(message)


def _eta(path: Path, mode: str) -> list[Row]:
    """Compare with ETA if the environment variable ETA_PYTHON names an interpreter that has it."""
    interpreter = os.environ.get("ETA_PYTHON")
    if not interpreter:
        return []
    recipe = Path(__file__).with_name("eta_recipe.py")
    command = [interpreter, str(recipe), str(path), mode]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    eta = json.loads(done.stdout)
    pairs = np.triu(count(path, GATES).pairs).ravel().tolist()
    if eta["pairs"] != pairs:
        message = (
            f"ETA must find the coincidences {pairs}, but finds {eta['pairs']}; use numba 0.60"
        )
        raise RuntimeError(message)
    ours = measured({"labkit": lambda: count(path, GATES, kernel="bright")})["labkit"]
    peer = Taken(wall=(nan,) * len(ours.wall), processor=tuple(eta["seconds"]))
    ratio, noise = peer.per(ours)
    name, goal = {"T3": ("bright T3", 8), "T2": ("T2 with syncs", 1)}[mode]
    return [Row(name=f"{name}: speed / ETA's recipe", ratio=ratio, noise=noise, target=goal,
                detail=f"{ours}; peer processor {median(peer.processor):.2f} s")]  # fmt: skip


def _memory_above_imports(path: Path) -> float:
    imports = "from benchmarks.counting import count, GATES\nimport analysis.counting.bright\n"
    work = imports + f"count({str(path)!r}, GATES, kernel='bright', threads=2)"
    return process_megabytes(work) - process_megabytes(imports)


def _syncs(trials: int) -> list[Row]:
    block = sync_t2_block(6 * TRIALS_TO_WRAP)
    repeats = max(1, trials // (6 * TRIALS_TO_WRAP))
    with recording("T2", block, repeats) as path:
        taken = measured(
            {
                "labkit": lambda: count(path, GATES, kernel="bright"),
                "two": lambda: count(path, GATES, kernel="bright", threads=2),
                "readinto": lambda: read_into(path),
            }
        )
        _in_order(path)
        against_eta = _eta(path, "T2")
        gc.collect()
        small = path.with_name("small.ptu")
        few = min(repeats, 3)
        _write(small, block, few, TIMEHARP_260N_T2)
        offset = small.stat().st_size - 4 * len(block) * few
        peers = measured(
            {
                "labkit": lambda: count(small, GATES, kernel="bright"),
                "numpy": lambda: count_with_numpy_t2(small, offset),
            }
        )
    return [
        _row("T2 with syncs: speed / readinto by 1 MiB", 0.45, taken, "readinto",
             len(block) * repeats),
        _row("T2 with syncs: speed / plain numpy", 12, peers, "numpy", len(block) * few),
        _two_threads("T2 with syncs", taken),
        *against_eta,
    ]  # fmt: skip


def _two_threads(name: str, taken: dict[str, Taken]) -> Row:
    ratio, noise = taken["labkit"].per(taken["two"], by_wall=True)
    busy = f"wall time; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    return Row(name=f"{name}: two threads / one", ratio=ratio, noise=noise, target=1.8, detail=busy)


def _start_up(scale: float) -> list[Row]:
    """Measure commands as a user starts them, against the seconds they may take."""
    with TemporaryDirectory() as folder:
        paper, small = Path(folder) / "paper.ptu", Path(folder) / "small"
        labkit("simulate", "riedinger2018", "-o", paper)()
        _write_many(small, round(1000 * scale))
        may = {
            "labkit --version": (0.15, labkit("--version")),
            "labkit --help": (0.3, labkit("--help")),
            "labkit analyse, paper-size T3 (10⁹ trials)": (0.42, labkit("analyse", paper)),
            "labkit theory list": (0.42, labkit("theory", "list")),
        }
        taken = measured({name: job for name, (_, job) in may.items()})
        files = sorted(small.glob("*.ptu"))
        many = measured({"many": lambda: count(files, GATES)})["many"]
    ratio, noise = many.of(0.8 * len(files) / 1000)
    return [
        *(_may_take(name, seconds, taken[name]) for name, (seconds, _) in may.items()),
        Row(name="0.8 s / 1,000 PTU files of 3,000 records", ratio=ratio, noise=noise, target=1,
            detail=f"{len(files)} files: {many}"),
    ]  # fmt: skip


def _write_many(folder: Path, number: int) -> None:
    folder.mkdir()
    for each in range(number):
        _write(folder / f"{each:04}.ptu", bright_t3_block(2750, seed=each), 1)


def _may_take(name: str, allowed: float, taken: Taken) -> Row:
    ratio, noise = taken.of(allowed)
    return Row(name=f"{allowed:.3g} s / {name}", ratio=ratio, noise=noise, target=1,
               detail=str(taken))  # fmt: skip
