"""Count tag files: choose the kernel and stream the records through it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from analysis.counting.report import report_counts
from analysis.counting.shifts import find_shifts
from analysis.counting.tally import NONE, Plan, S, Tally, make_plan
from analysis.counts import Counts
from analysis.gates import GateSet, as_gates, gates_path
from analysis.tagfile import open_tags
from analysis.tagfile.codec import Decoder
from analysis.tagfile.delayed import DelayedSource
from analysis.tagfile.distinct import check_distinct
from analysis.tagfile.doubts import layout_warnings
from analysis.tagfile.layouts import MARKER, SYNC
from analysis.tagfile.ordered import DisorderError, OrderedSource
from analysis.tagfile.source import Records, TagFileError, TagSource

Kernel = Literal["auto", "sparse", "bright"]
Stretch = tuple[int, int]
Progress = Callable[[int, int], object]
"""Called with (records done, records in all)."""

BRIGHT_FROM = 8_000_000
"""T2 records from which loading the compiled kernel pays for itself."""

GATED_FROM = 1_000_000
"""Gated T3 clicks from which it does: 0.8 s to load, against 0.8 µs per click with arrays."""

BRIGHT_T3_FROM = 64_000_000
"""T3 records from which it does however few are gated."""

_SAMPLE = 1 << 16

THREADS_FROM = 32_000_000


class _Counter(Protocol):
    def count(self, records: Records) -> None: ...
    def finish(self) -> None: ...


def count(
    paths: str | Path | TagSource | Iterable[str | Path | TagSource],
    gates: GateSet | str | Path | None = None,
    *,
    threads: int = 1,
    kernel: Kernel = "auto",
    allow_repeats: bool = False,
    progress: Progress | None = None,
) -> Counts:
    """Count clicks and coincidences in one tag file, or in several and add them up.

    One pass in constant memory: raw records are decoded, gated and counted block by block.

    Parameters
    ----------
    paths : path, open source, or several of them
    gates : GateSet or path of a gates file, optional
        Must fit every file (T3 range, channels, trial start). By default the gates file beside
        the first tag file: ``x.ptu`` has ``x.gates.yaml``.
    threads : int
        Number of stretches of one long file counted at the same time.
    kernel : {"auto", "sparse", "bright"}
        Array operations (start at once) or compiled loops (fast on long files); the results are
        equal.
    allow_repeats : bool
        Add up even files that hold the same recording.
    progress : callable, optional
        Called with (records done, records in all) of the file being counted.

    Returns
    -------
    Counts

    Raises
    ------
    TagFileError
        If a file cannot be read or holds no records.
    ValueError
        If the gates do not fit a file, their file cannot be read, or two files hold the same
        recording.

    Examples
    --------
    >>> count("run7.ptu", "run.gates.yaml")        # doctest: +SKIP
    >>> count(["run7.ptu", "run8.ptu"], GateSet.from_yaml("run.gates.yaml"))  # doctest: +SKIP
    """
    if isinstance(paths, str | Path | TagSource):
        paths = [paths]
    sources = [path if isinstance(path, TagSource) else open_tags(path) for path in paths]
    if not sources:
        message = "`paths` must name at least one tag file, but is empty"
        raise ValueError(message)
    for source in sources:
        check_records(source)
    if not allow_repeats:
        check_distinct(sources)
    gate_set = as_gates(gates_path(sources[0].path) if gates is None else gates)
    total: Counts | None = None
    plans: dict[object, Plan] = {}
    for source, plan in [plan_for(source, gate_set, plans) for source in sources]:
        counts = _count_source(source, plan, threads, kernel, progress)
        total = counts if total is None else total + counts
    if total is None:  # unreachable: there is at least one source
        raise RuntimeError
    return total


def follow(
    blocks: Iterable[Records],
    source: TagSource,
    gates: GateSet | str | Path,
    *,
    kernel: Kernel = "auto",
) -> Iterator[Counts]:
    """Count a file while it grows: yield the counts so far after every block.

    Parameters
    ----------
    blocks : iterable of records
        For a PTU file ``PtuFile.follow(...)``, which ends when the file stops growing.
    source : TagSource
        The same file, for its layout and header.
    gates : GateSet or path of a gates file
    kernel : {"auto", "sparse", "bright"}
        ``auto`` is ``sparse``.

    Yields
    ------
    Counts
        Trials as far as the records prove them; the last trial may still be open. The last
        counts, after all blocks, use the header as the recording left it.

    Raises
    ------
    TagFileError
        If the file cannot be read.
    ValueError
        If the gates do not fit the file, or all of it holds no trial start.
    """
    moved, plan = plan_for(source, as_gates(gates))
    if moved is not source:
        message = (
            f"{source.path}: a gate reaches into the trial before or after, which is not known "
            "while a file grows; count it when it is complete"
        )
        raise ValueError(message)
    tally = Tally.empty(plan)
    counter = _make_counter(plan, tally, "sparse" if kernel == "auto" else kernel)
    for block in blocks:
        _count_block(source, counter, block)
        yield report_counts(source, plan, tally, final=False)
    counter.finish()
    yield report_counts(source.reopened(), plan, tally, final=True)


def plan_for(
    source: TagSource, gates: GateSet, known: dict[object, Plan] | None = None
) -> tuple[TagSource, Plan]:
    """Lay gates on a file, having checked that its channels, period and syncs allow them.

    Parameters
    ----------
    source : TagSource
    gates : GateSet
    known : dict, optional
        Plans of these gates for files before, from which one of a like file is taken.

    Returns
    -------
    source : TagSource
        The file, its clicks moved if a gate or a delay reaches into another trial.
    plan : Plan

    Raises
    ------
    ValueError
        If they do not; the message names the file.
    """
    try:
        _check_channels(source, gates)
        _check_period(source, gates)
        _check_syncs(source, gates)
        origin = _origin(source, gates)
        sync_period = source.sync_period if source.counts_syncs else None
        resolution = source.resolution
        like = (source.layout, resolution, origin, sync_period)
        if known is not None and like in known:
            return source, known[like]
        shifts = find_shifts(gates, source.layout, resolution, sync_period=sync_period)
        if shifts.moved:
            make_plan(gates, source.layout, resolution, shifts=shifts)  # checks the file as it is
            delays = {channel: ticks * resolution for channel, ticks in shifts.moved.items()}
            source = DelayedSource(source, delays)
        plan = make_plan(
            gates, source.layout, resolution, origin=origin, sync_period=sync_period, shifts=shifts
        )
    except TagFileError:
        raise
    except ValueError as error:
        message = f"{source.path}: {error}"
        raise ValueError(message) from None
    if known is not None and not shifts.moved:
        known[like] = plan
    return source, plan


def _check_channels(source: TagSource, gates: GateSet) -> None:
    highest = source.layout.max_channel
    for number, channel in gates.detectors.items():
        if channel > highest:
            message = (
                f"detector {number} must be on a channel from 0 to {highest} of "
                f"{source.layout}, but is on channel {channel}; see `labkit info`"
            )
            raise ValueError(message)


def _check_period(source: TagSource, gates: GateSet) -> None:
    last = gates.gates[-1]
    if gates.trial.kind != "sync" or not source.sync_rate:
        return
    period = 1 / source.sync_rate
    stop = last.span(gates.detectors)[1]
    if stop > 1.01 * period:
        message = (
            f"gate {last.name!r} must stop within the file's sync period of {period:g} s (header: "
            f"{source.sync_rate:g} syncs/s), but stops at {stop:g} s"
        )
        raise ValueError(message)


def _check_syncs(source: TagSource, gates: GateSet) -> None:
    """Refuse to take for trials what are not."""
    if gates.trial.kind != "sync":
        return
    if not source.counts_syncs:
        message = (
            "`trial` cannot be sync: the file's times count a clock of the device, not syncs; "
            "trials in it cannot be told from one another"
        )
        raise ValueError(message)
    divider = source.sync_divider
    if source.layout.mode == "T2" and divider > 1 and gates.trial.divider is None:
        message = (
            f"`trial` must say how many trials a sync record stands for: the header's sync divider "
            f"is {divider}; set `trial: {{sync: {{divider: {divider}}}}}` (or divider: 1 if each "
            "sync record begins one trial)"
        )
        raise ValueError(message)


def _origin(source: TagSource, gates: GateSet) -> int:
    """Return the tick at which trial 0 begins if the clock begins trials.

    Raises
    ------
    ValueError
        If it is not found, or cannot be told to a tick.
    """
    t0 = gates.trial.t0
    if t0 is None:
        return 0
    if isinstance(t0, float):
        ticks = t0 / source.resolution
        if ticks > 1 << 52:
            message = (
                f"`trial` t0 of {t0!r} s is too large to be given to a tick of "
                f"{source.resolution:g} s; use `t0: first` or a marker"
            )
            raise ValueError(message)
        return round(ticks)
    bits = 0 if t0 == "first" else 1 << (int(t0[-1]) - 1)
    decoder = Decoder(source.layout)
    for block in source.blocks(size=4096):
        events = decoder.decode(block)
        wanted = events.time
        if bits:
            code = events.channel.astype(np.int64) - MARKER
            wanted = wanted[(code > 0) & (code & bits != 0)]
        if len(wanted):
            return int(wanted.min())
    message = f"`trial` starts with the first {'tag' if bits == 0 else t0}, but the file has none"
    raise ValueError(message)


def check_records(source: TagSource) -> None:
    """Refuse a file without records."""
    if source.n_records == 0:
        message = f"{source.path}: holds no records, so there is nothing to count"
        raise TagFileError(message)


def _count_source(
    source: TagSource, plan: Plan, threads: int, kernel: Kernel, progress: Progress | None
) -> Counts:
    total = source.n_records
    if kernel == "auto":
        kernel = "bright" if is_bright(source, plan) else "sparse"
    stretches = [(0, total)]
    if kernel == "bright" and threads > 1 and total >= THREADS_FROM:
        stretches = cut(source, plan, threads)
    done = _Progress(total, progress)
    if len(stretches) == 1:
        tallies = [count_stretch(source, plan, stretches[0], kernel, done)]
    else:
        with ThreadPoolExecutor(max_workers=len(stretches)) as pool:
            jobs = [pool.submit(count_stretch, source, plan, s, kernel, done) for s in stretches]
            tallies = [job.result() for job in jobs]
    return finish_counts(source, plan, tallies, kernel)


def finish_counts(
    source: TagSource, plan: Plan, tallies: Sequence[Tally], kernel: Kernel
) -> Counts:
    """Join the tallies of a file's stretches, in their order, and report them as counts.

    Tags out of order are found only here; then the whole file is counted once more, sorted.
    """
    first, *rest = tallies
    for tally in rest:
        first.append(tally, plan)
    if not first.state[S.BACKWARDS]:
        return report_counts(source, plan, first, final=True)
    return _count_in_order(source, plan, first, kernel)


def is_bright(source: TagSource, plan: Plan) -> bool:
    """Tell whether the compiled kernel pays for itself, by the first records."""
    total = source.n_records
    if plan.layout.mode == "T2":
        return total >= BRIGHT_FROM
    if not GATED_FROM <= total < BRIGHT_T3_FROM:
        return total >= BRIGHT_T3_FROM
    tally = Tally.empty(plan)
    counter = _make_counter(plan, tally, "sparse")
    for block in source.blocks(0, min(total, _SAMPLE)):
        _count_block(source, counter, block)
    gated = int(tally.histogram[plan.cell_of != NONE].sum())
    return gated * total >= GATED_FROM * min(total, _SAMPLE)


def _count_in_order(source: TagSource, plan: Plan, unsorted: Tally, kernel: Kernel) -> Counts:
    """Count once more with the tags sorted, if their disorder is small enough to be trusted."""
    ordered = OrderedSource(source)
    try:
        tally = count_stretch(ordered, plan, (0, ordered.n_records), kernel)
    except DisorderError as error:
        reason = str(error).removeprefix(f"{source.path}: ")
        early = int(unsorted.state[S.BACKWARDS])
        found = f"{early:,} tags come before the one that precedes them, too far to sort ({reason})"
        wraps = int(unsorted.state[S.WRAPPED]) // plan.layout.wrap
        if early > wraps + 1:  # a lost overflow record makes one, and most overflows are not lost
            doubts = " ".join(str(warning) for warning in layout_warnings(source))
            message = (
                f"{source.path}: {found}, and more than the {wraps:,} overflows: coincidences of "
                "tags that stand apart would be lost; the file is damaged, or was written without "
                f"order. {doubts}"
            )
            raise TagFileError(message.strip()) from None
        disorder = (
            f"{found}: overflow records are lost or the file is damaged; clicks and coincidences "
            "around them may be wrong, and the trials in lost overflows are not counted"
        )
        return report_counts(source, plan, unsorted, final=True, disorder=disorder)
    keep_unsorted(tally, unsorted)
    disorder = sorted_note(unsorted, ordered)
    return report_counts(source, plan, tally, final=True, disorder=disorder)


def keep_unsorted(tally: Tally, unsorted: Tally) -> None:
    """Take from the pass in the file's order what sorting hides."""
    for place in (S.BACKWARDS, S.RECORDS, S.UNKNOWN):
        tally.state[place] = unsorted.state[place]


def sorted_note(unsorted: Tally, ordered: OrderedSource) -> str:
    """Say how far tags stood out of order that were sorted."""
    return (
        f"{int(unsorted.state[S.BACKWARDS]):,} tags stood out of order, by up to "
        f"{ordered.largest_step:,} {'ticks' if ordered.layout.mode == 'T2' else 'syncs'}; they "
        "were sorted by time before counting"
    )


class _Progress:
    def __init__(self, total: int, report: Progress | None) -> None:
        self._done, self._total, self._report = 0, total, report

    def add(self, records: int) -> None:
        self._done += records
        if self._report is not None:
            self._report(self._done, self._total)


def count_stretch(
    source: TagSource,
    plan: Plan,
    stretch: Stretch,
    kernel: Kernel,
    done: "_Progress | None" = None,
) -> Tally:
    """Count the records of one stretch of a file; see `cut` for where one may begin."""
    tally = Tally.empty(plan)
    counter = _make_counter(plan, tally, kernel)
    for block in source.blocks(*stretch):
        _count_block(source, counter, block)
        if done is not None:
            done.add(len(block))
    counter.finish()
    return tally


def _count_block(source: TagSource, counter: _Counter, block: Records) -> None:
    try:
        counter.count(block)
    except TagFileError:
        raise
    except ValueError as error:
        message = f"{source.path}: {error}"
        raise TagFileError(message) from None


def _make_counter(plan: Plan, tally: Tally, kernel: Kernel) -> _Counter:
    if kernel == "bright":
        from analysis.counting.bright import BrightCounter

        return BrightCounter(plan, tally)
    from analysis.counting.sparse import SparseCounter

    return SparseCounter(plan, tally)


def cut(source: TagSource, plan: Plan, parts: int) -> list[Stretch]:
    """Return up to `parts` record ranges that begin where no trial can be open.

    In T3 that is an overflow record: sync numbers before it are smaller than all after it. In T2
    with trials begun by sync records it is such a record. Other T2 files are not cut.
    """
    begins = _boundary_test(plan)
    total = source.n_records
    if begins is None or parts < 2:
        return [(0, total)]
    edges = [0]
    for part in range(1, parts):
        edge = _next_boundary(source, max(edges[-1] + 1, total * part // parts), begins)
        if edge is None:
            break
        edges.append(edge)
    return list(zip(edges, [*edges[1:], total], strict=True))


def _boundary_test(plan: Plan) -> Callable[[Records], NDArray[np.bool_]] | None:
    layout = plan.layout
    if layout.family == "pico":
        if layout.mode == "T2":
            return None
        return lambda records: (records & np.uint32(0xFFFF0000)) == np.uint32(0xF0000000)
    if layout.mode == "T3":
        return lambda records: records >= np.uint32(0xFE000000)
    if plan.start_code != SYNC:
        return None
    return lambda records: (records & np.uint32(0xFE000000)) == np.uint32(0x80000000)


def _next_boundary(
    source: TagSource, start: int, begins: Callable[[Records], NDArray[np.bool_]]
) -> int | None:
    for block in source.blocks(start):
        hits = np.flatnonzero(begins(block))
        if len(hits):
            return start + int(hits[0])
        start += len(block)
    return None
