"""Wrong models: which of the usual mistakes would explain the data better than none.

Each is fitted from the best fit on. It has one number more than the model has, or another setting:
Λ, twice the gain in ln of the posterior density (determinant of the noise included), is compared
with χ² of one degree of freedom, and the p-value multiplied by the number of places that were
looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize, special

from simulation.inference.checks import ALPHA
from simulation.inference.data import Campaign
from simulation.inference.likelihood import DRIFT, Data, deviance, split_by_data_set
from simulation.inference.model import SHARES
from simulation.inference.prior import MEMORY, Prior
from simulation.inference.sampling import Maximum, find_maximum
from simulation.inference.table import to_coordinate

Real = NDArray[np.float64]

DRIFTING = 0.1
"""Drift that is tried instead of a smaller one that was held."""

WIDE = 1.5
"""Standard deviation of the splitting's coordinate where the combiner may be anything."""

BEATS_HZ, FINEST, MOST = 150e6, 8, 20_000
"""ΔΩ is looked for up to so far from where it was thought, in steps of so many a fringe of the
latest delay, and in at most so many steps."""

FIRST, FAR, LATER = 6, 40.0, 25
"""After so many steps a wrong model is given up if −2 ln density is larger by so much; otherwise it
gets so many more."""

LEAST_SHIFT = 0.15
"""A gate whose clicks are off by less, in ln, is not said to be off its pulse: lasers jump too."""

LESS = 3.0
"""The drift may fall to e to the minus this as a misfit is explained."""

USUAL = {"afterpulse": (1e-4, 3.0), "crosstalk": (1e-4, 3.0), "blindness": (0.1, 1.0)}
"""Priors of the detectors' memory where it is freed."""

SAYS = {
    "afterpulse": "the detectors have afterpulses",
    "crosstalk": "the detectors crosstalk",
    "blindness": "the detectors are blind after a click",
}
ALONE = {
    "afterpulse": "detector {} alone has afterpulses",
    "crosstalk": "detector {} alone hears the other one (crosstalk)",
    "blindness": "detector {} alone is blind after a click",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongModel:
    """What would explain the data better.

    Attributes
    ----------
    sentence : str
    gain : float
        Λ, twice the gain in ln of the density.
    looks : float
        At how many places was looked for it.
    """

    sentence: str
    gain: float
    looks: float = 1.0

    @property
    def p_value(self) -> float:
        """How often data of the right model would gain as much at one of these places."""
        return float(min(1.0, self.looks * special.chdtrc(1, max(self.gain, 0.0))))

    def __str__(self) -> str:
        return f"{self.sentence} (2 Δ ln density {self.gain:.0f}, p = {self.p_value:.1g})"


def wrong_models(campaign: Campaign, maximum: Maximum) -> tuple[WrongModel, ...]:
    """Return, best first, which wrong models explain the data better than chance would.

    A combiner that is no even one, detectors' memory, also of one detector alone, another ΔΩ, an
    arm left open in a data set, a gate beside its pulse in a data set, more drift than allowed
    where it was held.

    Parameters
    ----------
    campaign : Campaign
    maximum : Maximum
        Best fit of the right model.
    """
    found = [
        *_freed(maximum),
        *_alone(maximum),
        *_beats(campaign, maximum),
        *_left_open(campaign, maximum),
        *_shifted(maximum),
        *_drifting(maximum),
    ]
    said = [one for one in found if one.p_value * len(found) < ALPHA]
    return tuple(sorted(said, key=lambda one: -one.gain))


def score(maximum: Maximum) -> float:
    """Return −2 ln of the density at a maximum, but for what all noises share."""
    return maximum.likelihood.score(maximum.z)


def _refit(maximum: Maximum, prior: Prior, data: Data) -> Maximum:
    """Fit from the best fit on; given up where it is still far worse after some steps."""
    old = maximum.likelihood.prior
    start = np.array(
        [
            maximum.z[old.free.index(name)] if name in old.free else prior.mean[number]
            for number, name in enumerate(prior.free)
        ]
    )
    begun = find_maximum(data, prior, start, steps=FIRST)
    if score(begun) > score(maximum) + FAR:
        return begun
    return find_maximum(data, prior, begun.z, steps=LATER)


def _with_prior(prior: Prior, name: str, median: float, sd: float) -> Prior:
    """Return the prior with one parameter freed or moved."""
    free = prior.free if name in prior.free else (*prior.free, name)
    at, k = free.index(name), len(free)
    mean, covariance = np.zeros(k), np.zeros((k, k))
    mean[: len(prior.mean)] = prior.mean
    covariance[: len(prior.mean), : len(prior.mean)] = prior.covariance
    mean[at] = float(to_coordinate(name, median))
    covariance[at], covariance[:, at] = 0.0, 0.0
    covariance[at, at] = sd**2
    held = {n: v for n, v in prior.held.items() if n != name}
    return Prior(free=free, mean=mean, covariance=covariance, held=held)


def _freed(maximum: Maximum) -> Iterator[WrongModel]:
    prior, data = maximum.likelihood.prior, maximum.likelihood.data
    tried = {"the combiner is no even coupler, but more of a mirror": ("splitting", (0.5, WIDE))}
    tried |= {SAYS[name]: (name, USUAL[name]) for name in MEMORY if name in prior.held}
    before = score(maximum)
    for sentence, (name, (median, sd)) in tried.items():
        other = _with_prior(prior, name, median, sd)
        best = _refit(maximum, other, data)
        value = float(other.values(best.z[None])[name][0])
        yield WrongModel(sentence=f"{sentence}: {name} = {value:.2g}", gain=before - score(best))


def _alone(maximum: Maximum) -> Iterator[WrongModel]:
    """Give the memory that both detectors have in the model to one of them."""
    old, before = maximum.likelihood.prior, score(maximum)
    for name in MEMORY:
        prior = old if name in old.free else _with_prior(old, name, *USUAL[name])
        for j in (1, 2):
            other = replace(prior, held=prior.held | {SHARES[name]: float(j == 1)})
            best = _refit(maximum, other, maximum.likelihood.data)
            value = min(2 * float(other.values(best.z[None])[name][0]), 1.0)
            yield WrongModel(
                sentence=f"{ALONE[name].format(j)}: {name} = {value:.2g}",
                gain=before - score(best),
            )


def _beats(campaign: Campaign, maximum: Maximum) -> Iterator[WrongModel]:
    """Look for another ΔΩ by the coincidences at other delays than the reference's."""
    prior, data = maximum.likelihood.prior, maximum.likelihood.data
    if "delta_omega_hz" not in prior.free:
        return
    late = np.array([record.setting.delay for record in data.records]) - data.reference_delay
    rows = np.flatnonzero((np.abs(late) > 1e-9) & data.paired.any(axis=(1, 2)) & _both_open(data))
    if not len(rows):
        return
    span = float(np.abs(late[rows]).max())
    now = float(prior.values(maximum.z[None])["delta_omega_hz"][0])
    steps = int(min(MOST, 2 * BEATS_HZ * span * FINEST + 1))
    grid = now + np.linspace(-BEATS_HZ, BEATS_HZ, steps)
    places = np.tile(maximum.z, (steps, 1))
    places[:, prior.free.index("delta_omega_hz")] = grid / 1e6
    part = Data.of(replace(campaign, records=tuple(data.records[row] for row in rows)))
    misfit = []
    for chunk in np.array_split(places, max(1, steps // 1000)):
        _, g2, _ = part.expected(prior.values(chunk))
        means = (g2 * np.nan_to_num(part.exposure))[:, part.paired]
        misfit.append(deviance(means, part.pairs[part.paired]).sum(axis=1))
    order = np.argsort(np.concatenate(misfit))
    tops: list[float] = []
    for hertz in grid[order[:50]]:
        if len(tops) < 2 and all(abs(hertz - top) > 1 / span for top in [now, *tops]):
            tops.append(float(hertz))
    for hertz in tops:
        other = _with_prior(prior, "delta_omega_hz", hertz, 1.0)
        z = maximum.z.copy()
        z[prior.free.index("delta_omega_hz")] = hertz / 1e6
        best = _refit(replace(maximum, z=z), other, data)
        there = float(other.values(best.z[None])["delta_omega_hz"][0])
        yield WrongModel(
            sentence=f"ΔΩ is not what was thought: {there / 1e6:.2f} MHz, not {now / 1e6:.2f} MHz",
            gain=score(maximum) - score(best), looks=2 * BEATS_HZ * span,
        )  # fmt: skip


def _both_open(data: Data) -> NDArray[np.bool_]:
    settings = [record.setting for record in data.records]
    return np.array([min(*s.e_pump, *s.e_read) > 0.01 and s.on_line for s in settings], np.bool_)


def _left_open(campaign: Campaign, maximum: Maximum) -> Iterator[WrongModel]:
    prior = maximum.likelihood.prior
    for run, name in campaign.data_sets:
        mine = [r for r in campaign.records if (r.run, r.data_set) == (run, name)]
        if not any(_closed(r.setting.e_pump) or _closed(r.setting.e_read) for r in mine):
            continue
        opened = [
            replace(r, setting=replace(r.setting, e_pump=_opened(r.setting.e_pump),
                                       e_read=_opened(r.setting.e_read)))
            if (r.run, r.data_set) == (run, name) else r for r in campaign.records
        ]  # fmt: skip
        best = _refit(maximum, prior, maximum.likelihood.data.played(opened))
        yield WrongModel(
            sentence=f"the other arm was open in {name} ({run})", gain=score(maximum) - score(best)
        )


def _closed(energy: tuple[float, float]) -> bool:
    low, high = sorted(energy)
    return high > 0 and low < 0.01 * high


def _opened(energy: tuple[float, float]) -> tuple[float, float]:
    return (max(energy), max(energy)) if _closed(energy) else energy


def _shifted(maximum: Maximum) -> Iterator[WrongModel]:
    """Give a factor to one gate's clicks in one data set, all parameters free to follow."""
    likelihood = maximum.likelihood
    data = likelihood.data
    if not data.normal.any():
        return
    white, _, _, slope, _ = likelihood.jacobian(maximum.z)
    rows, cells = np.nonzero(data.normal)
    usual = _calmer(maximum, white)
    for (run, name), numbers in split_by_data_set(data.records).items():
        for gate, first in (("pump", 0), ("read", 2)):
            ones = np.zeros(len(likelihood.slow))
            ones[: len(rows)] = np.isin(rows, numbers) & (cells // 2 == first // 2)
            if not ones.any():
                continue
            own = likelihood.whitened(maximum.z, ones)
            along = linalg.solve(maximum.information, slope.T @ own, assume_a="pos")
            weight = float(own @ own - (slope.T @ own) @ along)
            pull = float(own @ white)
            shift = pull / weight if weight > 0 else 0.0
            if abs(shift) < LEAST_SHIFT:
                continue
            factor = np.exp(shift)
            calm = _calmer(maximum, white - shift * (own - slope @ along)) - usual
            yield WrongModel(
                sentence=f"the {gate} gate of {name} ({run}) counts {factor:.2f} of what fits: a "
                "gate beside its pulse, or a lost efficiency",
                gain=pull * shift + calm,
            )


def _calmer(maximum: Maximum, white: Real) -> float:
    """Return by how much −2 ln density falls as the drift adapts to what is left of a misfit."""
    likelihood, prior = maximum.likelihood, maximum.likelihood.prior
    if DRIFT not in prior.free:
        return 0.0
    at, wider = prior.free.index(DRIFT), 1 + likelihood.drift(maximum.z) ** 2 * likelihood.slow
    precision, off = linalg.inv(prior.covariance), maximum.z - prior.mean

    def cost(less: float) -> float:
        there = off.copy()
        there[at] -= less
        spread = 1 + (likelihood.drift(maximum.z) * np.exp(-less)) ** 2 * likelihood.slow
        misfit = np.sum(white**2 * wider / spread + np.log(spread))
        return float(misfit + there @ precision @ there)

    found = optimize.minimize_scalar(cost, bounds=(0.0, LESS), method="bounded")
    return max(cost(0.0) - float(found.fun), 0.0)


def _drifting(maximum: Maximum) -> Iterator[WrongModel]:
    likelihood = maximum.likelihood
    prior, drift = likelihood.prior, likelihood.drift(maximum.z)
    if DRIFT in prior.free or drift >= DRIFTING:
        return
    wider = replace(prior, held=prior.held | {DRIFT: DRIFTING})
    more = find_maximum(likelihood.data, wider, maximum.z, steps=LATER)
    yield WrongModel(
        sentence=f"efficiencies drift by more than {100 * drift:g} % (see --drift)",
        gain=score(maximum) - score(more),
    )
