"""The likelihood of a campaign: singles with slow drifts, coincidences given the singles.

Singles S of a cell with many clicks: ln S is normal about ln λ, with variance 1/λ and the
covariance of the slow drifts of arms, lasers, coupler and detectors (`DRIFTS`), whose sensitivity
the model gives, and whose size, ``drift``, is inferred with the rest from the scatter of the
settings about the fit; cells with few clicks are Poisson. Coincidences of r_i and p_j are Poisson
about g²_ij S_i S_j/N, so that a drift of any efficiency cancels; but a pump that drifts heats by
more or less, and where there are many coincidences their logarithm is normal, with the covariance
that the drifts give to ln g²_ij and to the singles. Poisson terms are deviances,
2 (λ − y − y ln(λ/y)), never bare likelihoods of 1e7.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize, special

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
    "arm_A": {SLOW: 0.25}, "arm_B": {SLOW: 0.25}, "power_pump": {SLOW: 1.1, FAST: 0.7},
    "power_read": {SLOW: 1.1, FAST: 0.7}, "coupler": {SLOW: 0.1}, "detector_1": {SLOW: 0.2},
    "detector_2": {SLOW: 0.2},
    **{cell: {SLOW: 0.6, FAST: 0.1} for cell in CELLS},
}  # fmt: skip
"""What drifts: by correlation time, its standard deviation in units of ``drift``.

An arm's transmission is passed by drive and scattered light; a laser's power acts through its
pulse, slowly as it and the filter behind it are tuned from time to time, fast as it moves on that
filter's flank; a detector's filters act on both gates, and on one gate apart.
"""

DRIFT = "drift"
"""Name of the parameter that says how far things drift."""

_FARTHEST = 6.0
"""Standard deviations of its prior within which it is looked for."""

ASIDE = 0.05
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
        singles = (self.trials[:, None, None] * clicks.singles).swapaxes(0, 1)
        g2 = _g2(clicks).swapaxes(0, 1)
        if lasers := [at for at, record in enumerate(self.records) if record.kind == "laser"]:
            seen = self.singles[lasers] / self.trials[lasers, None]
            accidental = seen[:, 2:, None] * seen[:, None, :2]
            joint = laser_coincidences(values, seen) / accidental[:, None]
            g2[:, lasers] = joint.swapaxes(0, 1)
        rate = np.stack([values["dark_rate_1"], values["dark_rate_2"]], -1)
        return singles, g2, rate * self.before_seconds


def deviance(expected: Real, found: Real) -> Real:
    """Return 2 (λ − y − y ln(λ/y)), element by element; 2 λ where y = 0."""
    expected = np.maximum(expected, 1e-12)
    return np.asarray(
        2 * (expected - found - special.xlogy(found, expected) + special.xlogy(found, found))
    )


def aside_covariance(data: Data) -> Real:
    """Return that of ln of the normal singles, then g², by leaks beside the line, shape (q, q)."""
    rows = data.rows
    aside = np.array([not r.setting.on_line for r in data.records], np.bool_)[rows]
    aside[data.normal.sum() :] = False
    same = rows[:, None] == rows[None, :]
    return np.asarray(ASIDE**2 * (same & aside[:, None] & aside))


def drift_covariance(data: Data, values: Values) -> Real:
    """Return that of ln of the normal singles, then g², by slow drifts of 1, shape (q, q).

    Parameters
    ----------
    data : Data
    values : mapping
        One point, shapes (1,).
    """
    rows = data.rows
    found = np.zeros((len(rows), len(rows)))
    if not len(rows):
        return found
    kernels = {time: kernel[np.ix_(rows, rows)] for time, kernel in data.kernels.items()}
    here = probabilities(values, data.settings, reference_delay=data.reference_delay)
    for name, parts in DRIFTS.items():
        singles, g2 = _sensitivity(data, values, name, here)
        own = np.concatenate([singles[data.normal], g2[data.many]])
        kernel = sum(part**2 * kernels[time] for time, part in parts.items())
        found += kernel * own[:, None] * own
    return found


_STEP = 1e-3


def _sensitivity(data: Data, values: Values, name: str, here: PairClicks) -> tuple[Real, Real]:
    """Slopes of ln(singles), (m, 4), and ln(g²), (m, 2, 2), in ln(what drifts) or the splitting.

    `here` are the clicks at `values`.
    """
    if name in CELLS:
        own = np.tile((np.array(CELLS) == name).astype(np.float64), (len(data.records), 1))
        return own, np.zeros(data.pairs.shape)
    changed, settings = dict(values), data.settings
    x = name[-1]
    # an efficiency of nearly 1 is stepped down, as it cannot be above
    full = f"eta_{x}" in values and float(np.max(values[f"eta_{x}"])) * (1 + _STEP) > 1
    up = 1 - _STEP if full else 1 + _STEP
    if name.startswith("arm"):
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
        for quantity in (f"eta_{x}", f"leak_pump_{x}", f"leak_read_{x}"):
            changed[quantity] = values[quantity] * up
    there = probabilities(changed, settings, reference_delay=data.reference_delay)
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
    """Posterior density of a campaign, up to a constant; sensitivities are those at one point.

    The noise is C + drift² K, C of counting and of leaks beside the line, K of drifts of 1. In the
    basis in which C is the unit matrix and K = diag(λ), any drift costs no more than a fixed one.

    Parameters
    ----------
    data : Data
    prior : Prior
    at : ndarray, shape (k,)
        Coordinates at which counting noise and sensitivities are taken.

    Attributes
    ----------
    slow : ndarray, shape (q,)
        λ.
    """

    def __init__(self, data: Data, prior: Prior, at: Real) -> None:
        self.data, self.prior = data, prior
        values = prior.values(at[None])
        singles, g2, _ = data.expected(values)
        means = [singles[0][data.normal], (g2[0] * data.exposure)[data.many]]
        self._counted = aside_covariance(data)
        self._counted[np.diag_indices_from(self._counted)] += 1 / np.concatenate(means)
        self._drifting = drift_covariance(data, values)
        self.slow, self._basis = _both_diagonal(self._counted, self._drifting)
        self._prior_root = linalg.cholesky(prior.covariance, lower=True)
        found = [data.singles[data.normal] + 0.5, (data.pairs[data.many] + 0.5)]
        found[1] = found[1] / data.exposure[data.many]
        self._logs = np.log(np.concatenate(found))

    @property
    def steady(self) -> NDArray[np.bool_]:
        """Which coordinates are of the model, and not the drift's, shape (k,)."""
        return np.array([name != DRIFT for name in self.prior.free], np.bool_)

    def drift(self, z: Real) -> float:
        """Return the drift at a point, shape (k,)."""
        return float(self.prior.value(DRIFT, z))

    def noise(self, z: Real) -> Real:
        """Return the covariance of what is normal, shape (q, q), with the drift of a point."""
        return np.asarray(self._counted + self.drift(z) ** 2 * self._drifting)

    def whitened(self, z: Real, ones: Real) -> Real:
        """Return directions (..., q) of what is normal in units of the noise of a point."""
        return np.asarray(ones @ self._basis.T / np.sqrt(1 + self.drift(z) ** 2 * self.slow))

    def residuals(self, z: Real) -> tuple[Real, Real, Real]:
        """Return whitened normal residuals (n, q), Poisson means (n, c), and prior ones (n, k)."""
        data, values = self.data, self.prior.values(z)
        singles, g2, before = data.expected(values)
        spread = 1 + values[DRIFT][:, None] ** 2 * self.slow
        white = self.log_residuals(singles, g2) @ self._basis.T / np.sqrt(spread)
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

    def log_density(self, z: Real, chunk: int = 250) -> Real:
        """Return ln of the posterior density up to a constant, shape (n,).

        By default so many at a time as a processor's own cache has room for.
        """
        found = []
        for first in range(0, len(z), chunk):
            part = z[first : first + chunk]
            white, means, from_prior = self.residuals(part)
            total = np.sum(white**2, axis=1) + np.sum(from_prior**2, axis=1)
            drift = self.prior.value(DRIFT, part)
            total += np.sum(np.log1p(drift[:, None] ** 2 * self.slow), axis=1)
            found.append(-0.5 * (total + np.sum(deviance(means, self.counted), axis=1)))
        return np.concatenate(found)

    def score(self, z: Real) -> float:
        """Return −2 ln density at a point (k,), the determinant of the counting noise included."""
        own = self._counted
        return -2 * float(self.log_density(z[None])[0]) + float(np.linalg.slogdet(own)[1])

    def jacobian(self, z: Real) -> tuple[Real, Real, Real, Real, Real]:
        """Return residuals, Poisson means, prior residuals at z, and d white/dz, d means/dz.

        The drift changes no expectation: its columns are 0.
        """
        k = len(z)
        step = 1e-4
        points = np.concatenate([z[None], z + step * np.eye(k), z - step * np.eye(k)])
        white, means, from_prior = self.residuals(points)
        slope = (white[1 : k + 1] - white[k + 1 :]) / (2 * step)
        rise = (means[1 : k + 1] - means[k + 1 :]) / (2 * step)
        slope[~self.steady] = 0.0
        return white[0], means[0], from_prior[0], slope.T, rise.T

    def information(self, z: Real) -> tuple[Real, Real, Real]:
        """Return the data's Fisher information, the prior's, and the gradient of −ln density."""
        white, means, _, slope, rise = self.jacobian(z)
        means = np.maximum(means, 1e-12)
        data = slope.T @ slope + (rise / means[:, None]).T @ rise
        inverse = linalg.cho_solve((self._prior_root, True), np.eye(len(z)))
        gradient = slope.T @ white + rise.T @ (1 - self.counted / means)
        share = 1 - 1 / (1 + self.drift(z) ** 2 * self.slow)
        data[~self.steady, ~self.steady] = 2 * np.sum(share**2)
        gradient[~self.steady] = np.sum(share * (1 - white**2))
        return data, inverse, gradient + inverse @ (z - self.prior.mean)

    def with_drift(self, z: Real) -> Real:
        """Return a maximum of all else with the most probable drift, all else integrated over.

        In the normal approximation: of −ln density the determinant of the other parameters'
        information is taken away, as restricted maximum likelihood does (Patterson and Thompson
        1971); the joint maximum is at too small a drift, as the fit follows the data.
        """
        if self.steady.all() or not len(self.slow):
            return z
        white, means, _, slope, rise = self.jacobian(z)
        prior, keep, at = self.prior, self.steady, int(np.flatnonzero(~self.steady)[0])
        inverse = linalg.cho_solve((self._prior_root, True), np.eye(len(z)))
        rest = ((rise / np.maximum(means, 1e-12)[:, None]).T @ rise + inverse)[np.ix_(keep, keep)]
        spread = 1 + self.drift(z) ** 2 * self.slow
        square, slopes = white**2 * spread, (slope * np.sqrt(spread)[:, None])[:, keep]

        def cost(coordinate: float) -> float:
            there = z.copy()
            there[at] = coordinate
            wider, off = 1 + self.drift(there) ** 2 * self.slow, there - prior.mean
            information = (slopes / wider[:, None]).T @ slopes + rest
            return float(
                np.sum(square / wider + np.log(wider)) + np.linalg.slogdet(information)[1]
                + off @ inverse @ off
            )  # fmt: skip

        ends = prior.mean[at] - _FARTHEST * prior.sd[at], prior.mean[at] + _FARTHEST * prior.sd[at]
        found = z.copy()
        found[at] = float(optimize.minimize_scalar(cost, bounds=ends, method="bounded").x)
        return found


def _both_diagonal(counted: Real, drifting: Real) -> tuple[Real, Real]:
    """Return λ and B with B C Bᵀ = 1 and B K Bᵀ = diag(λ)."""
    if not len(counted):
        return np.zeros(0), np.zeros((0, 0))
    root = linalg.cholesky(counted, lower=True)
    half = linalg.solve_triangular(root, drifting, lower=True)
    both = linalg.solve_triangular(root, half.T, lower=True)
    slow, turned = linalg.eigh((both + both.T) / 2)
    return np.maximum(slow, 0.0), linalg.solve_triangular(root.T, turned, lower=False).T


def split_by_data_set(records: Sequence[Record]) -> dict[tuple[str, str], list[int]]:
    """Return the numbers of the records by (run, data set)."""
    found: dict[tuple[str, str], list[int]] = {}
    for number, record in enumerate(records):
        found.setdefault((record.run, record.data_set), []).append(number)
    return found
