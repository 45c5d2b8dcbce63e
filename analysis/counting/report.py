"""What a finished pass says: counts, trials measured, and what gives reason to doubt them."""

import numpy as np

from analysis.counting.tally import Plan, S, Tally
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
from analysis.tagfile.source import TagSource


def report_counts(source: TagSource, plan: Plan, tally: Tally, *, final: bool) -> Counts:
    """Turn the sums of a pass into counts.

    Parameters
    ----------
    source : TagSource
    plan : Plan
    tally : Tally
        Of all records of `source` so far.
    final : bool
        Whether the pass is over: only then does the header say how much was measured.

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
    warnings += _period_warning(source, gates) + _silent_detectors(gates, tally)
    inside = tally.histogram[:-1, :-1].copy()
    gated = line.gate_of_bin[:-1]
    clicks = np.stack([inside[:, gated == gate].sum(axis=1) for gate in range(len(gates.gates))])
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
        seconds = source.measured_time or (int(state[S.LAST]) + 1) * source.resolution
        number = max(round(seconds / plan.gates.period), int(state[S.LAST]) // plan.clock + 1)
        return exact_trials(number, "measured time / period"), None
    number = int(state[S.TRIALS])
    if number == 0 and final:
        message = (
            f"{source.path}: must hold trial starts ({plan.gates.trial}), but none of its "
            f"{int(state[S.RECORDS]):,} records is one; see `labkit info` for what it holds and "
            "set `trial` in the gates file"
        )
        raise ValueError(message)
    return exact_trials(number, f"trial starts ({plan.gates.trial}) in the records"), None


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
