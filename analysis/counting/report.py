"""What a finished pass says: counts, trials measured, and what gives reason to doubt them."""

from math import ceil, log

import numpy as np

from analysis.counting.tally import NONE, Plan, S, Tally
from analysis.counts import (
    Counts,
    Quality,
    Trials,
    doubled_syncs_warning,
    exact_trials,
    trials_from_sync_numbers,
)
from analysis.gates import GateSet
from analysis.tagfile.acquisition import SIZE_WARNINGS
from analysis.tagfile.doubts import (
    DOUBTFUL_PART,
    counts_overflows,
    duration_warnings,
    layout_warnings,
)
from analysis.tagfile.source import TagSource


def report_counts(
    source: TagSource, plan: Plan, tally: Tally, *, final: bool, disorder: str = ""
) -> Counts:
    """Turn the sums of a pass into counts.

    Parameters
    ----------
    source : TagSource
    plan : Plan
    tally : Tally
        Of all records of `source` so far.
    final : bool
        Whether the pass is over: only then does the header say how much was measured.
    disorder : str, optional
        What to say about tags out of order instead of the general warning.

    Raises
    ------
    ValueError
        If the pass is over and no record began a trial (T2).
    """
    gates, line = plan.gates, plan.timeline
    # Before the end, what the header says about the file's size is out of date.
    told = [w for w in source.warnings if final or w.code not in SIZE_WARNINGS]
    warnings = [str(warning) for warning in told]
    trials, doubt = _trials(source, plan, tally, final=final)
    if doubt:
        warnings.append(doubt)
    state = tally.state
    if state[S.DOUBLED]:
        first = int(state[S.FIRST_DOUBLED])
        warnings.append(doubled_syncs_warning(int(state[S.DOUBLED]), first))
    warnings += _quality_warnings(source, plan, tally, disorder)
    if final:
        warnings += _duration_warnings(source, tally)
    warnings += _period_warning(source, gates) + _silent_detectors(gates, tally)
    inside = tally.histogram[:-1, :-1].copy()
    gated = line.gate_of_bin[:-1]
    cells = plan.cell_of[:-1, :-1]
    clicks = np.zeros((len(gates.gates), len(gates.detectors)), np.int64)
    np.add.at(clicks.reshape(-1), cells[cells != NONE], inside[cells != NONE])
    repeated = tally.repeated.reshape(clicks.shape).copy()
    return Counts(
        gates=gates,
        trials=trials,
        singles=clicks - repeated,
        pairs=tally.pairs + tally.pairs.T,
        repeated=repeated,
        histogram=inside,
        bin_edges=line.edges(source.resolution),
        gate_of_bin=gated,
        quality=Quality(
            records=int(state[S.RECORDS]),
            missing_syncs=int(state[S.MISSING]),
            doubled_syncs=int(state[S.DOUBLED]),
            out_of_order=int(state[S.BACKWARDS]),
            unknown_records=int(state[S.UNKNOWN]),
            early_clicks=int(state[S.EARLY]),
            foreign_clicks=int(tally.histogram[-1].sum()),
            ungated_clicks=int(tally.histogram[:-1].sum() - clicks.sum()),
            markers=int(state[S.MARKERS]),
            repeated_clicks=int(repeated.sum()),
            crowded_trials=int(state[S.CROWDED_TRIALS]),
            warnings=tuple(f"{source.path.name}: {text}" for text in warnings),
        ),
    )


def _trials(
    source: TagSource, plan: Plan, tally: Tally, *, final: bool
) -> tuple[Trials, str | None]:
    state = tally.state
    if plan.layout.mode == "T3":
        seen = int(max(state[S.WRAPPED], state[S.LAST] + 1, state[S.HIGHEST] + 1))
        return trials_from_sync_numbers(
            seen,
            wrap=plan.layout.wrap,
            measured_time=source.measured_time if final else None,
            sync_rate=source.sync_rate,
        )
    if plan.clock:
        return _clock_trials(source, plan, tally, final=final)
    number = int(state[S.TRIALS]) * plan.divider
    if number == 0 and final:
        message = (
            f"{source.path}: must hold trial starts ({plan.gates.trial}), but none of its "
            f"{int(state[S.RECORDS]):,} records is one; see `labkit info` for what it holds and "
            "set `trial` in the gates file"
        )
        raise ValueError(message)
    return exact_trials(number, f"trial starts ({plan.gates.trial}) in the records"), None


UNLIKELY = 1e-6
"""Probability below which tags are not believed to begin so late, or to end so early, by chance."""


def _clock_trials(
    source: TagSource, plan: Plan, tally: Tally, *, final: bool
) -> tuple[Trials, str | None]:
    """Return the trials that the clock began, having checked that it began where they did.

    Without a measured time, trials after the last tag are not known: there are no more than
    leave it the last with probability `UNLIKELY`, at the rate before it.

    Raises
    ------
    ValueError
        If trials are numbered from the clock's zero, but the tags begin long after it.
    """
    state = tally.state
    reached = int(max(state[S.LAST] + 1, state[S.WRAPPED]))
    seen = max((reached - 1 - plan.origin) // plan.clock + 1, 0)
    measured = source.measured_time if final else None
    claimed = round(measured / plan.gates.period) if measured else 0
    silent = ceil(-log(UNLIKELY) * seen / max(_tags(tally), 1))
    begun_at_zero = plan.gates.trial.t0 is None
    doubt = _origin_doubt(source, plan, tally) if final and begun_at_zero else None
    if begun_at_zero and claimed >= seen and not _duration_warnings(source, tally):
        return exact_trials(claimed, "measured time / period"), doubt
    source_of = f"time {'up' if begun_at_zero else 'from `t0`'} to the last tag / period"
    high = max(seen + silent, claimed)
    return Trials(number=seen, low=seen, high=high, source=source_of), doubt


def _origin_doubt(source: TagSource, plan: Plan, tally: Tally) -> str | None:
    """Say that trials may not be numbered from the clock's zero; refuse if they surely are not.

    Were n tags spread over the time from zero to the last, all of them would come after the first
    with probability (1 - first / last)^(n - 1).
    """
    state = tally.state
    first, last = int(state[S.FIRST]), int(state[S.LAST])
    if first < 0 or last <= 0:
        return None
    by_chance = ((last - first) / last) ** max(_tags(tally) - 1, 0)
    measured = source.measured_time
    beyond = measured is not None and last * source.resolution > 1.01 * measured + 1e-3
    if by_chance >= UNLIKELY and not beyond:
        return None
    begin, end = first * source.resolution, last * source.resolution
    remedy = (
        "if its clock began elsewhere (many time taggers count from power-on), set "
        "`trial: {clock: {t0: first}}`, a marker, or the time in s; `t0: 0` if not"
    )
    if beyond or first > last - first:
        found = f"its header says {measured:g} s, but " if beyond else ""
        message = (
            f"{source.path}: trials numbered from the clock's zero make no sense: {found}its tags "
            f"begin at {begin:.9g} s and end at {end:.9g} s; {remedy}"
        )
        raise ValueError(message)
    return f"the tags begin only {begin:g} s after the clock's zero, where trial 0 is; {remedy}"


def _tags(tally: Tally) -> int:
    return int(tally.histogram.sum() + tally.state[S.MARKERS])


def _duration_warnings(source: TagSource, tally: Tally) -> list[str]:
    """Compare the header's measured time with the records (T2; in T3 the trials say it)."""
    if source.layout.mode == "T3":
        return []
    reached = int(max(tally.state[S.WRAPPED], tally.state[S.LAST] + 1)) * source.resolution
    return [str(warning) for warning in duration_warnings(source, reached)]


_CAN_CHANGE_COUNTS = {
    S.MISSING: "trial starts are missing where the period calls for one: trials without a start "
    "are not counted, and their clicks fall behind the trial before",
    S.BACKWARDS: "tags come before the tag that precedes them: coincidences may be lost",
    S.UNKNOWN: "records have a reserved code and were left out",
    S.EARLY: "clicks came before the first trial and are not counted",
    S.LATE: "clicks are later than the sync period that the header gives: the resolution, the "
    "period or the record type in the header is wrong, or the sync was divided",
}
"""Quality numbers that say that a count could be another, and how."""


def _quality_warnings(source: TagSource, plan: Plan, tally: Tally, disorder: str) -> list[str]:
    said = []
    for place, meaning in _CAN_CHANGE_COUNTS.items():
        number = int(tally.state[place])
        if place == S.BACKWARDS and disorder:
            said.append(disorder)
        elif number:
            said.append(f"{number:,} {meaning}")
    records = max(int(tally.state[S.RECORDS]), 1)
    doubtful = int(tally.state[S.UNKNOWN] + tally.state[S.BACKWARDS] + tally.state[S.LATE])
    if doubtful > DOUBTFUL_PART * records or not counts_overflows(plan.layout):
        said += [str(warning) for warning in layout_warnings(source)]
    return said


def _period_warning(source: TagSource, gates: GateSet) -> list[str]:
    """Compare the gates' period with the file's sync rate."""
    if gates.trial.kind != "sync" or not source.sync_rate:
        return []
    found = 1 / source.sync_rate
    if abs(found - gates.period) <= 0.01 * gates.period:
        return []
    return [
        f"the gates' period is {gates.period:g} s, but the header's sync rate of "
        f"{source.sync_rate:g} /s makes {found:g} s: check the gates file"
    ]


def _silent_detectors(gates: GateSet, tally: Tally) -> list[str]:
    clicks = tally.histogram[:-1].sum(axis=1)
    return [
        f"detector {number} (channel {channel}) has no click at all"
        for (number, channel), n in zip(gates.detectors.items(), clicks, strict=True)
        if n == 0
    ]
