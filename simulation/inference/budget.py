"""Noise budget: what each source costs in g² and R_m, and what the claim would take without it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.palette import COLORS, NEUTRAL
from simulation.inference.operation import USUAL, Knobs, Operation
from simulation.inference.planning import ClickRates, claim_trials
from simulation.inference.posterior import Posterior
from simulation.theory.dlcz import DLCZParameters, pair_clicks
from simulation.theory.dlcz.sources import (
    PUMP_HEAT,
    SOURCES,
    NoisyModel,
    noisy_model,
    without,
    witness_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Real = NDArray[np.float64]

QUANTILES = (0.16, 0.5, 0.84)
"""Ends of the intervals, and the value."""

LARGEST = 100.0
"""R_m from which on nothing interferes; draws beyond count as this much."""

CLAIMS = 40
"""Draws of a posterior for which the trials are planned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawInterval:
    """A number over the draws of a posterior; all three equal for a point.

    Attributes
    ----------
    median, low, high : float
        50 %, 16 % and 84 % quantiles; inf where the claim is never reached.
    """

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: ArrayLike) -> "DrawInterval":
        """Return the quantiles of values, shape (n,)."""
        found = np.quantile(np.ravel(values), QUANTILES, method="inverted_cdf")
        return cls(low=float(found[0]), median=float(found[1]), high=float(found[2]))

    def to_dict(self) -> dict[str, float | None]:
        """Return plain numbers; infinite is None."""
        return {
            name: value if math.isfinite(value) else None
            for name, value in (("median", self.median), ("low", self.low), ("high", self.high))
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, float | None]) -> "DrawInterval":
        """Return the interval that `to_dict` made plain.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is none.
        """
        names = ("median", "low", "high")
        return cls(**{n: math.inf if plain[n] is None else float(plain[n] or 0.0) for n in names})

    def text(self, digits: str = ".3f") -> str:
        """Return the number, with its interval if it has one."""
        if not math.isfinite(self.median):
            return "never"
        value = format(self.median, digits)
        if self.low == self.high:
            return value
        high = format(self.high, digits) if math.isfinite(self.high) else "∞"
        return f"{value} [{self.low:{digits}}, {high}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRow:
    """A source of noise.

    Attributes
    ----------
    source, label : str
    g2_A, g2_B, R_m, trials : DrawInterval
        With this source alone switched off; trials to the always-valid claim.
    cost : DrawInterval
        R_m as it is less R_m without this source alone.
    left : DrawInterval
        R_m with this source and all rows above it switched off: the steps of the waterfall.
    """

    source: str
    label: str
    g2_A: DrawInterval
    g2_B: DrawInterval
    R_m: DrawInterval
    trials: DrawInterval
    cost: DrawInterval
    left: DrawInterval


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseBudget:
    """What each source costs; model-based, no witness.

    Attributes
    ----------
    g2_A, g2_B, R_m, trials : DrawInterval
        As it is.
    rows : tuple of BudgetRow
    total : DrawInterval
        R_m as it is less R_m without all sources.
    interaction : DrawInterval
        `total` less the sum of all rows' `cost`: sources do not add, as R_m falls with the square
        of a contrast of which each takes its part.
    confidence : float
        Of the always-valid claim that `trials` are for.
    draws : int
        Of the posterior; 1 for a point.
    """

    g2_A: DrawInterval
    g2_B: DrawInterval
    R_m: DrawInterval
    trials: DrawInterval
    rows: tuple[BudgetRow, ...]
    total: DrawInterval
    interaction: DrawInterval
    confidence: float
    draws: int

    def to_dict(self) -> dict[str, object]:
        """Return plain types; trials that are never enough are None."""
        names = ("g2_A", "g2_B", "R_m", "trials")
        return {
            "now": {name: getattr(self, name).to_dict() for name in names},
            "budget": [
                {"cause": row.source, "label": row.label}
                | {n: getattr(row, n).to_dict() for n in (*names, "cost", "left")}
                for row in self.rows
            ],
            "total": self.total.to_dict(),
            "interaction": self.interaction.to_dict(),
            "confidence": self.confidence,
            "draws": self.draws,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "NoiseBudget":
        """Return the budget that `to_dict` made plain.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is none.
        """
        names = ("g2_A", "g2_B", "R_m", "trials")
        return cls(
            **{name: DrawInterval.from_dict(plain["now"][name]) for name in names},
            rows=tuple(
                BudgetRow(
                    source=str(row["cause"]), label=str(row["label"]),
                    **{n: DrawInterval.from_dict(row[n]) for n in (*names, "cost", "left")},
                )
                for row in plain["budget"]
            ),
            total=DrawInterval.from_dict(plain["total"]),
            interaction=DrawInterval.from_dict(plain["interaction"]),
            confidence=float(plain["confidence"]), draws=int(plain["draws"]),
        )  # fmt: skip

    def sentences(self) -> tuple[str, ...]:
        """Say what every source with a part of at least 1 % costs, the dearest first."""
        dear = sorted(self.rows, key=lambda row: -row.cost.median)
        now = self.R_m.median
        return tuple(
            f"without {row.label} R_m would be {row.R_m.text()}, the claim would take "
            + (
                f"{row.trials.text('.2g')} trials"
                if math.isfinite(row.trials.median)
                else "for ever"
            )
            for row in dear
            if row.cost.median >= 0.01 * now
        )

    def figure(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the waterfall: R_m with one source after another, from above, switched off.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            By default of a new figure.
        """
        from matplotlib.figure import Figure

        if ax is None:
            ax = Figure(figsize=(7.0, 4.2), layout="constrained").add_subplot()
        places = np.arange(len(self.rows) + 1)
        levels = [self.R_m, *(row.left for row in self.rows)]
        ends = np.array([level.median for level in levels])
        ax.barh(places[:1], ends[:1], color=COLORS[0], height=0.7)
        ax.barh(places[1:], ends[:-1] - ends[1:], left=ends[1:], color=COLORS[1], height=0.7)
        errors = np.array([[x.median - x.low for x in levels], [x.high - x.median for x in levels]])
        ax.errorbar(ends, places, xerr=errors, fmt="none", ecolor="black", elinewidth=1, capsize=2)
        alone = [row.R_m.median for row in self.rows]
        ax.plot(alone, places[1:], "o", ms=4, color=NEUTRAL, label="this source alone off")
        ax.axvline(1.0, color="black", lw=1, ls=":")
        ax.set_yticks(places, ["as it is", *(f"− {row.label}" for row in self.rows)])
        ax.invert_yaxis()
        ax.set(xlabel="$R_m$ (model)", xlim=(0, max(1.05, 1.1 * float(np.max(ends + errors[1])))))
        ax.legend(frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.0)
        return ax


def noise_budget(
    model: DLCZParameters | Posterior | Operation | NoisyModel,
    *,
    knobs: Knobs = USUAL,
    pump_heat: tuple[float, float] = PUMP_HEAT,
    confidence: float = 0.99,
    bound: float = 1.0,
    draws: int = 200,
) -> NoiseBudget:
    """Return what each source of noise costs.

    Parameters
    ----------
    model : DLCZParameters, Posterior, Operation or NoisyModel
        A point, or what an inference found.
    knobs : Knobs
        Settings; for a `NoisyModel` it must be as it is.
    pump_heat : tuple of float
        For `DLCZParameters`: phonons of n_heat by the pump.
    confidence : float
        Of the always-valid claim.
    bound : float
        On R_m, of the same.
    draws : int
        Of a posterior, at most; trials are planned for 40 of them.

    Raises
    ------
    ValueError
        If nothing interferes at these settings.
    """
    noisy = _noisy(model, knobs, pump_heat, draws)
    if not np.mean(noisy.witness < LARGEST) > QUANTILES[2]:
        message = (
            f"R_m must be below {LARGEST:g} to tell what takes it up (in more than "
            f"{100 * QUANTILES[2]:g} % of the draws), but same and different "
            "detectors correlate alike; ask at another phase (`--what-if theta=0`)"
        )
        raise ValueError(message)
    now = _Numbers.of(noisy, confidence, bound)
    rows, parts, left = [], np.zeros_like(now.R_m), noisy
    for name, source in SOURCES.items():
        alone = _Numbers.of(without(noisy, [name]), confidence, bound)
        parts = parts + now.R_m - alone.R_m
        left = without(left, [name])
        rows.append(
            BudgetRow(
                source=name, label=source.label, **alone.intervals(),
                cost=DrawInterval.of(now.R_m - alone.R_m),
                left=DrawInterval.of(np.minimum(left.witness, LARGEST)),
            )
        )  # fmt: skip
    total = now.R_m - np.minimum(left.witness, LARGEST)
    return NoiseBudget(
        **now.intervals(), rows=tuple(rows), total=DrawInterval.of(total),
        interaction=DrawInterval.of(total - parts), confidence=confidence,
        draws=int(np.size(now.R_m)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Numbers:
    """What a model expects, by draw."""

    g2_A: Real
    g2_B: Real
    R_m: Real
    trials: Real

    @classmethod
    def of(cls, model: NoisyModel, confidence: float, bound: float) -> "_Numbers":
        clicks = pair_clicks(model.parameters)
        rates = ClickRates.of_clicks(clicks, model.pump_scale)
        picked = np.unique(np.linspace(0, len(rates) - 1, CLAIMS).astype(int))
        trials = [claim_trials(rates[n], confidence=confidence, bound=bound) for n in picked]
        alone = model.g2_alone
        return cls(
            g2_A=alone[..., 0],
            g2_B=alone[..., 1],
            R_m=np.minimum(witness_of(clicks), LARGEST),
            trials=np.array(trials),
        )

    def intervals(self) -> Mapping[str, DrawInterval]:
        return {
            name: DrawInterval.of(getattr(self, name)) for name in ("g2_A", "g2_B", "R_m", "trials")
        }


def _noisy(
    model: DLCZParameters | Posterior | Operation | NoisyModel,
    knobs: Knobs,
    pump_heat: tuple[float, float],
    draws: int,
) -> NoisyModel:
    if isinstance(model, Posterior):
        return Operation.of_posterior(model, draws).at(knobs)
    if isinstance(model, Operation):
        return model.at(knobs)
    if isinstance(model, NoisyModel):
        if knobs != USUAL:
            message = "`knobs` cannot turn a NoisyModel; give an Operation"
            raise ValueError(message)
        return model
    if knobs == USUAL:
        return noisy_model(model, pump_heat)
    return Operation.of_model(model, pump_heat).at(knobs)
