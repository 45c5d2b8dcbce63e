"""From a campaign to its posterior: maximum, draws, what is determined, and whether it fits."""

from collections.abc import Callable, Mapping
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from simulation.inference.blas_threads import with_one_blas_thread
from simulation.inference.checks import check_fit, prior_conflicts
from simulation.inference.data import Campaign
from simulation.inference.identify import degeneracies, undetermined
from simulation.inference.likelihood import DRIFT, Data
from simulation.inference.posterior import Posterior, Sampler
from simulation.inference.prior import make_prior
from simulation.inference.sampling import LEAST_ESS, find_maximum, sample
from simulation.inference.wrong import wrong_models
from simulation.theory.dlcz import DLCZParameters

Real = NDArray[np.float64]

USUAL_DRAWS = 18_000
"""Proposals of the importance sampling."""

KEPT = 4000
"""Draws that are kept at most."""


@with_one_blas_thread
def infer(
    campaign: Campaign,
    preset: DLCZParameters,
    *,
    preset_name: str = "riedinger2018",
    drift: float | None = None,
    draws: int = USUAL_DRAWS,
    seed: int = 0,
    changes: Mapping[str, tuple[float, float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> Posterior:
    """Return the posterior of the DLCZ parameters given all data of a campaign.

    Model: `simulation.inference.model`; likelihood: `simulation.inference.likelihood`; prior:
    `simulation.inference.prior`; method: maximum by Fisher scoring, Student-t importance sampling,
    and an ensemble where the effective sample size is too small.

    Parameters
    ----------
    campaign : Campaign
    preset : DLCZParameters
        Medians of the priors.
    preset_name : str
        Kept with the result.
    drift : float, optional
        Relative standard deviation of slow drifts to allow for; by default it is inferred with the
        rest, from the scatter of the settings about the fit.
    draws : int
        Proposals.
    seed : int
    changes : mapping of str to (median, sd), optional
        Other priors, see `make_prior`.
    fixed : mapping of str to float, optional
        Parameters to hold.
    tell : callable, optional
        Told the progress.

    Raises
    ------
    ValueError
        If an argument is out of its range.
    NoMaximumError
        If no maximum is found.
    """
    if drift is not None and not (np.isfinite(drift) and 0 <= drift < 1):
        message = f"`drift` must lie in [0, 1), but is {drift}"
        raise ValueError(message)
    if draws < 1000:
        message = f"`draws` must be at least 1000, but is {draws}"
        raise ValueError(message)
    begin, rng = perf_counter(), np.random.default_rng(seed)
    fixed = dict(fixed or {}) | ({} if drift is None else {DRIFT: drift})
    prior = make_prior(campaign, preset, changes=changes, fixed=fixed)
    data = Data.of(campaign)
    tell("looking for the best fit")
    maximum = find_maximum(data, prior)
    found = sample(maximum, draws, rng, tell)
    tell("checking the fit")
    fit = check_fit(maximum, rng)
    ratio = campaign.read_over_pump or _ratio(preset)
    left_open = undetermined(maximum, found.z, campaign.reference, ratio)
    tell("trying wrong models")
    wrong = tuple(str(one) for one in wrong_models(campaign, maximum))
    if fit.poor and not wrong:
        wrong = ("the data do not fit the model, and no known wrong model explains them",)
    kept = found.z[rng.choice(len(found.z), min(KEPT, len(found.z)), replace=False)]
    return Posterior(
        draws=prior.values(kept),
        prior=prior.values(prior.draw(rng, KEPT)),
        best={name: float(value[0]) for name, value in prior.values(maximum.z[None]).items()},
        free=prior.free,
        covariance=maximum.covariance,
        undetermined=left_open,
        remarks=(
            *wrong,
            *prior_conflicts(maximum),
            *_few(found.ess),
        ),
        correlations=degeneracies(found.z, prior.free),
        checks=fit.checks,
        deviance=fit.deviance,
        p_value=fit.p_value,
        sampler=Sampler(
            ess=found.ess, draws=found.tried, fallback=found.fallback, seed=seed,
            seconds=perf_counter() - begin,
        ),
        preset=preset_name,
        reference=campaign.reference,
        levels=dict(campaign.levels),
        arms=campaign.arms,
        runs=campaign.runs,
        observed={
            "trials": data.trials, "singles": data.singles, "coincidences": data.pairs,
        },
        drift=maximum.likelihood.drift(maximum.z),
    )  # fmt: skip


def _few(ess: float) -> tuple[str, ...]:
    if ess >= LEAST_ESS:
        return ()
    return (
        f"the draws amount to {ess:.0f} independent ones only, fewer than {LEAST_ESS:.0f}: ends of "
        "intervals are rough; narrow the priors (--prior) or hold what is known (--fix)",
    )


def _ratio(preset: DLCZParameters) -> float:
    """Return the read pulse's energy over the pump's, by their probabilities (device A)."""
    return float(np.log1p(-np.asarray(preset.p_read_A)) / -np.log1p(np.asarray(preset.p_pump_A)))
