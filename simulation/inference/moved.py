"""What has moved in a lab since its posterior: which one change explains new data best.

The posterior is the prior of the new data. Each change that is tried frees one direction of the
transformed parameters: what a laser, an arm, a filter, a warmer device would do. Twice the gain in
ln of the density is compared with χ² of one degree of freedom, times the number of changes tried.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from simulation.inference.blas_threads import with_one_blas_thread
from simulation.inference.checks import check_fit
from simulation.inference.data import Campaign
from simulation.inference.likelihood import DRIFT, Data, Likelihood
from simulation.inference.model import SHARES
from simulation.inference.posterior import Posterior
from simulation.inference.prior import MEMORY, Prior
from simulation.inference.sampling import Maximum, find_maximum
from simulation.inference.table import PARAMETERS, from_coordinate, to_coordinate
from simulation.inference.wrong import USUAL, score

Real = NDArray[np.float64]
Direction = Mapping[str, float]

ALPHA: Final = 1e-3
"""Below this p-value a lab has moved."""

WIDE: Final = 3.0
"""Standard deviation along the direction of a change, in units of ln or of `Inferred.transform`."""

LEAST: Final = 1e-6
"""Of the transformed parameters, where the draws of a posterior do not spread."""

ALIKE: Final = 9.0
"""Changes are told together whose −2 ln density is that close to the best one's."""

CERTAIN: Final = 8.0
"""Coordinate of a fraction that is 1 to rounding."""

STEPS: Final = 25

REFITTED: Final = 8
"""So many changes are fitted to the end: those that one step along them promises most of."""

BEGINNINGS: Final = (1e-3, 1e-2, 0.1, 0.5)
"""Memory of detectors from which its change is looked for, beside what there was: one step in its
logarithm leads not far."""

KEPT_OFF: Final = 0.99
"""Part of stray light that filters beside the line keep off; all of it would leave no clicks."""

HELD: Final = 1e-4
"""Standard deviation of a parameter that is moved only along a change's direction."""


def _both(name: str, suffixes: str = "AB", by: float = 1.0) -> dict[str, float]:
    return {f"{name}_{suffix}": by for suffix in suffixes}


def _energy(pulse: str, devices: str = "AB") -> dict[str, float]:
    """Return how ln of the parameters goes with ln of a pulse's energy at the devices."""
    if pulse == "read":
        return _both("p_read", devices) | _both("n_read", devices)
    return _both("p_pump", devices) | _both("n_prompt", devices) | _both("b_pump", devices)


def _arm(arm: str, share: float) -> dict[str, float]:
    """Drive and scattered light pass an arm once each, leaked drive light twice."""
    energy = _energy("pump", arm) | _energy("read", arm)
    leaks = _both("leak_pump", "12", 2 * share) | _both("leak_read", "12", 2 * share)
    return {f"eta_{arm}": 1.0} | energy | leaks


def _detector(j: str) -> dict[str, float]:
    return {f"eta_{j}": 1.0, f"leak_pump_{j}": 1.0, f"leak_read_{j}": 1.0}


def _changes(leak_share: float) -> dict[str, Direction]:
    """Return the changes that are tried, by what is said of them."""
    found: dict[str, Direction] = {}
    for pulse in ("pump", "read"):
        leaks = _both(f"leak_{pulse}", "12")
        found[f"energy of the {pulse} pulse (laser power, AOM, prefilter)"] = _energy(pulse) | leaks
        found[f"leaked {pulse} light (both detectors' filters, the {pulse} laser's line)"] = leaks
    for arm, share in (("A", leak_share), ("B", 1 - leak_share)):
        found[f"light through arm {arm}"] = _arm(arm, share)
        found[f"resting phonons of {arm}"] = {f"n_0_{arm}": 1.0}
    for j in "12":
        found[f"light at detector {j} (its filters, its efficiency)"] = _detector(j)
        found[f"scattered light at detector {j} (its filters off the line)"] = {f"eta_{j}": 1.0}
        found[f"background of detector {j} (stray light, dark counts)"] = {f"dark_rate_{j}": 1.0}
        for pulse in ("pump", "read"):
            found[f"leaked {pulse} light at detector {j}"] = {f"leak_{pulse}_{j}": 1.0}
    return found | {
        "resting phonons of both devices (temperature)": _both("n_0"),
        "heating by the drive light": _both("n_prompt") | _both("b_pump") | _both("n_read"),
        "heating by the read pulse": _both("n_read"),
        "mechanical lifetime of both": _both("lifetime"),
        "phase of the fringe": {"phi": 1.0},
        "contrast (polarisations, phase noise, mechanical jitter)": {"contrast": 1.0},
        "splitting of the combining coupler": {"splitting": 1.0},
        "afterpulses": {"afterpulse": 1.0},
        "blindness after a click": {"blindness": 1.0},
        "crosstalk of the detectors": {"crosstalk": 1.0},
        **{what: direction for what, (direction, _) in _with_others_held().items()},
    }


def _with_others_held() -> dict[str, tuple[Direction, Mapping[str, float]]]:
    """Return the changes with which something is held that is not in the model otherwise.

    One detector's memory, and steady light that filters beside the line keep off.
    """
    found: dict[str, tuple[Direction, Mapping[str, float]]] = {}
    for j in (1, 2):
        for name, said in (
            ("afterpulse", "afterpulses"), ("blindness", "blindness after a click"),
            ("crosstalk", "hearing the other one (crosstalk)"),
        ):  # fmt: skip
            alone = {SHARES[name]: float(j == 1)}
            found[f"{said} of detector {j} alone"] = ({name: 1.0}, alone)
        found[f"background of detector {j} on the line alone (stray light of its frequency)"] = (
            {f"dark_rate_{j}": 1.0}, {f"stray_share_{j}": KEPT_OFF},
        )  # fmt: skip
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class LabChange:
    """One change that explains new data better than none.

    Attributes
    ----------
    what : str
        Of the lab.
    size : str
        By how much, in words.
    gain : float
        Twice the gain in ln of the density.
    looks : int
        How many changes were tried.
    """

    what: str
    size: str
    gain: float
    looks: int

    @property
    def p_value(self) -> float:
        """How often data of an unmoved lab would gain as much by one of the changes tried."""
        return float(min(1.0, self.looks * special.chdtrc(1, max(self.gain, 0.0))))

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {"what": self.what, "size": self.size, "gain": self.gain, "p_value": self.p_value}

    def __str__(self) -> str:
        return f"{self.what} {self.size} (2 Δ ln density {self.gain:.0f}, p = {self.p_value:.1g})"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabMoved:
    """New data against a posterior.

    Attributes
    ----------
    deviance : float
        Of the data at their best under the posterior, nothing moved.
    p_value : float
        How often data of an unmoved lab fit worse.
    changes : tuple of LabChange
        The best first, then those that explain the data nearly as well; empty if none does.
    left : float
        p-value of the data with the best of them; as `p_value` without.
    learned_p_value : float
        Of the data that the posterior comes from.
    """

    deviance: float
    p_value: float
    changes: tuple[LabChange, ...]
    left: float
    learned_p_value: float

    @property
    def moved(self) -> bool:
        """Whether the lab is another than the posterior's; where that fits nothing, by a change."""
        return bool(self.changes) or self.p_value < ALPHA <= self.learned_p_value

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "moved": self.moved, "deviance": self.deviance, "p_value": self.p_value,
            "changes": [one.to_dict() for one in self.changes], "p_value_with": self.left,
            "learned_p_value": self.learned_p_value,
            "said": list(self.sentences()),
        }  # fmt: skip

    def sentences(self) -> Iterator[str]:
        """Say whether the lab has moved, and what explains it."""
        if not self.moved:
            yield f"the lab has not moved, as far as this run tells (p = {self.p_value:.2g})"
            if self.p_value < ALPHA:
                yield (
                    "the run does not fit the posterior, but nor did the data that it comes from "
                    f"(p = {self.learned_p_value:.2g}): the model is to be mended first"
                )
            return
        if not self.changes:
            yield (
                f"the lab has moved (p = {self.p_value:.2g}), but none of the changes tried "
                "explains it: `labkit infer` this run alone, and compare"
            )
            return
        first, *others = self.changes
        yield f"the lab has moved: {first}"
        for one in others:
            yield f"or, as good: {one}"
        if self.left < ALPHA:
            yield f"with the first of them the data still do not fit (p = {self.left:.2g})"


@with_one_blas_thread
def what_moved(
    campaign: Campaign,
    posterior: Posterior,
    *,
    seed: int = 0,
    tell: Callable[[str], object] = lambda _: None,
) -> LabMoved:
    """Return which one change of a lab since its posterior explains new data.

    Drifts that the posterior allowed for are allowed for again.

    Parameters
    ----------
    campaign : Campaign
        New data, their energies relative to the posterior's reference.
    posterior : Posterior
    seed : int
        Of the data sets that the deviance is compared with.
    tell : callable, optional
        Told the progress.

    Raises
    ------
    ValueError
        If there are no data.
    simulation.inference.sampling.NoMaximumError
        If the data cannot be compared at all.
    """
    data, rng = Data.of(campaign), np.random.default_rng(seed)
    prior = prior_of(posterior)
    tell("nothing moved")
    still = find_maximum(data, prior, prior.mean, steps=STEPS)
    before, fit = score(still), check_fit(still, rng)
    changes = _changes(float(posterior.best["leak_share"]))
    held = {what: others for what, (_, others) in _with_others_held().items()}
    wider = {what: freed(prior, direction, held.get(what)) for what, direction in changes.items()}
    starts = {what: _start(data, one, still.z, changes[what]) for what, one in wider.items()}
    promise = {what: before - _one_step(data, one, starts[what]) for what, one in wider.items()}
    tried: list[tuple[float, LabChange, Maximum]] = []
    for what in sorted(promise, key=lambda name: -promise[name])[:REFITTED]:
        tell(what)
        one, direction = wider[what], changes[what]
        best = _best(data, one, starts[what], direction)
        gain = before - score(best)
        alone = SHARES.values() & held.get(what, {}).keys()
        size = _size(one, direction, best.z, of_one=2.0 if alone else 1.0)
        tried.append((gain, LabChange(what=what, size=size, gain=gain, looks=len(changes)), best))
    tried.sort(key=lambda one: -one[0])
    top = tried[0][0]
    named = tuple(one for gain, one, _ in tried if one.p_value < ALPHA and gain > top - ALIKE)
    return LabMoved(
        deviance=fit.deviance, p_value=fit.p_value, changes=named,
        left=check_fit(tried[0][2], rng).p_value if named else fit.p_value,
        learned_p_value=posterior.p_value,
    )  # fmt: skip


def prior_of(posterior: Posterior) -> Prior:
    """Return a posterior as the prior of new data: normal in the transformed parameters."""
    free = posterior.free
    z = np.array([to_coordinate(name, posterior.draws[name]) for name in free])
    z = np.nan_to_num(z, posinf=CERTAIN, neginf=-CERTAIN)  # draws that are 0 or 1 to rounding
    covariance = np.atleast_2d(np.cov(z)) + LEAST * np.eye(len(free))
    held = {n: float(v[0]) for n, v in posterior.draws.items() if n not in free}
    if DRIFT not in free:
        held.setdefault(DRIFT, posterior.drift)  # files from before drifts were inferred
    return Prior(free=free, mean=z.mean(axis=1), covariance=covariance, held=held)


def freed(prior: Prior, direction: Direction, held: Mapping[str, float] | None = None) -> Prior:
    """Return a prior that is wide along a direction; parameters that were held join it there.

    Others are `held` besides. What was held at 0 stays there: no factor moves it. Detectors' memory
    alone begins from something.
    """
    start = {n: v for n, v in prior.held.items() if n in direction and v}
    start |= {n: USUAL[n][0] for n in direction if n in MEMORY and not prior.held.get(n, 1.0)}
    free, k = (*prior.free, *start), len(prior.free)
    mean, covariance = np.zeros(len(free)), HELD**2 * np.eye(len(free))
    mean[:k], covariance[:k, :k] = prior.mean, prior.covariance
    mean[k:] = np.nan_to_num([float(to_coordinate(*one)) for one in start.items()], posinf=CERTAIN)
    along = np.array([direction.get(name, 0.0) for name in free])
    return replace(
        prior, free=free, mean=mean, covariance=covariance + WIDE**2 * np.outer(along, along),
        held={n: v for n, v in prior.held.items() if n not in start} | dict(held or {}),
    )  # fmt: skip


def _start(data: Data, prior: Prior, still: Real, direction: Direction) -> Real:
    """Return where the fit of a change begins: where nothing moved, unless memory fits better."""
    start = np.concatenate([still, prior.mean[len(still) :]])
    starts = [start]
    for name in MEMORY:
        for value in BEGINNINGS if name in direction else ():
            other = start.copy()
            other[prior.free.index(name)] = float(to_coordinate(name, value))
            starts.append(other)
    return min(starts, key=Likelihood(data, prior, start).score) if len(starts) > 1 else start


def _one_step(data: Data, prior: Prior, z: Real) -> float:
    """Return `score` after one step of Newton's, as its quadratic form there says."""
    at = Likelihood(data, prior, z)
    of_data, of_prior, gradient = at.information(z)
    return at.score(z) - float(gradient @ np.linalg.solve(of_data + of_prior, gradient))


def _best(data: Data, prior: Prior, start: Real, direction: Direction) -> Maximum:
    """Fit from what did not move, and for the fringe's phase from half a turn away too."""
    starts = [start]
    if "phi" in direction:
        turn = np.zeros(len(start))
        turn[prior.free.index("phi")] = float(to_coordinate("phi", np.pi / 2))
        starts += [start + turn, start - turn]
    found = [find_maximum(data, prior, one, steps=STEPS) for one in starts]
    return min(found, key=score)


def _size(wider: Prior, direction: Direction, z: Real, of_one: float) -> str:
    """Return how far along a direction the data have gone, in words.

    Where one detector remembers alone it has twice (`of_one`) what both have in the mean.

    z = mean + what the posterior leaves open + s · direction, of which the expected s is taken.
    """
    along = np.array([direction.get(name, 0.0) for name in wider.free])
    s = float(WIDE**2 * along @ np.linalg.solve(wider.covariance, z - wider.mean))
    name, by = next((n, by) for n, by in direction.items() if n in wider.free)
    at = wider.free.index(name)
    was, now = (float(from_coordinate(name, wider.mean[at] + s * by * on)) for on in (0.0, 1.0))
    if name in MEMORY:  # what is left open is most of it
        now = float(from_coordinate(name, z[at]))
    match PARAMETERS[name].transform:
        case "angle":
            return f"turned by {now - was:+.2f} rad"
        case "log" | "exponent" if name not in MEMORY:
            return f"times {now / was:.2f}"
        case _:
            return f"from {min(of_one * was, 1):.2g} to {min(of_one * now, 1):.2g}"
