"""Parameters that are inferred: unit, meaning, transformation, and how wide the prior is."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Real = NDArray[np.float64]

Transform = Literal["log", "exponent", "probit", "angle", "megahertz"]


_TURN = 3.0
_CERTAIN = 30.0
"""Exponent from which on a probability is 1 to rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """One parameter.

    Attributes
    ----------
    unit : str
    meaning : str
    transform : {"log", "exponent", "probit", "angle", "megahertz"}
        Of the coordinate z in which priors are normal: ln x; ln(-ln(1 - x)); x = Φ(z); x/3, so that
        the prior is about flat over a turn; x/10⁶.
    sd : float
        Of the prior, in z.
    centre : float or None
        Median of the prior; None: the preset's value.
    """

    unit: str
    meaning: str
    transform: Transform
    sd: float
    centre: float | None = None


def _pair(
    names: str, suffixes: str, *, unit: str, meaning: str, transform: Transform, sd: float,
    centre: float | None = None,
) -> dict[str, Inferred]:  # fmt: skip
    one = Inferred(unit=unit, meaning=meaning, transform=transform, sd=sd, centre=centre)
    return {f"{names}_{suffix}": one for suffix in suffixes}


PARAMETERS: Final[Mapping[str, Inferred]] = MappingProxyType(
    {
        **_pair("n_0", "AB", unit="", meaning="resting phonons", transform="log", sd=1.0),
        **_pair(
            "p_pump", "AB", unit="", meaning="Stokes probability", transform="log", sd=1.0
        ),
        **_pair(
            "p_read", "AB", unit="", meaning="read probability", transform="exponent", sd=1.0
        ),
        **_pair(
            "n_prompt", "AB", unit="", meaning="phonons by the pump at once", transform="log",
            sd=1.5, centre=0.006,
        ),
        **_pair(
            "b_pump", "AB", unit="", meaning="amplitude b of the pump's delayed heating",
            transform="log", sd=1.5, centre=0.15,
        ),
        **_pair(
            "n_read", "AB", unit="", meaning="phonons by the read pulse at once", transform="log",
            sd=1.5, centre=0.045,
        ),
        **_pair(
            "lifetime", "AB", unit="s", meaning="mechanical lifetime 1/Γ", transform="log", sd=0.5
        ),
        "bath_lifetime": Inferred(
            unit="s", meaning="lifetime 1/γ of the hot bath", transform="log", sd=0.5,
            centre=0.5e-6,
        ),
        **_pair("eta", "AB", unit="", meaning="device to combiner", transform="exponent", sd=1.0),
        **_pair("eta", "12", unit="", meaning="combiner to click", transform="exponent", sd=1.0),
        "splitting": Inferred(
            unit="", meaning="combiner's transmissivity", transform="probit", sd=0.025
        ),
        **_pair(
            "leak_pump", "12", unit="", meaning="leaked photons, pump gate", transform="log",
            sd=1.5,
        ),
        **_pair(
            "leak_read", "12", unit="", meaning="leaked photons, read gate", transform="log",
            sd=1.5,
        ),
        "leak_share": Inferred(
            unit="", meaning="part of the leaked light that comes through arm A",
            transform="probit", sd=0.4, centre=0.5,
        ),
        **_pair(
            "dark_rate", "12", unit="1/s", meaning="steady clicks", transform="log", sd=1.5
        ),
        "contrast": Inferred(
            unit="", meaning="interference left, noise of the phase included", transform="probit",
            sd=1.0, centre=0.8,  # 0.44 to 0.97; the published experiment's data give 0.94 to 0.99
        ),
        "phi": Inferred(
            unit="rad", meaning="fringe phase θ at Δφ = 0 and the reference delay",
            transform="angle", sd=1.0, centre=0.0,
        ),
        "delta_omega_hz": Inferred(
            unit="Hz", meaning="mechanical frequency of B above A", transform="megahertz", sd=0.9
        ),
        "afterpulse": Inferred(
            unit="", meaning="false read clicks per pump click, same detector",
            transform="exponent", sd=2.0, centre=1e-5,
        ),
        "blindness": Inferred(
            unit="", meaning="read clicks lost after a pump click, same detector",
            transform="probit", sd=1.0, centre=0.02,
        ),
        "crosstalk": Inferred(
            unit="", meaning="false read clicks per pump click, other detector",
            transform="exponent", sd=2.0, centre=1e-5,
        ),
        "drift": Inferred(
            unit="", meaning="slow drifts between settings, relative", transform="log", sd=0.4,
            centre=0.05,
        ),
    }
)  # fmt: skip
"""By name; energies are relative to the reference setting's pulses, at which p, n and b hold.

``drift`` is none of the model's, but of the data's scatter (`simulation.inference.likelihood`).
"""


def to_coordinate(name: str, value: ArrayLike) -> Real:
    """Return z of a parameter's value (see `Inferred`)."""
    value = np.asarray(value, np.float64)
    match PARAMETERS[name].transform:
        case "log":
            return np.asarray(np.log(value))
        case "exponent":
            return np.asarray(np.log(-np.log1p(-value)))
        case "probit":
            return np.asarray(special.ndtri(value))
        case "angle":
            return np.asarray(value / _TURN)
        case "megahertz":
            return np.asarray(value / 1e6)


def from_coordinate(name: str, z: ArrayLike) -> Real:
    """Return the value of a parameter at z; the inverse of `to_coordinate`."""
    return _inverse(PARAMETERS[name].transform, np.asarray(z, np.float64))


def from_coordinates(names: tuple[str, ...], z: Real) -> dict[str, Real]:
    """Return the values of parameters by name at z, shape (..., k): `from_coordinate` of each."""
    columns = z.transpose((z.ndim - 1, *range(z.ndim - 1)))
    values = np.empty(columns.shape)
    for transform, numbers in _by_transform(names):
        values[numbers] = _inverse(transform, columns.take(numbers, axis=0))
    return dict(zip(names, values, strict=True))


@cache
def _by_transform(names: tuple[str, ...]) -> tuple[tuple[Transform, NDArray[np.intp]], ...]:
    """Return the numbers of the parameters that are transformed alike."""
    kinds = [PARAMETERS[name].transform for name in names]
    return tuple(
        (kind, np.array([number for number, one in enumerate(kinds) if one == kind], np.intp))
        for kind in dict.fromkeys(kinds)
    )


def _inverse(transform: Transform, z: Real) -> Real:
    match transform:
        case "log":
            return np.asarray(np.exp(z))
        case "exponent":
            return np.asarray(-np.expm1(-np.minimum(np.exp(z), _CERTAIN)))
        case "probit":
            return np.asarray(special.ndtr(z))
        case "angle":
            return np.asarray(z * _TURN)
        case "megahertz":
            return np.asarray(z * 1e6)
