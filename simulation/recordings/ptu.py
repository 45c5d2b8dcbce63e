"""Simulated recordings: a tag file in the vendor's format and the gates file that belongs to it."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal
from uuid import NAMESPACE_URL, uuid5

import numpy as np

from analysis.gates import GateSet, gates_path
from analysis.tagfile.codec import Encoder
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import TIMEHARP_260N_T2, TIMEHARP_260N_T3, RecordLayout
from analysis.tagfile.ptu_writer import NANO_BASE_RESOLUTION, PtuWriter
from simulation.recordings.clicks import (
    ClickModel,
    Clicks,
    check_grid,
    click_model,
    sample_clicks,
    t2_events,
    t3_events,
    whole_ticks,
)
from simulation.recordings.pulses import Timing, pulsed_timing
from simulation.theory.dlcz import DLCZParameters

Mode = Literal["T2", "T3"]
Progress = Callable[[int, int], object]

RECORD_BYTES = 4
HEADER_BYTES = 8192
"""More than the header of a simulated file has."""

_MARGIN = 1.02


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRecording:
    """What `simulate_ptu` wrote.

    Attributes
    ----------
    path, gates_path : Path
        The tag file and the gates file.
    gates : GateSet
    trials, clicks, records : int
        Trials simulated, clicks among them, 32-bit records in the file.
    """

    path: Path
    gates_path: Path
    gates: GateSet
    trials: int
    clicks: int
    records: int

    def __str__(self) -> str:
        return (
            f"{self.path}  {self.trials:,} trials, {self.clicks:,} clicks, "
            f"{self.records:,} records; gates in {self.gates_path.name}"
        )


def simulate_ptu(
    path: str | Path,
    source: DLCZParameters | ClickModel,
    trials: int,
    *,
    mode: Mode = "T3",
    seed: int = 0,
    period: float = 50e-6,
    timing: Timing | None = None,
    resolution: float = NANO_BASE_RESOLUTION,
    created: datetime | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> SimulatedRecording:
    """Simulate a measurement into a TimeHarp 260 N file, and write its gates file.

    The records go to ``….part`` first; the file has its name once it is complete, so that an
    interrupted simulation leaves nothing, and what it was to replace stays.

    Parameters
    ----------
    path : str or Path
        The ``.ptu`` file; the gates go to ``.gates.yaml`` beside it.
    source : DLCZParameters or ClickModel
        Parameters are numbers only, no arrays.
    trials : int
        T3 files hold the number of trials as measured time × sync rate, with the time rounded to
        ms: a multiple of 20 (at 50 µs) is read back exactly.
    mode : {"T3", "T2"}
        T3: records of clicks only, trials are sync numbers. T2: one sync record per trial besides
        (4 bytes each). Both hold the same clicks for the same seed.
    seed : int
        Same seed, same records.
    period : float, optional
        Repetition period in s; ignored if `timing` is given.
    timing : Timing, optional
        Gates, pulse shapes, jitter, dead time; by default `pulsed_timing` with the parameters'
        delay, or with its own for a `ClickModel`.
    resolution : float
        Seconds per T2 tick or T3 bin: 250 ps, in T3 times a power of two.
    created : datetime, optional
        Time of creation in the header; by default now.
    overwrite : bool
        Replace existing files.
    progress : callable, optional
        Called with (trials done, trials in all).

    Returns
    -------
    SimulatedRecording

    Raises
    ------
    FileExistsError
        If a file exists and `overwrite` is False.
    FileNotFoundError
        If there is no such folder.
    ValueError
        If the name does not end in ``.ptu``, trials, timing and resolution do not go together, a
        parameter is out of range, or the disk lacks the space (the message says how much).
    """
    path, beside = Path(path), gates_path(path)
    _check_target(path)
    if timing is None:
        timing = _default_timing(source, period, resolution)
    layout = _layout(mode)
    _check_timing(timing.gates, layout, resolution)
    model = click_model(source)
    runs = sample_clicks(model, timing, trials, np.random.default_rng(seed))
    _refuse_existing([] if overwrite else [path, beside])
    ticks = _ticks_per_trial(layout, timing.gates, resolution)
    check_space(path, expected_bytes(model, layout, trials, ticks), trials)
    identity = f"labkit simulation {source} {timing} {trials} {mode} {seed} {resolution}"
    part = path.with_name(path.name + ".part")
    writer = PtuWriter(
        part,
        layout=layout,
        resolution=resolution,
        sync_period=timing.gates.period,
        acquisition_time=trials * timing.gates.period,
        comment=f"simulated by labkit, {trials} trials, seed {seed}",
        created=created,
        guid=uuid5(NAMESPACE_URL, identity),
        overwrite=True,
    )
    try:
        with writer:
            clicks = _write(writer, runs, timing.gates, resolution, trials, progress)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    beside.write_text(timing.gates.to_yaml(), encoding="utf-8")
    return SimulatedRecording(
        path=path,
        gates_path=beside,
        gates=timing.gates,
        trials=trials,
        clicks=clicks,
        records=writer.n_records,
    )


def _refuse_existing(paths: list[Path]) -> None:
    for path in paths:
        if path.exists():
            message = (
                f"{path} exists; choose another name, or replace it (--overwrite, `overwrite=True`)"
            )
            raise FileExistsError(message)


def _check_target(path: Path) -> None:
    if path.suffix != ".ptu":
        message = f"`path` must end in .ptu, but is {path.name!r}; `labkit convert` makes others"
        raise ValueError(message)
    if not path.parent.is_dir():
        message = f"{path}: must lie in an existing folder, but there is no {path.parent}; make it"
        raise FileNotFoundError(message)


def _default_timing(
    source: DLCZParameters | ClickModel, period: float, resolution: float
) -> Timing:
    if isinstance(source, ClickModel):
        return pulsed_timing(period=period, resolution=resolution)
    delay = source.delay
    if not isinstance(delay, float):
        message = "`delay` must be a number to simulate a recording, but is an array"
        raise ValueError(message)
    return pulsed_timing(period=period, delay=delay, resolution=resolution)


def _layout(mode: str) -> RecordLayout:
    layouts = {"T2": TIMEHARP_260N_T2, "T3": TIMEHARP_260N_T3}
    if mode not in layouts:
        message = f"`mode` must be T2 or T3, but is {mode!r}"
        raise ValueError(message)
    return layouts[mode]


def _check_timing(gates: GateSet, layout: RecordLayout, resolution: float) -> None:
    check_grid(gates, resolution)
    if layout.mode == "T2":
        whole_ticks("the period", gates.period, resolution)
        return
    reach = layout.dtime_bins * resolution
    last = gates.gates[-1]
    if last.stop > reach * (1 + 1e-9):
        message = (
            f"gate {last.name!r} must stop within the T3 range of {reach:g} s "
            f"({layout.dtime_bins} bins of {resolution:g} s), but stops at {last.stop:g} s; "
            "use a coarser resolution, or T2"
        )
        raise ValueError(message)


def _write(
    writer: PtuWriter,
    runs: Iterator[Clicks],
    gates: GateSet,
    resolution: float,
    trials: int,
    progress: Progress | None,
) -> int:
    """Write all runs and the overflows up to the end; return the number of clicks."""
    encoder = Encoder(writer.layout)
    ticks = _ticks_per_trial(writer.layout, gates, resolution)
    clicks = 0
    for run in runs:
        clicks += len(run)
        for done, events in _blocks(run, writer.layout, gates, resolution):
            writer.write(encoder.encode(events))
            if progress is not None:
                progress(done, trials)
    writer.write(encoder.finish(trials * ticks))
    return clicks


def _blocks(
    run: Clicks, layout: RecordLayout, gates: GateSet, resolution: float
) -> Iterator[tuple[int, Events]]:
    """Yield the run's events in blocks, each with the number of trials then done."""
    if layout.mode == "T3":
        yield run.first_trial + run.trials, t3_events(run, gates, resolution)
        return
    ticks = _ticks_per_trial(layout, gates, resolution)
    for events in t2_events(run, gates, resolution):
        yield int(events.time[-1]) // ticks + 1, events


def _ticks_per_trial(layout: RecordLayout, gates: GateSet, resolution: float) -> int:
    """Units of the records' time in one trial: T3 syncs, or T2 ticks."""
    return 1 if layout.mode == "T3" else whole_ticks("the period", gates.period, resolution)


def expected_bytes(
    model: ClickModel, layout: RecordLayout, trials: int, ticks_per_trial: int
) -> int:
    """Estimate a recording's size: clicks, overflows, and in T2 a sync record per trial.

    Parameters
    ----------
    model : ClickModel
    layout : RecordLayout
        With counted overflows.
    trials : int
    ticks_per_trial : int
        Units of the records' time per trial: T2 ticks, or 1 in T3.

    Returns
    -------
    int
        Bytes, expected clicks rounded up; in T3 from above, for one overflow record may stand for
        several wraps.
    """
    clicks = int(trials * model.clicks) + 1
    wraps = trials * ticks_per_trial // layout.wrap + 1
    if layout.mode == "T2":
        return HEADER_BYTES + RECORD_BYTES * (trials + clicks + wraps)
    return HEADER_BYTES + RECORD_BYTES * (clicks + min(wraps, clicks + 1))


def check_space(path: Path, needed: int, trials: int) -> None:
    """Refuse a recording that the disk cannot hold.

    Raises
    ------
    ValueError
        If fewer than `needed` bytes (and 2 %) are free where `path` will be.
    """
    free = shutil.disk_usage(path.parent).free
    if needed * _MARGIN > free:
        message = (
            f"`trials` must be so few that {path.name} fits on the disk: {trials:.4g} trials need "
            f"about {_gigabytes(needed)}, but {_gigabytes(free)} are free in {path.parent}; "
            "simulate fewer trials, free space, or use T3, which has no record for empty trials"
        )
        raise ValueError(message)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"
