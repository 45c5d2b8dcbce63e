"""Draws of a posterior: its maximum by Fisher scoring, importance sampling, ensemble fallback."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special

from simulation.inference.likelihood import Data, Likelihood
from simulation.inference.prior import Prior
from simulation.inference.table import from_coordinate

Real = NDArray[np.float64]
Told = Callable[[str], object]

PHASES, BEATS = 12, 121
"""Grid of fringe phase and mechanical frequency that is looked through: there are many maxima."""

STEPS, ROUNDS = 40, 3
"""Scoring steps at most, and times the noise is taken anew at the maximum found."""

ENOUGH = 1e-5
"""Scoring ends where a step gains less of ln of the density."""

LEAST_ESS = 200.0
"""Below this effective sample size an ensemble is sampled instead, until it has as much."""

WALKERS = 200
"""Of an ensemble at least: each step has a price of its own."""

PARTS, THINNED = 15, 3
"""An ensemble goes on for at most so many times its steps; every so many steps are kept."""

LESSONS = 3
"""In so many parts of its first steps, which are not kept, an ensemble learns where it is."""

_FREEDOM = 8.0
"""Of the Student t from which is drawn: heavier tails than the posterior's."""

_DIFFERENCE, _JUMP = 5, 10
"""Every so many steps walkers move by the difference of two others, and by all of it."""

_BOLD = (0.3, 1.0)
"""Between these lies β of a step about the Student t, evenly in its logarithm."""


class NoMaximumError(RuntimeError):
    """The posterior's maximum was not found; the message says what to look at."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Maximum:
    """Where the posterior density is largest.

    Attributes
    ----------
    z : ndarray, shape (k,)
    likelihood : Likelihood
        With the noise at `z`.
    data_information, information : ndarray, shape (k, k)
        Fisher information of the data, and with the prior's.
    """

    z: Real
    likelihood: Likelihood
    data_information: Real
    information: Real

    @property
    def covariance(self) -> Real:
        """Covariance of the normal approximation."""
        return np.asarray(linalg.inv(self.information))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draws:
    """Equally weighted coordinates.

    Attributes
    ----------
    z : ndarray, shape (n, k)
    ess : float
    tried : int
    fallback : bool
    """

    z: Real
    ess: float
    tried: int
    fallback: bool


def find_maximum(
    data: Data, prior: Prior, start: Real | None = None, *, steps: int | None = None
) -> Maximum:
    """Return the posterior's maximum, from several phases of the fringe.

    The drift, where it is free, is the most probable one whatever the other parameters are.

    Parameters
    ----------
    data : Data
    prior : Prior
    start : ndarray, shape (k,), optional
        Where to begin instead.
    steps : int, optional
        Go so many steps only, the noise taken once: not yet the maximum.

    Raises
    ------
    NoMaximumError
        If no start leads to one.
    """
    z = _best_start(Likelihood(data, prior, prior.mean)) if start is None else start
    for _ in range(ROUNDS if steps is None else 1):
        likelihood = Likelihood(data, prior, z)
        z = likelihood.with_drift(_climb(likelihood, z, STEPS if steps is None else steps))
    density = float(likelihood.log_density(z[None])[0])
    if not np.isfinite(density):
        message = (
            "the posterior has no maximum near the prior; look at the settings of the runs, and "
            "leave data sets out to find the one that does not fit"
        )
        raise NoMaximumError(message)
    of_data, of_prior, _ = likelihood.information(z)
    return Maximum(
        z=z, likelihood=likelihood, data_information=of_data, information=of_data + of_prior
    )


def _best_start(likelihood: Likelihood) -> Real:
    """Return the best of what is uphill of the prior and of a grid over what the fringe depends on.

    All other parameters are first brought to where they fit best at some phase.
    """
    prior = likelihood.prior
    z = _climb(likelihood, prior.mean)
    grids = []
    for name, points in (("phi", PHASES), ("delta_omega_hz", BEATS)):
        if name in prior.free:
            at = prior.free.index(name)
            middle = 0.0 if name == "phi" else prior.mean[at]
            width = np.pi / _TURN if name == "phi" else 3.0 * prior.sd[at]
            ends = np.linspace(middle - width, middle + width, points, endpoint=name != "phi")
            grids.append((at, ends))
    if not grids or not likelihood.data.paired.any():
        return z
    mesh = np.meshgrid(*(ends for _, ends in grids), indexing="ij")
    places = np.tile(z, (mesh[0].size, 1))
    for (at, _), values in zip(grids, mesh, strict=True):
        places[:, at] = values.ravel()
    order = np.argsort(likelihood.log_density(places))[::-1]
    tops = [z, *(_climb(likelihood, place) for place in places[order[:2]])]
    densities = [float(likelihood.log_density(top[None])[0]) for top in tops]
    return tops[int(np.argmax(densities))]


_TURN = float(from_coordinate("phi", 1.0))


def _climb(likelihood: Likelihood, z: Real, steps: int = STEPS) -> Real:
    """Fisher scoring with damping (Levenberg-Marquardt) to the maximum nearest uphill.

    The drift stays where it is.
    """
    damping, density = 1e-3, float(likelihood.log_density(z[None])[0])
    keep, reach = likelihood.steady, 2.0 * _reach(likelihood.prior)
    for _ in range(steps):
        of_data, of_prior, gradient = likelihood.information(z)
        information = (of_data + of_prior)[np.ix_(keep, keep)]
        scale = np.diag(np.diag(information))
        gained = 0.0
        for _ in range(12):
            step = np.zeros(len(z))
            step[keep] = -linalg.solve(
                information + damping * scale, gradient[keep], assume_a="pos"
            )
            step = np.clip(step, -reach, reach)
            there = float(likelihood.log_density((z + step)[None])[0])
            if there > density:
                gained, z, density = there - density, z + step, there
                damping = max(damping / 8, 1e-9)
                break
            damping *= 6
        if gained < ENOUGH:
            return z
    return z


def _reach(prior: Prior) -> Real:
    return np.minimum(prior.sd, 1.0)


def sample(
    maximum: Maximum,
    draws: int,
    rng: np.random.Generator,
    tell: Told = lambda _: None,
    *,
    steps: int = 200,
) -> Draws:
    """Draw from the posterior.

    Student-t proposals around the maximum are weighted by the density and drawn from again; where
    the weights are too uneven (`LEAST_ESS`) an ensemble of walkers takes over, `steps` of each at
    a time until it has that effective size, at most `PARTS` times; `Draws.ess` tells.
    """
    k = len(maximum.z)
    root = linalg.cholesky(maximum.covariance, lower=True)
    normal = rng.standard_normal((draws, k))
    spread = np.sqrt(_FREEDOM / rng.chisquare(_FREEDOM, draws))
    z = maximum.z + spread[:, None] * (normal @ root.T)
    distance = np.sum((normal * spread[:, None]) ** 2, axis=1)
    proposal = -0.5 * (_FREEDOM + k) * np.log1p(distance / _FREEDOM)
    target = _told_density(maximum.likelihood, z, tell)
    weights = special.softmax(target - proposal)
    ess = float(1 / np.sum(weights**2))
    chosen = rng.choice(draws, size=draws, p=weights)
    if ess >= LEAST_ESS:
        return Draws(z=z[chosen], ess=ess, tried=draws, fallback=False)
    tell(f"effective sample size {ess:.0f} < {LEAST_ESS:.0f}: sampling with an ensemble")
    walkers = max(3 * k, WALKERS) // 2 * 2
    first = z[np.unique(chosen)]
    near = maximum.z + rng.standard_normal((walkers, k)) @ root.T
    start = np.concatenate([first, near])[:walkers]
    return ensemble(
        maximum.likelihood.log_density, start, rng, steps=steps, least=LEAST_ESS, tell=tell
    )


def ensemble(
    log_density: Callable[[Real], Real],
    start: Real,
    rng: np.random.Generator,
    *,
    steps: int,
    least: float = 0.0,
    tell: Told = lambda _: None,
) -> Draws:
    """Sample with walkers that learn from one another where the density is.

    Four steps of five are drawn about a Student t that has learned mean and covariance of the
    walkers: from z, u = z − mean, λ ~ InvΓ((ν + k)/2, (ν + uᵀC⁻¹u)/2) and a normal n of covariance
    C, z' = mean + √(1 − β²) u + β√λ n, which leaves the Student t invariant (Kamatani 2018), so
    that a Metropolis step on the ratio of the densities leaves the posterior so. Every fifth step
    half of the walkers move at a time, by γ(z_a − z_b) of the resting half and a little noise, γ =
    0.1 to 1.1 times 2.38/√(2k), or 1, which jumps between modes (ter Braak 2006). What is learned
    is fixed before the first position that is kept, and of these every third is.

    Parameters
    ----------
    log_density : callable
        Of coordinates (n, k), shape (n,).
    start : ndarray, shape (w, k)
        An even number of walkers, at least 2k + 2.
    rng : numpy.random.Generator
    steps : int
        Of every walker, at a time.
    least : float
        Effective sample size up to which it goes on, at most `PARTS` times.
    tell : callable
        Told the progress.

    Raises
    ------
    ValueError
        If there are too few walkers or their number is odd.
    """
    walkers, k = start.shape
    if walkers % 2 or walkers < 2 * k + 2:
        message = f"walkers must be an even number of at least {2 * k + 2}, but are {walkers}"
        raise ValueError(message)
    walk = _Walk(log_density, start.copy(), log_density(start), _Student.of(start), rng)
    for _ in range(LESSONS):
        seen = walk.go(-(-steps // LESSONS), every=1)
        walk.reference = _Student.of(seen[len(seen) // 2 :].reshape(-1, k))
    found = np.empty((0, walkers, k))
    for part in range(1, PARTS + 1):
        found = np.concatenate([found, walk.go(steps, every=THINNED)])
        ess = _effective(found)
        tell(f"ensemble: {ess:.0f} effective draws after {part * steps} steps")
        if ess >= least:
            break
    return Draws(z=found.reshape(-1, k), ess=ess, tried=walk.taken * walkers, fallback=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Student:
    """A Student t of `_FREEDOM` about a mean; the covariance is its square root's square."""

    mean: Real
    root: Real

    @classmethod
    def of(cls, points: Real) -> "_Student":
        """Return the one with the moments of points, shape (n, k)."""
        return cls(mean=points.mean(axis=0), root=linalg.cholesky(np.cov(points.T), lower=True))

    def standardised(self, z: Real) -> Real:
        """Return z with mean 0 and unit covariance, shape (n, k)."""
        return np.asarray(linalg.solve_triangular(self.root, (z - self.mean).T, lower=True).T)

    def log_density(self, standardised: Real) -> Real:
        """Return ln of the density up to a constant, shape (n,)."""
        k = standardised.shape[1]
        distance = np.sum(standardised**2, axis=1)
        return np.asarray(-0.5 * (_FREEDOM + k) * np.log1p(distance / _FREEDOM))


@dataclass(slots=True, eq=False)
class _Walk:
    """Walkers on their way: positions z (w, k) and their densities (w,), changed in place."""

    log_density: Callable[[Real], Real]
    z: Real
    density: Real
    reference: _Student
    rng: np.random.Generator
    taken: int = 0

    def go(self, steps: int, *, every: int) -> Real:
        """Take so many steps; return the positions after every so many, shape (s, w, k)."""
        seen = []
        for step in range(1, steps + 1):
            self.taken += 1
            if self.taken % _DIFFERENCE:
                self._about_the_reference()
            else:
                self._by_differences(jump=self.taken % _JUMP == 0)
            if step % every == 0:
                seen.append(self.z.copy())
        return np.array(seen)

    def _about_the_reference(self) -> None:
        """Move all walkers, each for itself."""
        own, (walkers, k) = self.reference, self.z.shape
        u = own.standardised(self.z)
        scale = (_FREEDOM + np.sum(u**2, axis=1)) / self.rng.chisquare(_FREEDOM + k, walkers)
        low, high = np.log(_BOLD)
        beta = np.exp(self.rng.uniform(low, high, walkers))
        normal = self.rng.standard_normal((walkers, k))
        v = np.sqrt(1 - beta**2)[:, None] * u + (beta * np.sqrt(scale))[:, None] * normal
        gained = own.log_density(u) - own.log_density(v)
        self._decide(np.arange(walkers), own.mean + v @ own.root.T, gained)

    def _by_differences(self, *, jump: bool) -> None:
        """Move half of the walkers at a time."""
        walkers, k = self.z.shape
        half = walkers // 2
        order = self.rng.permutation(walkers)
        for mine, others in ((order[:half], order[half:]), (order[half:], order[:half])):
            a = self.rng.integers(0, half, half)
            b = (a + self.rng.integers(1, half, half)) % half
            usual = 2.38 / np.sqrt(2 * k) * self.rng.uniform(0.1, 1.1, half)
            gamma = np.ones(half) if jump else usual
            move = gamma[:, None] * (self.z[others[a]] - self.z[others[b]])
            there = self.z[mine] + move + 1e-5 * self.rng.standard_normal((half, k))
            self._decide(mine, there, np.zeros(half))

    def _decide(self, mine: NDArray[np.int64], there: Real, gained: Real) -> None:
        """Let walkers go where they want by Metropolis' rule; `gained` is of the proposals."""
        found = self.log_density(there)
        odds = found - self.density[mine] + gained
        accepted = np.log(self.rng.random(len(mine))) < odds
        self.z[mine[accepted]], self.density[mine[accepted]] = there[accepted], found[accepted]


def _effective(chains: Real) -> float:
    """Return the smallest effective sample size over coordinates, by autocorrelation times."""
    steps, walkers, k = chains.shape
    smallest = float("inf")
    for number in range(k):
        centred = chains[:, :, number] - chains[:, :, number].mean()
        spectrum = np.abs(np.fft.rfft(centred, 2 * steps, axis=0)) ** 2
        correlation = np.fft.irfft(spectrum, axis=0)[:steps].mean(axis=1)
        if correlation[0] <= 0:
            continue
        time = 2 * np.cumsum(correlation / correlation[0]) - 1
        window = np.arange(steps) >= 5 * time
        at = int(np.argmax(window)) if window.any() else steps - 1
        smallest = min(smallest, steps * walkers / max(float(time[at]), 1.0))
    return smallest


def _told_density(likelihood: Likelihood, z: Real, tell: Told) -> Real:
    found, parts = [], np.array_split(z, max(1, len(z) // 2000))
    for number, part in enumerate(parts, 1):
        found.append(likelihood.log_density(part))
        tell(f"drawing: {100 * number // len(parts)} %")
    return np.concatenate(found)
