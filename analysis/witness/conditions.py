"""Conditions of the witness: without them a small R says nothing about entanglement."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analysis.counts_file import WitnessCounts
from analysis.incomplete_gamma import gammainc, gammaincc
from analysis.witness.cells import Cells, accidentals

THIS_RUN = "this run"
CALIBRATION = "calibration run"
DECLARED = "declared"
NOT_MEASURED = "not measured"

LARGEST_PUMP_DIFFERENCE = 0.02
LARGEST_SPLITTING_ERROR = 0.02
LARGEST_BACKGROUND = 0.4
LARGEST_PERIOD_ERROR = 0.4
LONGEST_BLOCK = 10_000_000
SMALLEST_P = 1e-3
_FIRST_HARMONIC = 13.8
_TURN_SIGMA = 3.0
_DARK = "a detector has no clicks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition of the witness, with its evidence.

    Attributes
    ----------
    name : str
    value : float or str or None
    low, high : float or None
        Interval of the value, if there is one.
    demand : str
        What must hold.
    met : bool or None
        None if it was not measured, or cannot be decided yet.
    source : str
        Where the value comes from: `THIS_RUN`, `CALIBRATION`, `DECLARED` or `NOT_MEASURED`.
    problem : str
        What is wrong, in the words of the decision; empty if nothing is.
    required : bool
        Whether the verdict needs it for this kind of evidence.
    """

    name: str
    value: float | str | None
    demand: str
    met: bool | None
    source: str
    low: float | None = None
    high: float | None = None
    problem: str = ""
    required: bool = True

    @property
    def missing(self) -> bool:
        """Whether it is needed, but nobody measured it."""
        return self.required and self.met is None and self.source == NOT_MEASURED

    def to_dict(self) -> dict[str, object]:
        """Return what the command line prints in JSON."""
        plain: dict[str, object] = {
            "value": self.value,
            "demand": self.demand,
            "met": self.met,
            "source": self.source,
        }
        if self.low is not None or self.high is not None:
            plain |= {"low": self.low, "high": self.high}
        return plain

    def __str__(self) -> str:
        if self.value is None:
            return f"{self.name}: {self.source}" + (f" ({self.problem})" if self.problem else "")
        value = self.value if isinstance(self.value, str) else f"{self.value:.4g}"
        word = {True: "met", False: "NOT met", None: "undecided"}[self.met]
        source = "declared, not measured" if self.source == DECLARED else self.source
        return f"{self.name} {value} ({self.demand}): {word}, {source}"


def not_measured(name: str, demand: str, *, required: bool = True) -> Condition:
    """Return a condition that nobody measured."""
    return Condition(
        name=name, value=None, demand=demand, met=None, source=NOT_MEASURED, required=required
    )


DEMANDS: Mapping[str, str] = {
    "crossed_exceeds_same": "g² crossed > same for both heralds, by 3 sigma",
    "pump_balance": f"<= {LARGEST_PUMP_DIFFERENCE:g}",
    "splitting": f"|T - 1/2| + error <= {LARGEST_SPLITTING_ERROR:g}",
    "device_ratio": "enters the bound",
    "read_balance": "enters the bound",
    "background": f"<= {LARGEST_BACKGROUND:g} of the clicks of each gate and detector",
    "fringe": "period 2π within 2 errors, or θ and θ + π differ by 3 sigma",
    "null_laser_only": f"g² of low and high cells 1, p >= {SMALLEST_P:g}",
    "null_shuffled": f"g² of shifted trials 1, p >= {SMALLEST_P:g}",
    "blocks": f"accidentals summed over blocks of at most {LONGEST_BLOCK:.0e} trials",
    "fixed_or_always": "declared before the run",
}
"""By name, in the order of the report."""


def condition(
    name: str, value: float | None, *, met: bool | None, source: str, problem: str = "",
    low: float | None = None, high: float | None = None,
) -> Condition:  # fmt: skip
    """Return a condition of `DEMANDS`; its problem is told unless it is met."""
    return Condition(
        name=name,
        value=value,
        demand=DEMANDS[name],
        met=met,
        source=source,
        problem="" if met else problem,
        low=low,
        high=high,
    )


def crossed_exceeds_same(cells: Cells) -> Condition:
    """Demand C/Λ of crossed detectors at θ above that of the same one, for each herald alone.

    The value is the smaller difference. It is undecided while a herald has no coincidence, or its
    difference is above 0 but by less than 3 standard deviations, σ² = Σ (C+1)/Λ²: a herald whose
    detectors correlate alike would else pass by chance in half of the cases, and the other herald
    alone lower the mean. It is undecided, too, if high and low cells at θ + π do not so differ.
    """
    name = "crossed_exceeds_same"
    silent = np.flatnonzero(cells.low[:, 0] + cells.high[:, 0] == 0.0)
    if silent.size:
        problem = f"herald {silent[0] + 1} has no coincidence"
        return condition(name, None, met=None, source=THIS_RUN, problem=problem)
    if not cells.complete:
        return condition(name, None, met=None, source=THIS_RUN, problem=_DARK)
    difference = cells.high / cells.high_accidentals - cells.low / cells.low_accidentals
    sigma = np.sqrt(
        (cells.high + 1.0) / cells.high_accidentals**2
        + (cells.low + 1.0) / cells.low_accidentals**2
    )
    least = float(difference[:, 0].min())
    if least <= 0.0:
        return condition(name, least, met=False, source=THIS_RUN, problem="crossed <= same")
    unsure = np.argwhere(difference < _TURN_SIGMA * sigma)
    if unsure.size:
        herald, turn = unsure[0]
        where = " at θ + π" if turn else ""
        problem = f"crossed and same of herald {herald + 1}{where} differ by less than 3 sigma"
        return condition(name, least, met=None, source=THIS_RUN, problem=problem)
    return condition(name, least, met=True, source=THIS_RUN)


def flux_difference(
    name: str,
    gate: str,
    a: WitnessCounts,
    b: WitnessCounts,
    dark: tuple[WitnessCounts, WitnessCounts] | None = None,
) -> Condition:
    """Return `pump_balance` or `read_balance` from runs with one arm open each.

    The value is |A - B| / ((A + B)/2) of the clicks per trial of both detectors, less those that
    are no scattered light if they are known. Such light is uncorrelated: it scales every g² - 1
    by the same f < 1, which only raises R = 4 (s + c - 1)/(c - s)² (as far as it is the same at
    both detectors, which the condition `background` is about), so that B(dr) of the scattered
    light holds.

    Parameters
    ----------
    name : str
    gate : str
        "pump" or "read".
    a, b : WitnessCounts
        With arm A, with arm B open.
    dark : tuple of WitnessCounts, optional
        The same with the filters beside the line.

    Notes
    -----
    Riedinger et al., Nature 556, 473 (2018), supplement, "Entanglement witness and Systematic
    Errors": a flux ratio of the *scattered* readout photons that deviates by 5 to 10 %.
    """
    rates, variances = [], []
    for number, bright in enumerate((a, b)):
        off = dark[number] if dark is not None else None
        clicks = [(sum(getattr(one, gate)), one.trials) for one in (bright, off) if one is not None]
        rates.append(clicks[0][0] / clicks[0][1] - sum(n / trials for n, trials in clicks[1:]))
        variances.append(sum(n / trials**2 for n, trials in clicks))
    total = sum(rates)
    if min(rates) < 0.0 or total <= 0.0:
        return not_measured(name, DEMANDS[name])
    difference = 2.0 * abs(rates[0] - rates[1]) / total
    error = 4.0 * math.hypot(
        rates[1] * math.sqrt(variances[0]), rates[0] * math.sqrt(variances[1])
    ) / total**2  # fmt: skip
    met = difference <= LARGEST_PUMP_DIFFERENCE if name == "pump_balance" else difference < 2.0
    return condition(
        name, difference, met=met, source=CALIBRATION, problem=f"{gate} fluxes not balanced",
        low=max(difference - error, 0.0), high=difference + error,
    )  # fmt: skip


def splitting(a: WitnessCounts, b: WitnessCounts) -> Condition:
    """Return the combiner's transmission T from runs with one arm open each, worst of both gates.

    Detector efficiencies cancel: (T/(1-T))² = (n_A1/n_A2)/(n_B1/n_B2).
    """
    found = []
    for gate in ("pump", "read"):
        clicks = [*getattr(a, gate), *getattr(b, gate)]
        if min(clicks) == 0:
            return not_measured("splitting", DEMANDS["splitting"])
        root = math.sqrt(clicks[0] * clicks[3] / (clicks[1] * clicks[2]))
        value = root / (1.0 + root)
        found.append((value, 0.5 * value * (1.0 - value) * math.sqrt(sum(1.0 / n for n in clicks))))
    value, error = max(found, key=lambda pair: abs(pair[0] - 0.5) + pair[1])
    return _splitting(value, error, CALIBRATION)


def _splitting(value: float, error: float, source: str) -> Condition:
    return condition(
        "splitting", value, met=abs(value - 0.5) + error <= LARGEST_SPLITTING_ERROR + 1e-12,
        source=source, problem="combiner not 50:50", low=value - error, high=value + error,
    )  # fmt: skip


def device_ratio(a: WitnessCounts, b: WitnessCounts) -> Condition:
    """Return κ >= 1, the ratio of both devices' g² - 1, from runs with one arm open each.

    Its ends are 95 % limits: few coincidences must not make the bound better than it is.
    """
    excess, variance = [], 0.0
    for counts in (a, b):
        expected = sum(accidentals(counts, pair) for pair in counts.coincidences)
        found = sum(counts.coincidences.values())
        excess.append(found / expected - 1.0 if expected else 0.0)
        variance += found / (found - expected) ** 2 if found > expected else 0.0
    if min(excess) <= 0.0:
        return not_measured("device_ratio", DEMANDS["device_ratio"], required=False)
    ratio, spread = max(excess) / min(excess), math.exp(1.645 * math.sqrt(variance))
    return condition(
        "device_ratio", ratio, met=True, source=CALIBRATION,
        low=max(ratio / spread, 1.0), high=ratio * spread,
    )  # fmt: skip


def background(dark: WitnessCounts, run: WitnessCounts) -> Condition:
    """Return the largest share of background clicks over gates and detectors.

    Parameters
    ----------
    dark : WitnessCounts
        Same powers, lasers off resonance.
    run : WitnessCounts
    """
    shares = []
    for gate in ("pump", "read"):
        for off, on in zip(getattr(dark, gate), getattr(run, gate), strict=True):
            if on == 0:
                return not_measured("background", DEMANDS["background"])
            shares.append(off / dark.trials * run.trials / on)
    return _background(max(shares), CALIBRATION)


def _background(share: float, source: str) -> Condition:
    return condition(
        "background", share, met=share <= LARGEST_BACKGROUND, source=source,
        problem="too much background",
    )  # fmt: skip


def fringe_of_turn(cells: Cells) -> Condition:
    """Return z = (D(θ) - D(θ+π))/σ, D the g² of crossed less same detectors, σ² = Σ (C+1)/Λ².

    Parameters
    ----------
    cells : Cells
        Of θ and θ + π, so that the numerator is the g² of all high less that of all low cells.

    It fails only where the data could have shown a fringe: where they exclude, by 3 sigma, one of
    half contrast at the mean excess of g² over 1 (at least 1). Until then it is undecided.
    """
    if not cells.complete:
        return condition("fringe", None, met=None, source=THIS_RUN, problem=_DARK)
    difference = cells.high / cells.high_accidentals - cells.low / cells.low_accidentals
    variance = (cells.high + 1.0) / cells.high_accidentals**2
    variance += (cells.low + 1.0) / cells.low_accidentals**2
    sigma = math.sqrt(variance.sum())
    z = float(difference.sum() / sigma)
    if z >= _TURN_SIGMA:
        return condition("fringe", z, met=True, source=THIS_RUN)
    accidentals = cells.high_accidentals.sum() + cells.low_accidentals.sum()
    excess = max(float((cells.high.sum() + cells.low.sum()) / accidentals) - 1.0, 1.0)
    if z > excess * difference.size / sigma - _TURN_SIGMA:  # a whole fringe: 2 excess a cell
        problem = "theta and theta+pi differ by less than 3 sigma so far"
        return condition("fringe", z, met=None, source=THIS_RUN, problem=problem)
    problem = "no fringe (theta and theta+pi agree)"
    return condition("fringe", z, met=False, source=THIS_RUN, problem=problem)


def fringe_of_scan(
    phases: ArrayLike,
    same: ArrayLike,
    same_accidentals: ArrayLike,
    crossed: ArrayLike,
    crossed_accidentals: ArrayLike,
    *,
    period_pi: float | None = None,
    period_error_pi: float | None = None,
) -> Condition:
    """Return the first harmonic of D_k = c_k - s_k (pooled) over m phases that share 2π evenly.

    D_1² m/(2v) > 13.8 has a false alarm of 0.1 %; v = g(1/Λ_c + 1/Λ_s), g the mean g².

    Parameters
    ----------
    phases : array_like, shape (m,)
        rad.
    same, same_accidentals, crossed, crossed_accidentals : array_like, shape (m,)
        Coincidences and accidentals, summed over heralds.
    period_pi, period_error_pi : float, optional
        Fitted period of the fringe in units of π, which must be 2 within 2 errors.
    """
    arrays = [np.asarray(one, float) for one in (phases, same, same_accidentals, crossed,
                                                 crossed_accidentals)]  # fmt: skip
    phi, n_s, l_s, n_c, l_c = arrays
    if phi.size < 3 or not ((l_s > 0.0).all() and (l_c > 0.0).all()):
        return not_measured("fringe", DEMANDS["fringe"])
    mean = float((n_s.sum() + n_c.sum()) / (l_s.sum() + l_c.sum()))
    variance = mean * float((1.0 / l_c + 1.0 / l_s).mean())
    harmonic = 2.0 / phi.size * abs(complex(((n_c / l_c - n_s / l_s) * np.exp(1j * phi)).sum()))
    size = harmonic**2 * phi.size / (2.0 * variance) if variance > 0.0 else 0.0
    problem, met = "no fringe of period 2 pi in the scan", size > _FIRST_HARMONIC
    if met and period_pi is not None and period_error_pi is not None:
        met, problem = _right_period(period_pi, period_error_pi), "fringe period is not 2 pi"
    return condition("fringe", size, met=met, source=THIS_RUN, problem=problem)


def _right_period(period_pi: float, error_pi: float) -> bool:
    return error_pi <= LARGEST_PERIOD_ERROR and abs(period_pi - 2.0) <= 2.0 * error_pi + 1e-12


def poisson_p(count: float, expected: float) -> float:
    """Return the two-sided p of a Poisson count: twice the smaller tail, at most 1."""
    if expected == 0.0:
        return 1.0 if count == 0.0 else 0.0
    upper = 1.0 if count == 0.0 else float(gammainc(count, expected))
    lower = float(gammaincc(count + 1.0, expected))
    return min(1.0, 2.0 * min(lower, upper))


def null_shuffled(pairs: Iterable[tuple[float, float]]) -> Condition:
    """Demand g² = 1 between the pump of a trial and the read of later ones.

    Parameters
    ----------
    pairs : iterable of (float, float)
        Coincidences and accidentals of the low and of the high cells, summed over the shifts
        n to n + k, k = 1 … 100.
    """
    found = [(poisson_p(count, expected), count, expected) for count, expected in pairs]
    if not found or not any(expected > 0.0 for _, _, expected in found):
        return not_measured("null_shuffled", DEMANDS["null_shuffled"])
    p, count, expected = min(found)
    side = ">" if count > expected else "<"
    return condition(
        "null_shuffled", p, met=p >= SMALLEST_P, source=THIS_RUN,
        problem=f"shifted trials g2 {side} 1",
    )  # fmt: skip


def declared_conditions(declared: Mapping[str, float]) -> dict[str, Condition]:
    """Return the conditions that the user declares, by name.

    Parameters
    ----------
    declared : mapping of str to float
        See `analysis.evidence.DECLARABLE`.
    """
    found = {}
    if "pump_balance" in declared:
        value = declared["pump_balance"]
        found["pump_balance"] = condition(
            "pump_balance", value, met=value <= LARGEST_PUMP_DIFFERENCE, source=DECLARED,
            problem="pump fluxes not balanced",
        )  # fmt: skip
    if {"splitting", "splitting_error"} <= declared.keys():
        found["splitting"] = _splitting(
            declared["splitting"], declared["splitting_error"], DECLARED
        )
    for name in ("device_ratio", "read_balance"):
        if name in declared:
            found[name] = condition(name, declared[name], met=True, source=DECLARED)
    if "background" in declared:
        found["background"] = _background(declared["background"], DECLARED)
    if {"fringe_period_pi", "fringe_period_error_pi"} <= declared.keys():
        period, error = declared["fringe_period_pi"], declared["fringe_period_error_pi"]
        found["fringe"] = condition(
            "fringe", period, met=_right_period(period, error), source=DECLARED,
            problem="fringe period is not 2 pi", low=period - error, high=period + error,
        )  # fmt: skip
    if {"null_blindness_upper", "null_crosstalk_upper"} <= declared.keys():
        largest = max(declared["null_blindness_upper"], declared["null_crosstalk_upper"])
        found["null_laser_only"] = condition("null_laser_only", largest, met=True, source=DECLARED)
    return found
