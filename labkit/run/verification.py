"""What a block must pass to count, computed from its own record and nothing else."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isnan, nan, sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from analysis.constancy import surely_changed, unsteady
from analysis.counts import Counts
from analysis.questions.stretches import clicks_in_stretches
from analysis.tagfile import PtuFile
from labkit.run.record import BlockRecord

HOPPED = "has hopped by"
"""Words in the reason of a block whose laser is not where it was."""

RATE_PROBLEM = "rate of detector"
"""Words in the reason of a block whose click rate is not what it was."""

POWER_PROBLEM = "pump_power was"
"""Words in the reason of a block through which the pump's power was not what it was."""

PHASE_PROBLEM = "phase lock"
"""Words in the reason of a block through which the interferometer was not surely locked."""

STRETCH = 10.0
"""Seconds of a block whose clicks are compared with the rest of it."""

MISSING = 1e-3
"""Part of the trials, or of the trial starts, that may be missing."""

LAST_WRAP = 1024
"""Trials after the last record of which a T3 file need not know, whatever its layout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockEvidence:
    """All that is known of a block when it is judged.

    Attributes
    ----------
    record : BlockRecord
    counts : Counts
    flags : int
        Warning flags in the header of its segment.
    stretches : ndarray of int or None
        Trials with clicks in stretches of `STRETCH` s, shape (stretches, gates, detectors), if
        they must be steady.
    """

    record: BlockRecord
    counts: Counts
    flags: int = 0
    stretches: NDArray[np.int64] | None = None


def evidence_of(record: BlockRecord, counts: Counts, segment: Path) -> BlockEvidence:
    """Return all that is known of a block by its record, its counts and its segment.

    Raises
    ------
    TagFileError
        If the segment cannot be read.
    """
    stretches = None
    if record.plan.demands.steady:
        length = max(1, round(STRETCH / counts.gates.period))
        stretches = clicks_in_stretches(segment, counts.gates, counts.trials.number, length)
    return BlockEvidence(
        record=record, counts=counts, flags=header_flags(segment), stretches=stretches
    )


def problems_of(evidence: BlockEvidence) -> list[str]:
    """Return why a block does not count; empty if it passes every check."""
    return [problem for check in CHECKS for problem in check(evidence)]


def _recorded(evidence: BlockEvidence) -> Iterator[str]:
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


def _flags(evidence: BlockEvidence) -> Iterator[str]:
    if evidence.flags:
        yield f"the header of the segment has warning flags {evidence.flags:#x}"


def _trials(evidence: BlockEvidence) -> Iterator[str]:
    number = evidence.counts.trials.number
    wanted, outcome = evidence.record.plan.demands.trials, evidence.record.outcome
    if number < 1:
        yield "has no trial"
    elif wanted and outcome and outcome.whole and number < wanted * (1 - MISSING) - LAST_WRAP:
        yield f"has {number:,} trials of {wanted:,}"
    missing = evidence.counts.quality.missing_syncs
    if missing > MISSING * number:
        yield f"{missing:,} trial starts are missing among {number:,}"


def _lock(evidence: BlockEvidence) -> Iterator[str]:
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
    errors = [s["phase_error"] for s in evidence.record.samples if "phase_error" in s]
    rms = sqrt(sum(error**2 for error in errors) / max(len(errors), 1))
    if errors and rms > demands.phase_noise * (1 + 2 / sqrt(len(errors))):
        yield f"the {PHASE_PROBLEM} was loose within it: {rms:.2g} rad rms of {len(errors)} looks"


def _bounds(evidence: BlockEvidence) -> Iterator[str]:
    outcome = evidence.record.outcome
    at_end = {} if outcome is None else {"t": nan, **outcome.monitors}
    for name, (low, high) in evidence.record.plan.demands.bounds.items():
        for seen in (*evidence.record.samples, at_end):
            if name in seen and not low <= seen[name] <= high:
                when = "at its end" if isnan(seen["t"]) else f"{seen['t']:.0f} s after its start"
                yield f"{name} was {seen[name]:.4g} {when}, not between {low:.4g} and {high:.4g}"
                break


def _lasers(evidence: BlockEvidence) -> Iterator[str]:
    demands = evidence.record.plan.demands
    if not demands.locked:
        return
    monitors = evidence.record.outcome.monitors if evidence.record.outcome else {}
    for laser, expected in demands.laser_hz.items():
        name = f"{laser}_laser_hz"
        seen = [s[name] for s in (*evidence.record.samples, monitors) if name in s]
        if not seen:
            yield f"nobody knows where the {laser} laser was: its wavemeter told nothing"
        away = max((value - expected for value in seen), key=abs, default=0.0)
        if abs(away) > demands.hop_hz:
            yield f"the {laser} laser {HOPPED} {away / 1e9:+.3g} GHz"


def _silent(evidence: BlockEvidence) -> Iterator[str]:
    counts = evidence.counts
    for gate in evidence.record.plan.demands.lit:
        for detector in counts.gates.detectors:
            if counts.single(gate, detector) == 0:
                yield f"detector {detector} has no {gate} click: latched?"


def _rates(evidence: BlockEvidence) -> Iterator[str]:
    demands = evidence.record.plan.demands
    changed = list(
        _changed(evidence, demands.rates, demands.rate_sigmas, demands.rate_change, "changed by")
    )
    yield from changed
    if not changed:
        yield from _changed(
            evidence, demands.calibrated, demands.calibrated_sigmas, demands.calibrated_change,
            "differs from its calibration by",
        )  # fmt: skip


def _changed(
    evidence: BlockEvidence,
    expected: dict[str, list[float]],
    sigmas: dict[str, list[float]],
    allowed: float,
    verb: str,
) -> Iterator[str]:
    counts = evidence.counts
    trials = counts.trials.number
    for gate, rates in expected.items():
        errors = sigmas.get(gate, [0.0] * len(rates))
        for detector, rate, sigma in zip(counts.gates.detectors, rates, errors, strict=False):
            clicks = counts.single(gate, detector)
            if rate > 0 and surely_changed(clicks, trials, rate, sigma, allowed):
                change = clicks / (rate * trials) - 1
                yield f"{gate} {RATE_PROBLEM} {detector} {verb} {100 * change:+.0f} %"


def _steady(evidence: BlockEvidence) -> Iterator[str]:
    if evidence.stretches is None:
        return
    found = unsteady(evidence.stretches)
    if found is not None:
        gates, length = evidence.counts.gates, max(1, round(STRETCH / evidence.counts.gates.period))
        begin, end = (n * length * gates.period for n in (found.first, found.last + 1))
        yield (
            f"{gates.names[found.gate]} clicks came at {found.ratio:.2g} times their usual rate "
            f"from {begin:.0f} s to {end:.0f} s"
        )


CHECKS: tuple[Callable[[BlockEvidence], Iterator[str]], ...] = (
    _recorded, _flags, _trials, _lock, _lasers, _bounds, _silent, _rates, _steady,
)  # fmt: skip
"""All of them; every one is asked, whatever the others say."""


def header_flags(path: Path) -> int:
    """Return the warning flags in a segment's header; 0 if it has none."""
    value = PtuFile(path).header.get("TTResult_MDescWarningFlags")
    return value if isinstance(value, int) else 0
