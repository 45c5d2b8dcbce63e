"""The verdict: entangled, not shown, or conditions not met."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np

from analysis.evidence import BlockCounts, Evidence
from analysis.notebook import html_table
from analysis.witness import conditions as conditions_
from analysis.witness.anytime import AnytimeTest, anytime_test
from analysis.witness.cells import Cells, cells_of_blocks
from analysis.witness.conditions import DECLARED, DEMANDS, NOT_MEASURED, Condition
from analysis.witness.laser_light import FaultLimits, fault_limits, null_laser_only
from analysis.witness.profile import (
    MIN_COINCIDENCES,
    RatioEstimate,
    fixed_sample_confidence,
    least_fixed_sample_statistic,
    ratio_estimate,
)
from analysis.witness.separable import blindness_cancels, separable_bound

ENTANGLED = "entangled"
NOT_SHOWN = "not shown"
CONDITIONS_NOT_MET = "conditions not met"
LEVELS = (0.999, 0.99, 0.95)
"""Confidence levels of the word entangled; a verdict states the highest one reached."""

SMALLEST_BOUND = 0.05
LARGEST_WEIGHT_DIFFERENCE = 0.005
UNKNOWN_BLINDNESS = 0.5
"""Upper limit of blindness from which a laser-only run tells nothing about it."""
Kind = Literal["always", "fixed"]


def verdict_sentence(
    decision: str, level: float | None, kind: Kind | None, reasons: Iterable[str]
) -> str:
    """Return a verdict in one line; see `Verdict` for the parameters."""
    if level is not None:
        kinds = {"always": "always-valid", "fixed": "fixed sample"}
        return f"entangled at {100 * level:g} % ({kinds[kind or 'always']})"
    why = "; ".join(reasons)
    return f"{decision}: {why}" if why else decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What counts and conditions say about entanglement.

    Attributes
    ----------
    decision : str
        `ENTANGLED`, `NOT_SHOWN` or `CONDITIONS_NOT_MET`.
    level : float or None
        Confidence level reached, if entangled.
    kind : "always", "fixed" or None
        Whether the level holds however often one looked, or for the fixed number of trials only.
    reasons : tuple of str
        What is wrong or missing; empty if entangled.
    conditions : Mapping[str, Condition]
    R : RatioEstimate
        Symmetrised witness with its 68 % profile-likelihood interval.
    log_E : float
        Logarithm of E against R >= `bound`, now.
    always_confidence : float
        From the largest E so far.
    upper_limit_95 : float
        R is below it with 95 % confidence at every time; infinite if nothing is excluded.
    T, fixed_confidence : float or None
        Fixed-sample test; None with fewer than 20 coincidences of a herald.
    bound : float
        B, the least R of separable states in this set-up.
    trials : int
    next_step : str
        What to measure next.
    """

    decision: str
    level: float | None
    kind: Kind | None
    reasons: tuple[str, ...]
    conditions: Mapping[str, Condition]
    R: RatioEstimate
    log_E: float
    always_confidence: float
    upper_limit_95: float
    T: float | None
    fixed_confidence: float | None
    bound: float
    trials: int
    next_step: str

    @property
    def sentence(self) -> str:
        """The verdict in one line."""
        return verdict_sentence(self.decision, self.level, self.kind, self.reasons)

    def to_dict(self) -> dict[str, object]:
        """Return the ``verdict`` object of the command line's JSON; infinities are null there."""
        ratio = {"value": self.R.value, "low": self.R.low, "high": self.R.high}
        return {
            "decision": self.decision,
            "level": self.level,
            "kind": self.kind,
            "reasons": list(self.reasons),
            "conditions": {name: one.to_dict() for name, one in self.conditions.items()},
            "R": {name: _finite(value) for name, value in ratio.items()},
            "E": math.exp(self.log_E) if self.log_E < 700.0 else None,
            "log_E": self.log_E,
            "always_confidence": self.always_confidence,
            "upper_limit_95": _finite(self.upper_limit_95),
            "fixed_confidence": self.fixed_confidence,
            "T": self.T,
            "bound": self.bound,
        }

    def __str__(self) -> str:
        return "\n".join(f"{name:<12}{text}" for name, text in self.lines())

    def __repr__(self) -> str:
        return f"<Verdict: {self.sentence}>"

    def _repr_html_(self) -> str:
        """Show the ten lines and every condition in a notebook."""
        words = {True: "met", False: "not met", None: "undecided"}
        conditions = [
            (one.name, "" if one.value is None else _short(one), one.demand,
             NOT_MEASURED if one.source == NOT_MEASURED else words[one.met], one.source)
            for one in self.conditions.values()
        ]  # fmt: skip
        head = ("condition", "value", "demand", "", "source")
        return html_table(self.lines()) + html_table(conditions, head)

    def lines(self) -> tuple[tuple[str, str], ...]:
        """Return the ten lines that ``str`` joins: name and text of each."""
        unmet = "if the conditions held: " if self.decision == CONDITIONS_NOT_MET else ""
        limit = "none yet" if math.isinf(self.upper_limit_95) else f"R < {self.upper_limit_95:.3f}"
        fixed = "needs 20 coincidences of each herald"
        if self.T is not None and self.fixed_confidence is not None:
            fixed = f"T = {self.T:.3f}, confidence {100 * self.fixed_confidence:.2f} %"
            if self.conditions["fixed_or_always"].value != "fixed":
                fixed += " if N had been fixed in advance: not declared"
        named = list(self.conditions.values())
        met = [f"{one.name} {_short(one)}" for one in named
               if one.met and one.source != DECLARED]  # fmt: skip
        declared = [f"{one.name} {_short(one)}" for one in named
                    if one.met and one.source == DECLARED]  # fmt: skip
        failed = [str(one) for one in named if one.met is False]
        absent = [one.name for one in named if one.met is None]
        return (
            ("VERDICT", self.sentence),
            ("R", f"{self.R} (symmetrised, 68 %); separable states: R >= {self.bound:.4f}"),
            (
                "any time",
                f"{unmet}log E = {self.log_E:.3f}, confidence {100 * self.always_confidence:.2f} %",
            ),
            ("upper limit", f"{unmet}{limit} (95 %, any time)"),
            ("fixed N", f"{unmet}{fixed}"),
            ("measured", ", ".join(met) or "none"),
            ("declared", f"{', '.join(declared)}: not measured" if declared else "none"),
            ("failed", "; ".join(failed) or "none"),
            ("unknown", ", ".join(absent) or "none"),
            ("next", self.next_step),
        )


def _short(condition: Condition) -> str:
    value = condition.value
    return value if isinstance(value, str) else "" if value is None else f"{value:.3g}"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def judge(
    evidence: Evidence,
    *,
    measured: Iterable[Condition] = (),
    test: AnytimeTest | Callable[[float], AnytimeTest] | None = None,
    bound: float = 1.0,
    timed: bool = False,
) -> Verdict:
    """Decide whether the evidence shows entanglement.

    Every condition must be measured or declared, and met. A condition in `measured` takes the place
    of a declared one. The statistical level is the highest of `LEVELS` that the always-valid test
    reaches at the bound B; or the fixed-sample test, if the number of trials was fixed in advance
    and each herald has 20 coincidences. Only one of them decides: the better of two tests at 95 %
    is wrong more often than in 5 %.

    Parameters
    ----------
    evidence : Evidence
        Counts by block, laser-only counts, declared conditions.
    measured : iterable of Condition
        Conditions evaluated elsewhere: single arms, phase scan, shifted trials; also further ones.
    test : AnytimeTest or callable, optional
        State after all blocks, if it was kept up during the run, or what gives it for the bound B;
        otherwise it is computed.
    bound : float
        Largest bound to use, 0.05 to 1; B is lower if the set-up demands it.
    timed : bool
        Whether the evidence is a run with times, so that shifted trials and short blocks can be
        demanded; counts alone cannot show drifts inside a block.

    Raises
    ------
    ValueError
        If `bound` is outside its range, or `test` has seen other blocks.

    Notes
    -----
    Riedinger et al., Nature 556, 473 (2018), state R_m and its assumptions (main text after
    Eq. (3), supplement "Entanglement witness and Systematic Errors").
    """
    if not SMALLEST_BOUND <= bound <= 1.0:
        message = f"`bound` must lie between {SMALLEST_BOUND:g} and 1, but is {bound:g}"
        raise ValueError(message)
    blocks = cells_of_blocks((block.theta, block.pi) for block in evidence.blocks)
    total = blocks.total
    found = _conditions(evidence, total, measured, timed=timed)
    faults = _faults(evidence, total)
    if found["null_laser_only"].met and (doubt := _doubt(evidence, total, faults)):
        found["null_laser_only"] = replace(found["null_laser_only"], met=None, problem=doubt)
    limit = min(bound, _bound(evidence, total, found, faults))
    if limit < SMALLEST_BOUND:
        limit = SMALLEST_BOUND
        weak = found["null_laser_only"]
        if weak.met:
            problem = "laser-only run too weak: nothing is excluded"
            found["null_laser_only"] = replace(weak, met=False, problem=problem)
    if callable(test):
        test = test(limit)
    if test is not None and test.blocks + test.skipped != len(blocks):
        message = (
            f"`test` must have seen the {len(blocks)} blocks of the evidence, but has seen "
            f"{test.blocks + test.skipped}"
        )
        raise ValueError(message)
    if test is None:
        test = anytime_test(limit)
        for number in range(len(blocks)):
            test = test.add(blocks[number])
    statistic = _statistic(total, limit)
    even = _weight_difference(blocks) <= LARGEST_WEIGHT_DIFFERENCE
    fixed = fixed_sample_confidence(statistic) if statistic is not None else None
    always = test.confidence(limit)
    usable = fixed if evidence.trials_fixed_in_advance and even else None
    decision, level, kind, reasons = _decide(
        found, always, usable, even=even or not evidence.trials_fixed_in_advance
    )
    counted = sum(block.theta.trials + (block.pi.trials if block.pi else 0)
                  for block in evidence.blocks)  # fmt: skip
    return Verdict(
        decision=decision,
        level=level,
        kind=kind,
        reasons=reasons,
        conditions=MappingProxyType(found),
        R=_estimate(total),
        log_E=test.log_e_at(limit),
        always_confidence=always,
        upper_limit_95=test.upper_limit(0.05),
        T=statistic,
        fixed_confidence=fixed,
        bound=limit,
        trials=counted,
        next_step=_next_step(found, level, test.log_e_at(limit), counted),
    )


def _conditions(
    evidence: Evidence, total: Cells, measured: Iterable[Condition], *, timed: bool
) -> dict[str, Condition]:
    """Return all conditions by name: measured before declared before not measured."""
    alternated = evidence.pi is not None
    known = conditions_.declared_conditions(evidence.declared)
    here = [conditions_.crossed_exceeds_same(total), _kept_up(evidence)]
    if alternated:
        here.append(conditions_.fringe_of_turn(total))
    if evidence.laser_only is not None:
        here.append(null_laser_only(evidence.laser_only, evidence.laser_only_bright))
    here.append(_block_length(evidence.blocks, timed=timed))
    known |= {one.name: one for one in [*here, *measured]}
    optional = {"device_ratio", *(() if timed else ("null_shuffled", "blocks"))}
    if alternated:
        optional.add("splitting")
    absent = {
        name: conditions_.not_measured(name, demand, required=name not in optional)
        for name, demand in DEMANDS.items()
    }
    return absent | known


def _kept_up(evidence: Evidence) -> Condition:
    fixed = evidence.trials_fixed_in_advance
    return Condition(
        name="fixed_or_always",
        value="fixed" if fixed else "always",
        demand=DEMANDS["fixed_or_always"],
        met=True,
        source=DECLARED if fixed else conditions_.THIS_RUN,
    )


def _block_length(blocks: tuple[BlockCounts, ...], *, timed: bool) -> Condition:
    """Demand short blocks of a run; counts alone may come in blocks of any length."""
    longest = max(block.theta.trials for block in blocks)
    short = longest <= conditions_.LONGEST_BLOCK
    return Condition(
        name="blocks",
        value=float(longest),
        demand=DEMANDS["blocks"],
        met=True if short else False if timed else None,
        source=conditions_.THIS_RUN,
        problem="" if short else "blocks too long: drifts inside them cannot be seen",
        required=timed,
    )


def _faults(evidence: Evidence, total: Cells) -> FaultLimits:
    """Return what detectors may do unnoticed: as declared, else as laser-only runs limit it."""
    declared, limits = evidence.declared, FaultLimits()
    if {"null_blindness_upper", "null_crosstalk_upper"} <= declared.keys():
        limits = FaultLimits(
            blindness=declared["null_blindness_upper"], crosstalk=declared["null_crosstalk_upper"]
        )
    elif evidence.laser_only is not None:
        limits = fault_limits(
            evidence.laser_only, evidence.theta, bright=evidence.laser_only_bright,
            largest_low=(_largest_low(total, 0), _largest_low(total, -1)),
        )  # fmt: skip
    same, crossed = blindness_cancels(total)
    alternated = evidence.pi is not None
    return replace(
        limits,
        blindness=0.0 if same else limits.blindness,
        cross_blindness=0.0 if crossed or not alternated else limits.cross_blindness,
        crosstalk=min(limits.crosstalk, 1e9), gain=min(limits.gain, 1e9),
        jitter=min(limits.jitter, 1e9),
    )  # fmt: skip


def _doubt(evidence: Evidence, total: Cells, faults: FaultLimits) -> str:
    """Return why laser light, measured or declared, does not exclude blind detectors."""
    if faults.blindness >= UNKNOWN_BLINDNESS and "null_blindness_upper" not in evidence.declared:
        return "no laser-only run with a bright read gate: afterpulses may hide blind detectors"
    if faults.cross_blindness >= UNKNOWN_BLINDNESS:
        return "no laser-only run with a bright read gate: crosstalk may hide blind detectors"
    if not all(blindness_cancels(total)):
        for count, expected in zip(
            total.low.sum(axis=0), total.low_accidentals.sum(axis=0), strict=True
        ):
            if count < expected and conditions_.poisson_p(count, expected) < conditions_.SMALLEST_P:
                return "g² of low cells is below 1, as only blind detectors make it"
    return ""


def _bound(
    evidence: Evidence, total: Cells, found: Mapping[str, Condition], faults: FaultLimits
) -> float:
    return separable_bound(
        read_difference=min(_upper(found["read_balance"]) or 0.0, 1.99),
        pump_difference=min(_upper(found["pump_balance"]) or 0.0, 1.99),
        device_ratio=_upper(found["device_ratio"]),
        alternated=evidence.pi is not None,
        even_splitting=_even(found["splitting"]) and found["device_ratio"].source != DECLARED,
        **asdict(faults),
        same=_upper_same(total),
    )


def _even(splitting: Condition) -> bool:
    """Whether the combiner was measured to be even, with its error."""
    ends = (splitting.low, splitting.high)
    return splitting.source != DECLARED and all(
        end is not None and abs(end - 0.5) <= conditions_.LARGEST_SPLITTING_ERROR for end in ends
    )


def _upper(condition: Condition) -> float | None:
    if condition.high is not None:
        return condition.high
    return condition.value if isinstance(condition.value, float) else None


def _upper_same(total: Cells) -> float:
    """Return the mean g² of the low cells plus two errors."""
    if not total.complete:
        return 1.2
    error = math.sqrt(float((total.low / total.low_accidentals**2).sum())) / total.n
    return max(total.s + 2.0 * error, 1.0)


def _largest_low(total: Cells, turn: int) -> float:
    """Return the largest g² of a low cell of a turn plus two errors."""
    low, expected = total.low[:, turn], total.low_accidentals[:, turn]
    if not (expected > 0.0).all():
        return 1.2
    return float(((low + 2.0 * np.sqrt(low + 1.0)) / expected).max())


def _statistic(total: Cells, limit: float) -> float | None:
    if total.complete and total.by_herald.min() >= MIN_COINCIDENCES:
        return least_fixed_sample_statistic(total, limit)
    return None


def _estimate(total: Cells) -> RatioEstimate:
    if total.complete:
        return ratio_estimate(total)
    return RatioEstimate(value=math.inf, low=0.0, high=math.inf)


def _weight_difference(blocks: Cells) -> float:
    """Return how differently the sums weigh the blocks in low and in high cells, 0 to 1.

    Each block's means of g² are those of a separable state; their means over blocks are, too, if
    both are taken with the same weights, because c*(s) is concave.
    """
    weights = []
    for by_block in (blocks.low_accidentals, blocks.high_accidentals):
        total = by_block.sum(axis=0)
        share = np.divide(by_block, total, out=np.zeros_like(by_block), where=total > 0.0)
        weights.append(share.mean(axis=(1, 2)))
    return float(np.abs(weights[0] - weights[1]).sum() / 2.0)


def _decide(
    found: Mapping[str, Condition], always: float, fixed: float | None, *, even: bool
) -> tuple[str, float | None, Kind | None, tuple[str, ...]]:
    reasons = [one.problem for one in found.values() if one.met is False]
    missing = [one.name for one in found.values() if one.missing]
    if missing:
        reasons.append(f"not measured: {', '.join(missing)}")
    if reasons:
        return CONDITIONS_NOT_MET, None, None, tuple(reasons)
    undecided = [one.problem for one in found.values() if one.required and one.met is None]
    if undecided:
        return NOT_SHOWN, None, None, tuple(undecided)
    kind: Kind = "always" if fixed is None else "fixed"
    confidence = always if fixed is None else fixed
    reached = [level for level in LEVELS if confidence >= level]
    if reached:
        return ENTANGLED, max(reached), kind, ()
    word = {"always": "always-valid", "fixed": "fixed-sample"}[kind]
    reasons.append(f"{word} confidence {100 * confidence:.2f} % is below {100 * min(LEVELS):g} %")
    if not even:
        reasons.append(
            "fixed-sample test withheld: low and high cells weigh the blocks differently"
        )
    return NOT_SHOWN, None, None, tuple(reasons)


def _next_step(
    found: Mapping[str, Condition], level: float | None, log_e: float, trials: int
) -> str:
    failed = [one.name for one in found.values() if one.met is False]
    missing = [one.name for one in found.values() if one.missing]
    if failed:
        return f"repair what fails: {', '.join(failed)}"
    if missing:
        return f"measure {', '.join(missing)}"
    wanted = [one for one in LEVELS if level is None or one > level]
    if not wanted:
        return "nothing: the highest level is reached"
    goal = min(wanted)
    if log_e > 0.5:
        more = trials * (-math.log1p(-goal) / log_e - 1.0)
        if more > 0.0:
            return (
                f"about {more:.2g} more trials to {100 * goal:g} % at any time, if E keeps growing"
            )
    return f"more trials: {trials:.3g} are too few for {100 * goal:g} % at any time"
