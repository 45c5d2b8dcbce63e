"""What a posterior promises: noise budget with trials to 3 σ, prediction and best settings.

All of it is the model's; the claim of entanglement stays with the counts.
"""

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from simulation.inference.budget import CLAIMS, DrawInterval, noise_budget
from simulation.inference.operation import USUAL, Knobs, Operation
from simulation.inference.optimum import best_settings
from simulation.inference.planning import ClickRates, claim_trials, sigma_trials
from simulation.inference.posterior import Posterior
from simulation.theory.dlcz import measurable_witness, pair_clicks
from simulation.theory.dlcz.sources import NoisyModel, without

SIGMA = 3.0
"""Of the paper's kind of confidence that trials are told for."""

PREDICTED, SEARCHED = 200, 9
"""Draws of which budget and prediction are made, and over which the best settings are searched."""


def outlook(
    posterior: Posterior,
    knobs: Knobs = USUAL,
    bound: float = 1.0,
    changes: Mapping[str, float] | None = None,
) -> dict[str, object]:
    """Return budget, prediction and optimum as plain types.

    Parameters
    ----------
    posterior : Posterior
    knobs : Knobs
        Settings of budget and prediction, and those from which the best ones are searched.
    bound : float
        On R_m, for all trials.
    changes : mapping of str to float, optional
        Other values of inferred parameters.

    Returns
    -------
    dict
        ``budget``: by cause g² of both devices and R_m with this source alone switched off, and
        the trials to 3 σ and to the always-valid 99 %, each as median, low, high; ``prediction``;
        ``optimum``, its gain None where the claim is never reached as it is. Where the model has
        no budget or optimum, None, and the reason under ``budget_why``, ``optimum_why``.
    """
    few, many = (
        Operation.of_posterior(posterior, draws).changed(**dict(changes or {}))
        for draws in (SEARCHED, PREDICTED)
    )
    model = many.at(knobs)
    predicted: dict[str, object] = {n: i.to_dict() for n, i in prediction(model).items()}
    predicted["trials_3sigma"] = trials_to_sigma(model, bound).to_dict()
    found: dict[str, object] = {"prediction": predicted}
    try:
        found["budget"] = _budget(model, bound)
    except ValueError as none:
        found |= {"budget": None, "budget_why": str(none)}
    try:
        best = best_settings(few, start=knobs, bound=bound)
    except ValueError as none:
        return found | {"optimum": None, "optimum_why": str(none)}
    plain = asdict(best) | {"gain": best.gain if np.isfinite(best.gain) else None}
    return found | {"optimum": plain}


def prediction(model: NoisyModel) -> dict[str, DrawInterval]:
    """Return g² of every pair, R_m of both heralds and their mean, by the model: no witness."""
    g2 = pair_clicks(model.parameters).g2
    by_herald = measurable_witness(g2)
    found = {f"g2_r{i}p{j}": g2[..., i - 1, j - 1] for i in (1, 2) for j in (1, 2)}
    found |= {f"R_m({j})": by_herald[..., j - 1] for j in (1, 2)}
    return {
        name: DrawInterval.of(value) for name, value in (found | {"R_m": model.witness}).items()
    }


def trials_to_sigma(model: NoisyModel, bound: float) -> DrawInterval:
    """Return the trials to 3 σ: worked out at the median draw of the claim's trials.

    The ends of the interval go with those of the claim's trials, whose ratio to these changes by
    some 2 % from draw to draw.
    """
    rates = ClickRates.of_clicks(pair_clicks(model.parameters), model.pump_scale)
    picked = np.unique(np.linspace(0, len(rates) - 1, CLAIMS).astype(int))
    claims = np.array([claim_trials(rates[n], bound=bound) for n in picked])
    order = np.argsort(claims, kind="stable")
    middle = order[(len(order) - 1) // 2]
    median = sigma_trials(rates[int(picked[middle])], SIGMA, bound=bound)
    spread = DrawInterval.of(claims)
    if not np.isfinite(median):
        return DrawInterval(low=np.inf, median=np.inf, high=np.inf)
    factor = median / float(claims[middle])
    return DrawInterval(low=factor * spread.low, median=median, high=factor * spread.high)


def _budget(model: NoisyModel, bound: float) -> list[dict[str, object]]:
    return [
        {
            "cause": row.source, "label": row.label, "g2_A": row.g2_A.to_dict(),
            "g2_B": row.g2_B.to_dict(), "R_m": row.R_m.to_dict(), "cost": row.cost.to_dict(),
            "trials": row.trials.to_dict(),
            "trials_3sigma": trials_to_sigma(without(model, [row.source]), bound).to_dict(),
        }
        for row in noise_budget(model, bound=bound).rows
    ]  # fmt: skip
