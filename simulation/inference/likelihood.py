"""The likelihood of a campaign: singles with slow drifts, coincidences given the singles.

Singles S of a cell with many clicks: ln S is normal about ln λ, with variance 1/λ and the
covariance of the slow drifts of arms, lasers, coupler and detectors (`DRIFTS`), whose sensitivity
the model gives; cells with few clicks are Poisson. Coincidences of r_i and p_j are Poisson about
g²_ij S_i S_j/N, so that a drift of any efficiency cancels; but a pump that drifts heats by more or
less, and where there are many coincidences their logarithm is normal, with the covariance that the
drifts give to ln g²_ij and to the singles. Poisson terms are deviances,
2 (λ − y − y ln(λ/y)), never bare likelihoods of 1e7.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special

from simulation.inference.data import Campaign, Record, correlation_of
from simulation.inference.model import CELLS, laser_coincidences, probabilities
from simulation.inference.prior import Prior
from simulation.inference.setting import Settings
from simulation.theory.dlcz import PairClicks

Real = NDArray[np.float64]
Values = Mapping[str, Real]

MANY = 25
"""From so many clicks on a cell's singles, or coincidences, count as normal."""

SLOW, FAST = 1800.0, 120.0
"""Correlation times of slow drifts, and of the lasers' frequencies against the filters, s."""

DRIFTS: Final[Mapping[str, Mapping[float, float]]] = {
    "arm_A": {SLOW: 0.5}, "arm_B": {SLOW: 0.5}, "power_pump": {SLOW: 1.0},
    "power_read": {SLOW: 1.0}, "coupler": {SLOW: 0.2}, "detector_1": {SLOW: 0.5},
    "detector_2": {SLOW: 0.5},
    **{cell: {SLOW: 0.7, FAST: 0.5} for cell in CELLS},
}  # fmt: skip
"""What drifts: by correlation time, its standard deviation in units of the allowed drift.

An arm's transmission is passed by drive and scattered light; a laser's power acts through its
pulse; a detector's filters act on both gates, and on one gate apart where that gate's laser stands
on the flank of a filter: slowly as both are tuned from time to time, fast as a laser moves.
"""

ASIDE = 0.15
"""Standard deviation of ln of the leak where filters stand beside the line, not on it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Data:
    """All counts as arrays; m settings.

    Attributes
    ----------
    records : tuple of Record
    settings : Settings
    reference_delay : float
        s.
    trials : ndarray, shape (m,)
    singles : ndarray, shape (m, 4)
    pairs : ndarray, shape (m, 2, 2)
    normal, poisson : ndarray of bool, shape (m, 4)
        Which singles are compared as normal, and which as Poisson.
    many, few : ndarray of bool, shape (m, 2, 2)
        The same of coincidences.
    exposure : ndarray, shape (m, 2, 2)
        S_i S_j/N, or what a record says.
    before : ndarray, shape (2,)
        Clicks before the pulses, of all records.
    before_seconds : float
        How long that was altogether.
    kernels : dict of float to ndarray
        By correlation time, that of drifts between the settings, shape (m, m).
    """

    records: tuple[Record, ...]
    settings: Settings
    reference_delay: float
    trials: Real
    singles: Real
    pairs: Real
    normal: NDArray[np.bool_]
    poisson: NDArray[np.bool_]
    many: NDArray[np.bool_]
    few: NDArray[np.bool_]
    exposure: Real
    before: Real
    before_seconds: float
    kernels: dict[float, Real]

    @classmethod
    def of(cls, campaign: Campaign) -> "Data":
        """Arrange a campaign's counts.

        Raises
        ------
        ValueError
            If there are none.
        """
        records = campaign.records
        m = len(records)
        trials = np.array([float(record.trials) for record in records])
        singles = np.array([r.singles for r in records]).reshape(m, 4)
        pairs = np.array([r.coincidences for r in records]).reshape(m, 2, 2)
        light = np.array([r.kind == "light" for r in records], np.bool_)[:, None]
        seen = np.isfinite(singles) & light
        normal = seen & (np.nan_to_num(singles) >= MANY)
        exposure = singles[:, 2:, None] * singles[:, None, :2] / trials[:, None, None]
        for row, record in enumerate(records):
            if record.exposure is not None:
                exposure[row] = record.exposure
        paired = np.isfinite(pairs) & (np.nan_to_num(exposure) > 0)
        own = np.array([r.exposure is None for r in records], np.bool_)[:, None, None]
        many = paired & (np.nan_to_num(pairs) >= MANY) & own & light[..., None]
        return cls(
            records=records,
            settings=Settings.of([record.setting for record in records]),
            reference_delay=campaign.reference.delay,
            trials=trials,
            singles=singles,
            pairs=pairs,
            normal=normal,
            poisson=seen & ~normal,
            many=many,
            few=paired & ~many,
            exposure=exposure,
            before=np.sum([r.before for r in records], axis=0) if m else np.zeros(2),
            before_seconds=float(sum(r.before_seconds * r.trials for r in records)),
            kernels={time: correlation_of(records, time) for time in (SLOW, FAST)},
        )

    def played(self, records: Sequence[Record]) -> "Data":
        """Return the same counts as those of other settings."""
        settings = Settings.of([record.setting for record in records])
        return replace(self, records=tuple(records), settings=settings)

    @property
    def paired(self) -> NDArray[np.bool_]:
        """Which coincidences are compared."""
        return np.asarray(self.many | self.few)

    @property
    def rows(self) -> NDArray[np.int64]:
        """Settings of what is compared as normal: singles, then coincidences."""
        return np.concatenate([np.nonzero(self.normal)[0], np.nonzero(self.many)[0]])

    @property
    def numbers(self) -> int:
        """Number of counts that are compared."""
        return int(self.normal.sum() + self.poisson.sum() + self.paired.sum()) + (
            2 if self.before_seconds else 0
        )

    def expected(self, values: Values) -> tuple[Real, Real, Real]:
        """Return expected singles (n, m, 4), g² (n, m, 2, 2) and clicks before (n, 2)."""
        clicks = probabilities(values, self.settings, reference_delay=self.reference_delay)
        singles = np.moveaxis(self.trials[:, None, None] * clicks.singles, 0, 1)
        g2 = np.moveaxis(_g2(clicks), 0, 1)
        for at, record in enumerate(self.records):
            if record.kind == "laser":
                seen = self.singles[at] / self.trials[at]
                joint = laser_coincidences(values, seen)
                g2[:, at] = joint / (seen[2:, None] * seen[None, :2])
        rate = np.stack([values["dark_rate_1"], values["dark_rate_2"]], -1)
        return singles, g2, rate * self.before_seconds


def deviance(expected: Real, found: Real) -> Real:
    """Return 2 (λ − y − y ln(λ/y)), element by element; 2 λ where y = 0."""
    expected = np.maximum(expected, 1e-12)
    return np.asarray(
        2 * (expected - found - special.xlogy(found, expected) + special.xlogy(found, found))
    )


def drift_covariance(data: Data, values: Values, drift: float) -> Real:
    """Return the covariance of ln of the normal singles, then g², by slow drifts, shape (q, q).

    Parameters
    ----------
    data : Data
    values : mapping
        One point, shapes (1,).
    drift : float
        Relative standard deviation that `DRIFTS` scale with.
    """
    rows = data.rows
    found = np.zeros((len(rows), len(rows)))
    if not len(rows):
        return found
    aside = np.array([not r.setting.on_line for r in data.records])[rows]
    aside[data.normal.sum() :] = False
    same = rows[:, None] == rows[None, :]
    found += ASIDE**2 * (same & aside[:, None] & aside)
    if drift == 0:
        return found
    kernels = {time: kernel[np.ix_(rows, rows)] for time, kernel in data.kernels.items()}
    for name, parts in DRIFTS.items():
        singles, g2 = _sensitivity(data, values, name)
        own = np.concatenate([singles[data.normal], g2[data.many]]) * drift
        kernel = sum(part**2 * kernels[time] for time, part in parts.items())
        found += kernel * own[:, None] * own
    return found


_STEP = 1e-3


def _sensitivity(data: Data, values: Values, name: str) -> tuple[Real, Real]:
    """Slopes of ln(singles), (m, 4), and ln(g²), (m, 2, 2), in ln(what drifts) or the splitting."""
    if name in CELLS:
        own = np.tile((np.array(CELLS) == name).astype(np.float64), (len(data.records), 1))
        return own, np.zeros(data.pairs.shape)
    changed, settings = dict(values), data.settings
    up = 1 + _STEP
    if name.startswith("arm"):
        x = name[-1]
        changed[f"eta_{x}"] = values[f"eta_{x}"] * up
        factors = (up, 1.0) if x == "A" else (1.0, up)
        settings = replace(
            settings, e_pump=_times(settings.e_pump, factors),
            e_read=_times(settings.e_read, factors),
        )  # fmt: skip
    elif name == "power_pump":
        settings = replace(settings, e_pump=_times(settings.e_pump, (up, up)))
    elif name == "power_read":
        settings = replace(settings, e_read=_times(settings.e_read, (up, up)))
    elif name == "coupler":
        changed["splitting"] = values["splitting"] + _STEP
    else:
        j = name[-1]
        for quantity in (f"eta_{j}", f"leak_pump_{j}", f"leak_read_{j}"):
            changed[quantity] = values[quantity] * up
    there, here = (
        probabilities(v, s, reference_delay=data.reference_delay)
        for v, s in ((changed, settings), (values, data.settings))
    )
    step = _STEP if name == "coupler" else np.log(up)
    singles = np.log(there.singles / here.singles)[:, 0] / step
    g2 = np.log(_g2(there) / _g2(here))[:, 0] / step
    return np.asarray(singles), np.asarray(g2)


def _g2(clicks: PairClicks) -> Real:
    rates = clicks.singles[..., 2:, None] * clicks.singles[..., None, :2]
    return np.asarray(np.maximum(clicks.coincidences, 1e-300) / np.maximum(rates, 1e-300))


def _times(energy: tuple[Real, Real], factors: tuple[float, float]) -> tuple[Real, Real]:
    return energy[0] * factors[0], energy[1] * factors[1]


class Likelihood:
    """Posterior density of a campaign, up to a constant; the noise is that at one point.

    Parameters
    ----------
    data : Data
    prior : Prior
    drift : float
        Allowed relative drift.
    at : ndarray, shape (k,)
        Coordinates at which variances and sensitivities are taken.
    """

    def __init__(self, data: Data, prior: Prior, drift: float, at: Real) -> None:
        self.data, self.prior, self.drift = data, prior, drift
        values = prior.values(at[None])
        singles, g2, _ = data.expected(values)
        covariance = drift_covariance(data, values, drift)
        means = [singles[0][data.normal], (g2[0] * data.exposure)[data.many]]
        covariance[np.diag_indices_from(covariance)] += 1 / np.concatenate(means)
        self.noise = covariance
        self._root = linalg.cholesky(covariance, lower=True) if len(covariance) else covariance
        self._prior_root = linalg.cholesky(prior.covariance, lower=True)
        found = [data.singles[data.normal] + 0.5, (data.pairs[data.many] + 0.5)]
        found[1] = found[1] / data.exposure[data.many]
        self._logs = np.log(np.concatenate(found))

    def residuals(self, z: Real) -> tuple[Real, Real, Real]:
        """Return whitened normal residuals (n, q), Poisson means (n, c), and prior ones (n, k)."""
        data = self.data
        singles, g2, before = data.expected(self.prior.values(z))
        raw = self.log_residuals(singles, g2)
        white = linalg.solve_triangular(self._root, raw.T, lower=True).T if raw.size else raw
        means = np.concatenate(
            [singles[:, data.poisson], g2[:, data.few] * data.exposure[data.few], before],
            axis=1,
        )
        from_prior = linalg.solve_triangular(
            self._prior_root, (z - self.prior.mean).T, lower=True
        ).T
        return white, means, from_prior

    def log_residuals(self, singles: Real, g2: Real) -> Real:
        """Return ln(found/expected) of normal singles (..., m, 4) and g² (..., m, 2, 2)."""
        expected = [singles[..., self.data.normal], g2[..., self.data.many]]
        return np.asarray(self._logs - np.log(np.maximum(np.concatenate(expected, -1), 1e-300)))

    @property
    def counted(self) -> Real:
        """Counts that belong to the Poisson means."""
        data = self.data
        return np.concatenate([data.singles[data.poisson], data.pairs[data.few], data.before])

    def deviances(self, z: Real) -> Real:
        """Return the deviance of the data, shape (n,)."""
        white, means, _ = self.residuals(z)
        return np.asarray(np.sum(white**2, axis=1) + np.sum(deviance(means, self.counted), axis=1))

    def log_density(self, z: Real, chunk: int = 1000) -> Real:
        """Return ln of the posterior density up to a constant, shape (n,)."""
        found = []
        for first in range(0, len(z), chunk):
            white, means, from_prior = self.residuals(z[first : first + chunk])
            total = np.sum(white**2, axis=1) + np.sum(from_prior**2, axis=1)
            found.append(-0.5 * (total + np.sum(deviance(means, self.counted), axis=1)))
        return np.concatenate(found)

    def jacobian(self, z: Real) -> tuple[Real, Real, Real, Real, Real]:
        """Return residuals, Poisson means, prior residuals at z, and d white/dz, d means/dz."""
        k = len(z)
        step = 1e-4
        points = np.concatenate([z[None], z + step * np.eye(k), z - step * np.eye(k)])
        white, means, from_prior = self.residuals(points)
        slope = (white[1 : k + 1] - white[k + 1 :]) / (2 * step)
        rise = (means[1 : k + 1] - means[k + 1 :]) / (2 * step)
        return white[0], means[0], from_prior[0], slope.T, rise.T

    def information(self, z: Real) -> tuple[Real, Real, Real]:
        """Return the data's Fisher information, the prior's, and the gradient of −ln density."""
        white, means, _, slope, rise = self.jacobian(z)
        means = np.maximum(means, 1e-12)
        data = slope.T @ slope + (rise / means[:, None]).T @ rise
        inverse = linalg.cho_solve((self._prior_root, True), np.eye(len(z)))
        gradient = slope.T @ white + rise.T @ (1 - self.counted / means)
        return data, inverse, gradient + inverse @ (z - self.prior.mean)


def split_by_data_set(records: Sequence[Record]) -> dict[tuple[str, str], list[int]]:
    """Return the numbers of the records by (run, data set)."""
    found: dict[tuple[str, str], list[int]] = {}
    for number, record in enumerate(records):
        found.setdefault((record.run, record.data_set), []).append(number)
    return found
