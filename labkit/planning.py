"""Questions before a measurement: how long, at which settings, how far apart, and what else."""

import math
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace

import numpy as np

from analysis.counts_file import WitnessCounts
from labkit.report.tables import ResultTable
from simulation.inference.goals import Goals, goals_at
from simulation.inference.operation import Knobs, Operation
from simulation.inference.optimum import BestSettings, best_settings, expected_trials
from simulation.inference.planning import (
    ClickRates,
    Spread,
    WitnessPlan,
    claim_spread,
    claim_trials,
    plan_witness,
    sigma_spread,
    sigma_trials,
)
from simulation.theory.dlcz import pair_clicks
from simulation.theory.dlcz.extrapolation import DB_PER_M, fibre_length, integration_time

FIBRES = ((5.4, 10.6), (5.4, 7.31))
"""Losses of A and B in dB that the paper's devices tolerate (seed 003): 94 km, and 75 km."""

SEARCHED = 15
"""Draws of a posterior that optima and fibres are computed for."""

CLAIM = 0.99
"""Confidence that optima and fibres are planned for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimPlan:
    """A confidence, what it takes by expected counts, and how luck spreads it."""

    plan: WitnessPlan
    spread: Spread

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {**self.plan.to_dict(), "spread": self.spread.to_dict()}


@dataclass(frozen=True, slots=True, kw_only=True)
class SigmaPlan:
    """k σ of the paper's posterior, for a number of trials fixed before."""

    k: float
    trials: float
    spread: Spread

    def to_dict(self) -> dict[str, object]:
        """Return plain types; never is None."""
        trials = self.trials if math.isfinite(self.trials) else None
        return {"k": self.k, "trials": trials, "spread": self.spread.to_dict()}


@dataclass(frozen=True, slots=True, kw_only=True)
class FibreStudy:
    """The devices at the ends of fibres.

    Attributes
    ----------
    loss_A, loss_B : float
        dB that each device's fibre has; the other arm is attenuated to the larger one.
    distance : float
        Fibre between the devices, m.
    as_extended : float
        Time for the coincidences of the paper's extended set, s, with its 15 % overhead.
    trials : float
        Expected to the always-valid claim of 99 % there; inf for never.
    R_m : float
        By the model.
    """

    loss_A: float
    loss_B: float
    distance: float
    as_extended: float
    trials: float
    R_m: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What `labkit plan` found.

    Attributes
    ----------
    measured_trials : int
        So far, if a run was given.
    R : float
        Expected symmetrised witness.
    claims, sigmas, fibres : tuple
    optimum, goals : BestSettings, Goals or None
    remarks : tuple of str
        What is assumed.
    """

    measured_trials: int
    R: float
    claims: tuple[ClaimPlan, ...]
    sigmas: tuple[SigmaPlan, ...] = ()
    optimum: BestSettings | None = None
    goals: Goals | None = None
    fibres: tuple[FibreStudy, ...] = ()
    remarks: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, object]:
        """Return plain types; infinite is None."""
        found: dict[str, object] = {
            "measured_trials": self.measured_trials,
            "plans": [each.to_dict() for each in self.claims],
            "assumed": list(self.remarks),
        }
        if self.sigmas:
            found["sigmas"] = [each.to_dict() for each in self.sigmas]
        if self.optimum is not None:
            found["optimum"] = _finite(asdict(self.optimum))
        if self.goals is not None:
            found["goals"] = self.goals.to_dict()
        if self.fibres:
            found["fibres"] = [_finite(asdict(each)) for each in self.fibres]
        return found

    def tables(self) -> list[ResultTable]:
        """Return what there is as tables of text."""
        found = [self._claims()]
        if self.sigmas:
            found.append(self._sigmas())
        if self.optimum is not None:
            found.append(_optimum_table(self.optimum))
        if self.goals is not None:
            found.append(_goals_table(self.goals))
        if self.fibres:
            found.append(_fibres_table(self.fibres))
        return found

    def _claims(self) -> ResultTable:
        bound = self.claims[0].plan.bound
        rows = []
        for each in self.claims:
            plan = each.plan
            left = max(0.0, plan.seconds * (1 - self.measured_trials / plan.trials))
            rows.append(
                (
                    f"{100 * plan.confidence:g} %", f"{plan.trials:.3g}",
                    f"{plan.seconds / 3600:.1f}", f"{left / 3600:.1f}", _spread_text(each.spread),
                )
            )  # fmt: skip
        done = self.measured_trials
        return ResultTable(
            title=f"expected R = {self.R:.3f}",
            head=(
                f"R < {bound:g}, any time", "trials", "hours", "hours to go",
                "10 % / half / 90 % are done by",
            ),
            rows=tuple(rows),
            note=f"measured so far: {done:,} trials" if done else "",
        )  # fmt: skip

    def _sigmas(self) -> ResultTable:
        return ResultTable(
            title="k σ as the paper quotes them (no claim of the verdict's)",
            head=("k", "trials", "10 % / half / 90 % are done by"),
            rows=tuple(
                (f"{each.k:g}", _number(each.trials), _spread_text(each.spread))
                for each in self.sigmas
            ),
        )


def ask_counts(
    counts: WitnessCounts,
    confidences: Sequence[float],
    sigmas: Sequence[float],
    bound: float,
    overhead: float,
) -> Answer:
    """Plan by what was measured so far, as if it were exact.

    Raises
    ------
    ValueError
        As `plan_witness`.
    """
    rates = ClickRates.of_counts(counts)
    claims = _claim_plans([rates], rates, confidences, bound, 50e-6, overhead)
    return Answer(
        measured_trials=counts.trials, R=claims[-1].plan.R, claims=claims,
        sigmas=_sigma_plans([rates], rates, sigmas, bound),
    )  # fmt: skip


def ask_model(
    operation: Operation,
    knobs: Knobs,
    confidences: Sequence[float],
    sigmas: Sequence[float] = (),
    bound: float = 1.0,
    overhead: float = 0.15,
    *,
    over: Collection[str] | None = None,
    goals: bool = False,
    fibre: bool = False,
) -> Answer:
    """Plan by a model.

    Parameters
    ----------
    operation : Operation
        A point, or draws of a posterior: then the spread holds both luck and what is not known.
    knobs : Knobs
    confidences, sigmas : sequence of float
    bound, overhead : float
    over : collection of str, optional
        Knobs to find the best settings of, the others as in `knobs`.
    goals, fibre : bool
        Whether to answer that too.

    Raises
    ------
    ValueError
        If the expected state gives no claim, or a name is unknown.
    """
    model = operation.at(knobs)
    rates = ClickRates.of_clicks(pair_clicks(model.parameters))
    longest = np.argsort([claim_trials(one, confidence=CLAIM, bound=bound) for one in rates])
    middle = rates[int(longest[len(rates) // 2])]
    claims = _claim_plans(rates, middle, confidences, bound, knobs.period, overhead)
    few = operation.thinned(SEARCHED)
    found = None if over is None else best_settings(few, over, start=knobs)
    told = [*operation.remarks(knobs), *(() if found is None else operation.remarks(found.knobs))]
    return Answer(
        measured_trials=0, R=claims[-1].plan.R, claims=claims,
        sigmas=_sigma_plans(rates, middle, sigmas, bound), optimum=found,
        goals=goals_at(operation, knobs) if goals else None,
        fibres=tuple(fibre_study(few, knobs, *losses) for losses in FIBRES) if fibre else (),
        remarks=tuple(dict.fromkeys(told)),
    )  # fmt: skip


def fibre_study(operation: Operation, knobs: Knobs, loss_A: float, loss_B: float) -> FibreStudy:
    """Return what is left at the ends of fibres; see `FibreStudy`.

    Parameters
    ----------
    operation : Operation
    knobs : Knobs
        Without losses of their own.
    loss_A, loss_B : float
        dB.
    """
    larger = max(loss_A, loss_B)
    there = replace(knobs, loss_A=larger, loss_B=larger)
    return FibreStudy(
        loss_A=loss_A, loss_B=loss_B, distance=fibre_length(loss_A + loss_B, DB_PER_M),
        as_extended=integration_time(1.949e9, knobs.period, loss_db=larger),
        trials=expected_trials(operation, there, confidence=CLAIM),
        R_m=float(np.median(operation.at(there).witness)),
    )  # fmt: skip


def _claim_plans(
    rates: Sequence[ClickRates], middle: ClickRates, confidences: Sequence[float],
    bound: float, period: float, overhead: float,
) -> tuple[ClaimPlan, ...]:  # fmt: skip
    return tuple(
        ClaimPlan(
            plan=plan_witness(
                middle, confidence=wanted, bound=bound, period=period, overhead=overhead
            ),
            spread=claim_spread(rates, confidence=wanted, bound=bound),
        )
        for wanted in confidences
    )


def _sigma_plans(
    rates: Sequence[ClickRates], middle: ClickRates, sigmas: Sequence[float], bound: float
) -> tuple[SigmaPlan, ...]:
    return tuple(
        SigmaPlan(
            k=k, trials=sigma_trials(middle, k, bound=bound),
            spread=sigma_spread(rates, k, bound=bound),
        )
        for k in sigmas
    )  # fmt: skip


def _optimum_table(found: BestSettings) -> ResultTable:
    knobs = found.knobs
    rows = [
        ("θ", "as it is" if knobs.theta is None else f"{knobs.theta / np.pi:.2f} π"),
        ("delay", "as it is" if knobs.delay is None else f"{knobs.delay * 1e9:.0f} ns"),
        ("pump energy", f"{knobs.e_pump:.2f} of now"),
        ("read energy", f"{knobs.e_read:.2f} of now"),
        ("period", f"{knobs.period * 1e6:.1f} µs"),
        ("filters", f"{knobs.filter_hz / 1e6:.0f} MHz"),
        ("R_m (model)", f"{found.R_m:.3f}"),
        (f"trials to {100 * CLAIM:g} %", f"{found.trials:.3g}"),
        ("sooner by", "now never" if math.isinf(found.gain) else f"{found.gain:.1f} ×"),
    ]
    border = ", ".join(found.at_border)
    return ResultTable(
        title="best settings", head=("knob", "value"), rows=tuple(rows),
        note=f"at the end of what was searched: {border}" if border else "",
    )  # fmt: skip


def _goals_table(goals: Goals) -> ResultTable:
    rows = (
        ("S of a Bell test", goals.S.text()),
        ("trials to S > 2 by 3 σ", goals.bell_trials.text(".3g")),
        ("fidelity of the heralded state", goals.fidelity.text()),
        ("its concurrence", goals.concurrence.text()),
    )
    return ResultTable(title="other goals, by the model", head=("goal", "value"), rows=rows)


def _fibres_table(fibres: Sequence[FibreStudy]) -> ResultTable:
    rows = tuple(
        (
            f"{each.distance / 1e3:.0f} km", f"{each.loss_A:g} / {each.loss_B:g}",
            f"{each.R_m:.3f}", f"{each.as_extended / 86400:.0f} d", _number(each.trials),
        )
        for each in fibres
    )  # fmt: skip
    return ResultTable(
        title="devices at the ends of fibres, 0.17 dB/km",
        head=("apart", "loss A / B (dB)", "R_m (model)", "as the extended set", "trials to 99 %"),
        rows=rows,
        note="both arms attenuated to the larger loss",
    )


def _spread_text(spread: Spread) -> str:
    return " / ".join(_number(one) for one in (spread.low, spread.median, spread.high))


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "never"


def _finite(plain: dict[str, object]) -> dict[str, object]:
    return {
        name: _finite(value) if isinstance(value, dict)
        else None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in plain.items()
    }  # fmt: skip
