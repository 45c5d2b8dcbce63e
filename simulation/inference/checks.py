"""Whether the model fits: all data, by data set, and against the prior."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special

from simulation.inference.likelihood import DRIFT, deviance, split_by_data_set
from simulation.inference.model import CELLS
from simulation.inference.posterior import DataSetCheck
from simulation.inference.sampling import Maximum
from simulation.inference.table import PARAMETERS

Real = NDArray[np.float64]

CONFLICT = 4.0
"""Standard deviations of the prior from which on it contradicts the data."""

RESTLESS = 2.0
"""The same of the drift, which is only ever too large: it takes up what the model misses."""

REPLICAS = 4000
"""Data sets made by the model, to compare the deviance with."""

ALPHA = 1e-3
"""Below this p-value the data do not fit, and wrong models are tried."""

COUNTED = 20
"""With fewer replicas beyond it than this, a p-value is taken from a gamma law fitted to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How well all data fit.

    Attributes
    ----------
    deviance, p_value : float
    checks : tuple of DataSetCheck
    """

    deviance: float
    p_value: float
    checks: tuple[DataSetCheck, ...]

    @property
    def poor(self) -> bool:
        """Whether all data, or one of several data sets, fit worse than `ALPHA` allows."""
        smallest = min((check.p_value for check in self.checks), default=1.0)
        return min(self.p_value, smallest * len(self.checks)) < ALPHA


def check_fit(maximum: Maximum, rng: np.random.Generator) -> Fit:
    """Compare the deviance with that of data made by the best fit.

    The fit has adapted to the data by about as many numbers as it determines, the trace of the
    data's part of the information; so much is added to the total deviance.
    """
    likelihood = maximum.likelihood
    data = likelihood.data
    white, means, _ = likelihood.residuals(maximum.z[None])
    determined = np.diag(maximum.data_information @ maximum.covariance)
    adapted = float(np.sum(determined[likelihood.steady]))
    found = float(likelihood.deviances(maximum.z[None])[0])
    made = rng.chisquare(max(white.shape[1], 1e-9), REPLICAS) + _made(means[0], rng)
    return Fit(
        deviance=found, p_value=_share_above(made, found + adapted),
        checks=tuple(
            _check(maximum, run, name, np.array(numbers), rng)
            for (run, name), numbers in split_by_data_set(data.records).items()
        ),
    )  # fmt: skip


def _share_above(made: Real, found: float) -> float:
    """Return how often a deviance is as large; far out by the gamma law of the same moments."""
    beyond = int(np.count_nonzero(made >= found))
    if beyond >= COUNTED:
        return beyond / len(made)
    mean, variance = float(made.mean()), float(made.var())
    return float(special.gammaincc(mean**2 / variance, found * mean / variance))


def _made(means: Real, rng: np.random.Generator) -> Real:
    """Return Poisson deviances of counts made with these means."""
    total = np.zeros(REPLICAS)
    for mean in np.maximum(means, 0.0):
        total += deviance(mean, rng.poisson(mean, REPLICAS).astype(np.float64))
    return total


def _check(
    maximum: Maximum, run: str, name: str, numbers: NDArray[np.int64], rng: np.random.Generator
) -> DataSetCheck:
    likelihood = maximum.likelihood
    data = likelihood.data
    singles, g2, _ = data.expected(likelihood.prior.values(maximum.z[None]))
    rows = data.rows
    cells = [*np.array(CELLS)[np.nonzero(data.normal)[1]]]
    cells += [f"r{i + 1}p{j + 1}" for _, i, j in np.argwhere(data.many)]
    mine = np.isin(rows, numbers)
    raw = likelihood.log_residuals(singles[0], g2[0])
    noise = likelihood.noise(maximum.z)[np.ix_(mine, mine)]
    chi2 = float(raw[mine] @ linalg.solve(noise, raw[mine], assume_a="pos")) if mine.any() else 0.0
    pairs = data.few[numbers]
    few = data.poisson[numbers]
    means = np.concatenate(
        [(g2[0] * np.nan_to_num(data.exposure))[numbers][pairs], singles[0][numbers][few]]
    )
    counted = np.concatenate([data.pairs[numbers][pairs], data.singles[numbers][few]])
    found = chi2 + float(deviance(means, counted).sum())
    made = rng.chisquare(max(int(mine.sum()), 1e-9), REPLICAS) + _made(means, rng)
    worst = ""
    if mine.any():
        sigma = raw[mine] / np.sqrt(np.diag(noise))
        at = int(np.argmax(np.abs(sigma)))
        setting = data.records[rows[mine][at]].setting
        worst = (
            f"{np.array(cells)[mine][at]} at τ = {setting.delay * 1e9:.0f} ns: {sigma[at]:+.1f} σ"
        )
    return DataSetCheck(
        name=name, run=run, settings=len(numbers), numbers=int(mine.sum()) + len(counted),
        deviance=found, p_value=_share_above(made, found), worst=worst,
    )  # fmt: skip


def prior_conflicts(maximum: Maximum) -> tuple[str, ...]:
    """Return which parameters the data put far from what was thought before, in words."""
    prior = maximum.likelihood.prior
    values, middle = prior.values(maximum.z[None]), prior.values(prior.mean[None])
    found = []
    for at, name in enumerate(prior.free):
        if name == DRIFT:
            continue
        off = float((maximum.z[at] - prior.mean[at]) / prior.sd[at])
        if abs(off) > CONFLICT:
            meaning = _MEANINGS.get(name, PARAMETERS[name].meaning)
            found.append(
                f"{name} = {float(values[name][0]):.4g} is {abs(off):.1f} standard deviations of "
                f"the prior away from {float(middle[name][0]):.4g}: {meaning}"
            )
    return (*found, *_restless(maximum))


def _restless(maximum: Maximum) -> Iterator[str]:
    """Say if settings scatter by more than drifts usually do."""
    prior = maximum.likelihood.prior
    if DRIFT not in prior.free:
        return
    at, drift = prior.free.index(DRIFT), maximum.likelihood.drift(maximum.z)
    if maximum.z[at] > prior.mean[at] + RESTLESS * prior.sd[at]:
        usual = float(prior.values(prior.mean)[DRIFT])
        yield (
            f"settings scatter about the fit as if things drifted by {100 * drift:.2g} %, usual is "
            f"{100 * usual:.2g} %: something is restless, or the model misses something"
        )


_MEANINGS = {
    "splitting": "the combiner is no even coupler, but more of a mirror",
    "delta_omega_hz": "ΔΩ is not what was thought",
}
