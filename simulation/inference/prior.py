"""The prior: normal in the transformed parameters, around a preset, each width stated."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.inference.data import Campaign
from simulation.inference.table import PARAMETERS, from_coordinate, from_coordinates, to_coordinate
from simulation.theory.dlcz import DLCZParameters

Real = NDArray[np.float64]

MEMORY = ("afterpulse", "blindness", "crosstalk")
"""Inferred where laser light was measured, otherwise held at 0."""

EQUAL_POWERS = 0.05
"""Standard deviation of ln of the lasers' power ratio: both are set equal behind their filters."""

OWN_RATIO = 0.02
"""The same for what only one device has, as its sidebands' asymmetry."""

GATE = 60e-9
"""Gate for which a preset's dark clicks are stated, s."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prior:
    """Normal distribution of the transformed free parameters.

    Attributes
    ----------
    free : tuple of str
    mean : ndarray, shape (k,)
    covariance : ndarray, shape (k, k)
    held : dict of str to float
        Values of all other parameters.
    """

    free: tuple[str, ...]
    mean: Real
    covariance: Real
    held: dict[str, float]

    @property
    def sd(self) -> Real:
        """Standard deviations of the transformed parameters."""
        return np.asarray(np.sqrt(np.diag(self.covariance)))

    def values(self, z: Real) -> dict[str, Real]:
        """Return all parameters by name for coordinates z, shape (..., k)."""
        held = {name: np.full(z.shape[:-1], value) for name, value in self.held.items()}
        return from_coordinates(self.free, z) | held

    def value(self, name: str, z: Real) -> Real:
        """Return one parameter for coordinates z, shape (..., k)."""
        if name in self.free:
            return from_coordinate(name, z[..., self.free.index(name)])
        return np.full(z.shape[:-1], self.held[name])

    def draw(self, rng: np.random.Generator, number: int) -> Real:
        """Draw coordinates, shape (number, k)."""
        return np.asarray(
            rng.multivariate_normal(self.mean, self.covariance, number, method="cholesky")
        )


def centres_of(preset: DLCZParameters, read_over_pump: float | None = None) -> dict[str, float]:
    """Return the prior's medians by name: the preset's values, and those of the table.

    With the pulses' energies known the read probability follows the pump's.
    """
    special = {
        "dark_rate_1": float(preset.dark_1) / GATE,
        "dark_rate_2": float(preset.dark_2) / GATE,
    }
    found = {}
    for name, known in PARAMETERS.items():
        if known.centre is not None:
            found[name] = known.centre
        else:
            found[name] = special[name] if name in special else float(getattr(preset, name))
    if read_over_pump is not None:
        for x in "AB":
            exponent = np.log1p(found[f"p_pump_{x}"]) * read_over_pump
            found[f"p_read_{x}"] = float(-np.expm1(-exponent))
    return found


def make_prior(
    campaign: Campaign,
    preset: DLCZParameters,
    *,
    changes: Mapping[str, tuple[float, float]] | None = None,
    fixed: Mapping[str, float] | None = None,
) -> Prior:
    """Return the prior for a campaign.

    Only products of efficiencies are seen: ``eta_1`` is held at the preset's value. Detectors'
    memory is held at 0 unless laser light was measured. Where the energies of pump and read pulse
    are known, their probabilities are tied by the lasers' equal powers (`EQUAL_POWERS`).

    Parameters
    ----------
    campaign : Campaign
    preset : DLCZParameters
        Medians.
    changes : mapping of str to (median, sd), optional
        Other priors: median in SI units, sd of the transformed parameter.
    fixed : mapping of str to float, optional
        Parameters to hold.

    Raises
    ------
    ValueError
        If a name is unknown, or a value cannot be.
    """
    changes, fixed = dict(changes or {}), dict(fixed or {})
    for name, value in [*fixed.items(), *((n, m) for n, (m, _) in changes.items())]:
        _check(name, value)
    centres = centres_of(preset, campaign.read_over_pump)
    held = {"eta_1": centres["eta_1"]} if "eta_1" not in changes else {}
    if not campaign.laser_only:
        held |= {name: 0.0 for name in MEMORY if name not in changes}
    held |= fixed
    free = tuple(name for name in PARAMETERS if name not in held)
    median = {name: changes[name][0] if name in changes else centres[name] for name in free}
    mean = np.array([float(to_coordinate(name, median[name])) for name in free])
    sd = np.array([changes[n][1] if n in changes else PARAMETERS[n].sd for n in free])
    covariance = np.diag(sd**2)
    if campaign.read_over_pump is not None:
        covariance = _tied(free, covariance, set(changes))
    return Prior(free=free, mean=mean, covariance=covariance, held=held)


def _tied(free: tuple[str, ...], covariance: Real, apart: set[str]) -> Real:
    """Let each read probability be the pump's times the energies' ratio, nearly."""
    covariance = covariance.copy()
    at = {name: number for number, name in enumerate(free)}
    tied = [x for x in "AB" if {f"p_pump_{x}", f"p_read_{x}"} <= set(free) - apart]
    for x in tied:
        pump, read = at[f"p_pump_{x}"], at[f"p_read_{x}"]
        spread = covariance[pump, pump]
        covariance[read, read] = spread + EQUAL_POWERS**2 + OWN_RATIO**2
        covariance[read, pump] = covariance[pump, read] = spread
    if len(tied) == 2:
        a, b = at["p_read_A"], at["p_read_B"]
        covariance[a, b] = covariance[b, a] = EQUAL_POWERS**2
    return covariance


def _check(name: str, value: float) -> None:
    if name not in PARAMETERS:
        from difflib import get_close_matches

        near = get_close_matches(name, PARAMETERS, n=1)
        hint = f"; did you mean `{near[0]}`?" if near else ""
        message = f"`{name}` is no inferred parameter{hint} They are {', '.join(PARAMETERS)}"
        raise ValueError(message)
    fraction = PARAMETERS[name].transform in ("exponent", "probit")
    positive = PARAMETERS[name].transform == "log"
    if not np.isfinite(value) or (positive and value < 0) or (fraction and not 0 <= value <= 1):
        must = "lie in [0, 1]" if fraction else "be finite and ≥ 0" if positive else "be finite"
        message = f"`{name}` must {must}, but is {value!r}"
        raise ValueError(message)
