"""What a block must pass to count, computed from its own record and nothing else."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import hypot, sqrt
from pathlib import Path

import numpy as np

from analysis.counts import Counts
from analysis.tagfile import PtuFile
from labkit.run.journal import Block
from labkit.run.record import Record

HOPPED = "has hopped by"
"""Words in the reason of a block whose laser is not where it was."""

RATE_PROBLEM = "rate of detector"
"""Words in the reason of a block whose click rate is not what it was."""

PHASE_PROBLEM = "phase lock"
"""Words in the reason of a block through which the interferometer was not surely locked."""

SIGMAS = 5.0
"""A rate counts as changed beyond so many standard deviations, and the allowed change."""

MISSING = 1e-3
"""Part of the trials, or of the trial starts, that may be missing."""

LAST_WRAP = 1024
"""Trials after the last record of which a T3 file need not know, whatever its layout."""

MEMORY = 12
"""Verified blocks before a block to which its rates are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of a block when it is judged.

    Attributes
    ----------
    record : Record
    counts : Counts
    flags : int
        Warning flags in the header of its segment.
    """

    record: Record
    counts: Counts
    flags: int = 0


def problems_of(evidence: Evidence) -> list[str]:
    """Return why a block does not count; empty if it passes every check."""
    return [problem for check in CHECKS for problem in check(evidence)]


def _recorded(evidence: Evidence) -> Iterator[str]:
    record = evidence.record
    if record.damage:
        yield record.damage
    if record.outcome is None:
        yield (
            "its process died before the tagger was asked for its flags, so that nobody knows "
            "whether events were lost"
        )
    else:
        yield from record.outcome.problems


def _flags(evidence: Evidence) -> Iterator[str]:
    if evidence.flags:
        yield f"the header of the segment has warning flags {evidence.flags:#x}"


def _trials(evidence: Evidence) -> Iterator[str]:
    number = evidence.counts.trials.number
    wanted, outcome = evidence.record.plan.demands.trials, evidence.record.outcome
    if number < 1:
        yield "has no trial"
    elif wanted and outcome and outcome.whole and number < wanted * (1 - MISSING) - LAST_WRAP:
        yield f"has {number:,} trials of {wanted:,}"
    missing = evidence.counts.quality.missing_syncs
    if missing > MISSING * number:
        yield f"{missing:,} trial starts are missing among {number:,}"


def _lock(evidence: Evidence) -> Iterator[str]:
    demands = evidence.record.plan.demands
    if not demands.locked:
        return
    lost = [s["t"] for s in evidence.record.samples if s.get("locked", 1.0) < 1]
    monitors = {} if evidence.record.outcome is None else evidence.record.outcome.monitors
    if lost:
        yield f"the {PHASE_PROBLEM} was lost (seen {lost[0]:.0f} s after its start)"
    elif "locked" not in monitors:
        yield f"nobody knows whether the {PHASE_PROBLEM} held to its end"
    elif monitors["locked"] < 1:
        yield f"the {PHASE_PROBLEM} was lost"
    noise = monitors.get("phase_noise", 0.0)
    if noise > demands.phase_noise:
        yield f"the {PHASE_PROBLEM} is loose: {noise:.2g} rad rms"


def _lasers(evidence: Evidence) -> Iterator[str]:
    demands = evidence.record.plan.demands
    if not demands.locked:
        return
    monitors = evidence.record.outcome.monitors if evidence.record.outcome else {}
    for laser, expected in demands.laser_hz.items():
        name = f"{laser}_laser_hz"
        seen = [s[name] for s in (*evidence.record.samples, monitors) if name in s]
        away = max((value - expected for value in seen), key=abs, default=0.0)
        if abs(away) > demands.hop_hz:
            yield f"the {laser} laser {HOPPED} {away / 1e9:+.3g} GHz"


def _silent(evidence: Evidence) -> Iterator[str]:
    counts = evidence.counts
    for gate in evidence.record.plan.demands.lit:
        for detector in counts.gates.detectors:
            if counts.single(gate, detector) == 0:
                yield f"detector {detector} has no {gate} click: latched?"


def _rates(evidence: Evidence) -> Iterator[str]:
    demands, counts = evidence.record.plan.demands, evidence.counts
    trials = counts.trials.number
    for gate, rates in demands.rates.items():
        sigmas = demands.rate_sigmas.get(gate, [0.0] * len(rates))
        for detector, rate, sigma in zip(counts.gates.detectors, rates, sigmas, strict=False):
            expected = rate * trials
            if expected <= 0:
                continue
            change = counts.single(gate, detector) / expected - 1
            noise = SIGMAS * hypot(1 / sqrt(max(expected, 1.0)), sigma / rate)
            if abs(change) > demands.rate_change + noise:
                yield f"{gate} {RATE_PROBLEM} {detector} changed by {100 * change:+.0f} %"


CHECKS: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    _recorded, _flags, _trials, _lock, _lasers, _silent, _rates,
)  # fmt: skip
"""All of them; every one is asked, whatever the others say."""


def usual_rates(verified: list[Block]) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return what verified blocks of one setting click per trial, and how sure that is.

    By gate, for each detector: the median of the last blocks, and its standard deviation, from
    the median absolute deviation and not less than counting statistics.

    Parameters
    ----------
    verified : list of Block
        Those that count, in order; a block that does not is never a reference.
    """
    blocks = [block for block in verified if block.good][-MEMORY:]
    if not blocks:
        return {}, {}
    counts = [block.counts for block in blocks]
    gates = counts[-1].gates
    counts = [one for one in counts if one.gates == gates]
    singles = np.array([one.singles for one in counts], float)
    trials = np.array([one.trials.number for one in counts], float)[:, None, None]
    rates = singles / trials
    middle = np.median(rates, axis=0)
    scatter = 1.4826 * np.median(np.abs(rates - middle), axis=0)
    poisson = np.sqrt(np.maximum(singles.sum(axis=0), 1.0)) / trials.sum()
    sigma = np.maximum(1.2533 * scatter / sqrt(len(counts)), poisson)
    return (
        {gate: middle[i].tolist() for i, gate in enumerate(gates.names)},
        {gate: sigma[i].tolist() for i, gate in enumerate(gates.names)},
    )


def header_flags(path: Path) -> int:
    """Return the warning flags in a segment's header; 0 if it has none."""
    value = PtuFile(path).header.get("TTResult_MDescWarningFlags")
    return value if isinstance(value, int) else 0
