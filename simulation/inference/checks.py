"""Whether the model fits: by data set, and which wrong model would explain what does not."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from simulation.inference.data import Campaign
from simulation.inference.likelihood import Data, deviance, split_by_data_set
from simulation.inference.model import CELLS
from simulation.inference.posterior import DataSetCheck
from simulation.inference.prior import MEMORY, Prior, make_prior
from simulation.inference.sampling import Maximum, find_maximum
from simulation.inference.table import PARAMETERS
from simulation.theory.dlcz import DLCZParameters

Real = NDArray[np.float64]

CONFLICT = 4.0
"""Standard deviations of the prior from which on it contradicts the data."""

REPLICAS = 4000
"""Data sets made by the model, to compare the deviance with."""

ALPHA = 1e-3
"""Below this p-value the data do not fit, and wrong models are tried."""

GAIN = 20.0
"""A wrong model is named if it lowers the deviance by at least so much."""


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


def check_fit(maximum: Maximum, rng: np.random.Generator) -> Fit:
    """Compare the deviance with that of data made by the best fit.

    The fit has adapted to the data by about as many numbers as it determines, the trace of the
    data's part of the information; so much is added to the total deviance.
    """
    likelihood = maximum.likelihood
    data = likelihood.data
    white, means, _ = likelihood.residuals(maximum.z[None])
    adapted = float(np.trace(maximum.data_information @ maximum.covariance))
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
    return float((1 + np.count_nonzero(made >= found)) / (1 + len(made)))


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
    rows, cells = np.nonzero(data.normal)
    mine = np.isin(rows, numbers)
    raw = likelihood.log_residuals(singles[0])
    noise = likelihood.noise[np.ix_(mine, mine)]
    chi2 = float(raw[mine] @ linalg.solve(noise, raw[mine], assume_a="pos")) if mine.any() else 0.0
    pairs = data.paired[numbers]
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
        worst = f"{CELLS[cells[mine][at]]} at τ = {setting.delay * 1e9:.0f} ns: {sigma[at]:+.1f} σ"
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
        off = float((maximum.z[at] - prior.mean[at]) / prior.sd[at])
        if abs(off) > CONFLICT:
            meaning = _MEANINGS.get(name, PARAMETERS[name].meaning)
            found.append(
                f"{name} = {float(values[name][0]):.4g} is {abs(off):.1f} standard deviations of "
                f"the prior away from {float(middle[name][0]):.4g}: {meaning}"
            )
    return tuple(found)


_MEANINGS = {
    "splitting": "the combiner is no even coupler, but more of a mirror",
    "delta_omega_hz": "ΔΩ is not what was thought",
}


def wrong_models(
    campaign: Campaign, maximum: Maximum, preset: DLCZParameters, drift: float
) -> tuple[str, ...]:
    """Return, best first, which wrong models explain data that do not fit.

    Each is fitted from the best fit on; it is named where it lowers the deviance by `GAIN`.
    """
    prior, data = maximum.likelihood.prior, maximum.likelihood.data
    base = float(maximum.likelihood.log_density(maximum.z[None])[0])
    found: list[tuple[float, str]] = []

    def trial(sentence: str, other: Prior, other_data: Data) -> None:
        start = np.array(
            [
                maximum.z[prior.free.index(name)] if name in prior.free else other.mean[number]
                for number, name in enumerate(other.free)
            ]
        )
        best = find_maximum(other_data, other, drift, start)
        # the same noise for both, so that the densities can be compared
        density = -0.5 * float(best.likelihood.deviances(best.z[None])[0])
        old = -0.5 * float(maximum.likelihood.deviances(maximum.z[None])[0])
        gain = 2 * (density - old)
        if np.isfinite(base) and gain > GAIN:
            found.append((gain, f"{sentence} (deviance lower by {gain:.0f})"))

    for sentence, changes in _freed(prior):
        kept = {n: (float(prior.values(prior.mean[None])[n][0]), float(s))
                for n, s in zip(prior.free, prior.sd, strict=True) if n not in changes}  # fmt: skip
        fixed = {n: v for n, v in prior.held.items() if n not in changes}
        trial(sentence, make_prior(campaign, preset, changes=kept | changes, fixed=fixed), data)
    for run, name in campaign.data_sets:
        if any(_closed(r.setting.e_pump) for r in campaign.records if r.data_set == name):
            opened = replace(campaign, records=tuple(
                replace(r, setting=replace(r.setting, e_pump=_opened(r.setting.e_pump),
                                           e_read=_opened(r.setting.e_read)))
                if (r.run, r.data_set) == (run, name) else r for r in campaign.records
            ))  # fmt: skip
            trial(f"the other arm was open in {name} ({run})", prior, Data.of(opened))
    found += [(g, s) for g, s in _shifted(maximum) if g > GAIN]
    if drift < _DRIFTING:
        more = find_maximum(data, prior, _DRIFTING, maximum.z)
        gain = float(maximum.likelihood.deviances(maximum.z[None])[0]) - float(
            more.likelihood.deviances(more.z[None])[0]
        )
        if gain > GAIN:
            found.append(
                (gain, f"efficiencies drift by more than {100 * drift:g} % (see --drift), "
                       f"deviance lower by {gain:.0f}")
            )  # fmt: skip
    ordered = sorted(found, reverse=True)
    return (
        *(s for g, s in ordered if _GENERAL not in s),
        *(s for g, s in ordered if _GENERAL in s),
    )


_DRIFTING = 0.1
_GENERAL = "efficiencies drift"
"""It can take up nearly anything, so that it is named last."""

_WIDE = 1.5


def _freed(prior: Prior) -> list[tuple[str, dict[str, tuple[float, float]]]]:
    """Return what single parameters, let free, would mean."""
    found: list[tuple[str, dict[str, tuple[float, float]]]] = [
        ("the combiner is no even coupler, but more of a mirror", {"splitting": (0.5, _WIDE)})
    ]
    usual: dict[str, tuple[float, float]] = {
        "afterpulse": (1e-4, 3.0), "crosstalk": (1e-4, 3.0), "blindness": (0.1, 1.0),
    }  # fmt: skip
    says = {
        "afterpulse": "the detectors have afterpulses", "crosstalk": "the detectors crosstalk",
        "blindness": "the detectors are blind after a click",
    }  # fmt: skip
    found += [(says[name], {name: usual[name]}) for name in MEMORY if name in prior.held]
    if "delta_omega_hz" in prior.free:
        now = float(prior.mean[prior.free.index("delta_omega_hz")]) * 1e6
        found += [
            (f"ΔΩ is wrong by {shift / 1e6:+.0f} MHz or so", {"delta_omega_hz": (now + shift, 1.0)})
            for shift in (-90e6, -20e6, -10e6, -4e6, 4e6, 10e6, 20e6)
        ]
    return found


def _closed(energy: tuple[float, float]) -> bool:
    low, high = sorted(energy)
    return high > 0 and low < 0.01 * high


def _opened(energy: tuple[float, float]) -> tuple[float, float]:
    return (max(energy), max(energy)) if _closed(energy) else energy


def _shifted(maximum: Maximum) -> list[tuple[float, str]]:
    """Return by how much a factor on one gate's clicks in one run would lower the deviance."""
    likelihood = maximum.likelihood
    data = likelihood.data
    singles, _, _ = data.expected(likelihood.prior.values(maximum.z[None]))
    raw = likelihood.log_residuals(singles[0])
    rows, cells = np.nonzero(data.normal)
    runs = np.array([record.run for record in data.records])[rows]
    found = []
    for run in dict.fromkeys(runs.tolist()):
        for gate, first in (("pump", 0), ("read", 2)):
            ones = ((runs == run) & (cells // 2 == first // 2)).astype(np.float64)
            if not ones.any():
                continue
            weighted = linalg.solve(likelihood.noise, ones, assume_a="pos")
            factor = float(weighted @ raw) / float(weighted @ ones)
            gain = float(weighted @ raw) ** 2 / float(weighted @ ones)
            found.append(
                (gain, f"the {gate} gate of {run} counts {np.exp(factor):.2f} of what fits: a gate "
                       f"beside its pulse, or a lost efficiency (deviance lower by {gain:.0f})")
            )  # fmt: skip
    return found
