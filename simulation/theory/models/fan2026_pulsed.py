"""Gigahertz and megahertz mechanics entangled by two pulses: Fan, Cheng (2026), scheme 2.

A blue pulse squeezes mechanics b1 with light (r), a fibre loses the share R of it, a red pulse
swaps the rest into mechanics b2 (W); see `simulation.theory.pulsed_link` for Eqs. (21), (22),
`simulation.theory.pulsed_states` for the propagator (13) and the states (14), (18)–(20) and
`simulation.theory.sideband` for r and W of a pulse. r, W and R may be given themselves; what is
not given follows from the pulses and the fibre.

Corrected from the print: (10) and (12) lack daggers (ḃ1 = −… c_out†), H_r acts on (b2, c2), the
last exponent of (13) is +i tanh r C b (as printed, −i, it is not unitary), and the exponent of W
in (21) is (n + n′)/2 − t − l. Not as printed: r = 2.18; the text's pulse gives 2.1703 (0.4 µW,
G/2π = 3.926 MHz) and its G/2π = 3.93 MHz gives 2.1733.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory import sideband
from simulation.theory.models.model import Model, Outcome
from simulation.theory.pulsed_link import (
    FIBRE_DB_PER_KM,
    SQUEEZING,
    fibre_reflectivity,
    link_covariance,
    link_pair,
)
from simulation.theory.quantities import (
    FRACTION,
    NON_NEGATIVE,
    POSITIVE,
    Parameters,
    Quantity,
    Value,
)

Real = NDArray[np.float64]

QUADRATURES: Final = ("x1", "p1", "x2", "p2")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fan2026Pulsed(Parameters):
    """Parameters; the defaults are the pulses of section III, without fibre."""

    r: Annotated[
        Value | None, Quantity("", SQUEEZING, "squeezing, else from pulse 1", "Eq. (12)")
    ] = None
    W: Annotated[
        Value | None, Quantity("", FRACTION, "swap efficiency, else from pulse 2", "Eq. (16)")
    ] = None
    R: Annotated[
        Value | None, Quantity("", FRACTION, "loss of light, else of the fibre", "Eq. (18)")
    ] = None
    wavelength: Annotated[Value, Quantity("m", POSITIVE, "of both pulses", "p. 7")] = 1550e-9
    energy_1: Annotated[
        Value, Quantity("J", NON_NEGATIVE, "of pulse 1, 0.4 µW for 10 µs", "p. 7")
    ] = 4e-12
    duration_1: Annotated[Value, Quantity("s", POSITIVE, "of pulse 1", "p. 7")] = 10e-6
    g_1_hz: Annotated[Value, Quantity("Hz", NON_NEGATIVE, "single-photon coupling", "p. 7")] = 825e3
    kappa_1_hz: Annotated[Value, Quantity("Hz", POSITIVE, "energy damping of c1", "p. 7")] = 1.3e9
    omega_b1_hz: Annotated[Value, Quantity("Hz", POSITIVE, "frequency of b1", "p. 7")] = 5.3e9
    energy_2: Annotated[
        Value, Quantity("J", NON_NEGATIVE, "of pulse 2, 33.5 µW for 10 µs", "p. 7")
    ] = 335e-12
    duration_2: Annotated[Value, Quantity("s", POSITIVE, "of pulse 2", "p. 7")] = 10e-6
    g_2_hz: Annotated[Value, Quantity("Hz", NON_NEGATIVE, "single-photon coupling", "p. 7")] = 1.7e3
    kappa_2_hz: Annotated[Value, Quantity("Hz", POSITIVE, "energy damping of c2", "p. 7")] = 20e6
    omega_b2_hz: Annotated[Value, Quantity("Hz", POSITIVE, "frequency of b2", "p. 7")] = 100e6
    fibre_km: Annotated[Value, Quantity("km", NON_NEGATIVE, "length of the fibre", "Fig. 6")] = 0.0
    fibre_db_per_km: Annotated[
        Value, Quantity("dB/km", NON_NEGATIVE, "loss of the fibre", "p. 7")
    ] = FIBRE_DB_PER_KM


RESULTS: Final = {
    "E_12": Outcome("", "logarithmic negativity of both mechanics"),
    "r": Outcome("", "squeezing parameter of pulse 1"),
    "W": Outcome("", "swap efficiency of pulse 2"),
    "R": Outcome("", "share of light lost on the way"),
    "G_1_hz": Outcome("Hz", "coupling G_b/2π that pulse 1 makes, g_1 times the drive's amplitude"),
    "G_2_hz": Outcome("Hz", "coupling G_r/2π that pulse 2 makes"),
    "cov": Outcome(
        "",
        "covariance matrix of (b1, b2), Eq. (22), row by row; beyond r ≈ 8 rounding hides E_12",
        tuple(f"{row} {column}" for row in QUADRATURES for column in QUADRATURES),
    ),
}


def couplings(p: Fan2026Pulsed) -> tuple[Real, Real]:
    """G/2π in Hz of both pulses, each detuned by its mechanics' frequency."""
    return (
        _coupling_hz(p.wavelength, p.energy_1, p.duration_1, p.g_1_hz, p.kappa_1_hz, p.omega_b1_hz),
        _coupling_hz(p.wavelength, p.energy_2, p.duration_2, p.g_2_hz, p.kappa_2_hz, p.omega_b2_hz),
    )


def squeezing(p: Fan2026Pulsed) -> Real:
    """Return r, given or made by the first pulse, detuned by +ω_b1."""
    if p.r is not None:
        return np.asarray(p.r)
    return sideband.squeezing_parameter(_rate(couplings(p)[0], p.kappa_1_hz), p.duration_1)


def swap(p: Fan2026Pulsed) -> Real:
    """Return W, given or made by the second pulse, detuned by −ω_b2."""
    if p.W is not None:
        return np.asarray(p.W)
    return sideband.swap_efficiency(_rate(couplings(p)[1], p.kappa_2_hz), p.duration_2)


def loss(p: Fan2026Pulsed) -> Real:
    """Return R, given or of the fibre."""
    return np.asarray(fibre_reflectivity(p.fibre_km, p.fibre_db_per_km) if p.R is None else p.R)


def solve(p: Fan2026Pulsed, wanted: Collection[str]) -> Mapping[str, ArrayLike]:
    """Covariance matrix after both pulses and the wanted results."""
    r, w, lost = squeezing(p), swap(p), loss(p)
    results: dict[str, Callable[[], ArrayLike]] = {
        "E_12": lambda: np.maximum(link_pair(r, w, lost).log_nu, 0.0),
        "r": lambda: r,
        "W": lambda: w,
        "R": lambda: lost,
        "G_1_hz": lambda: couplings(p)[0],
        "G_2_hz": lambda: couplings(p)[1],
        "cov": lambda: _by_rows(link_covariance(r, w, lost)),
    }
    return {name: results[name]() for name in wanted}


def _by_rows(cov: Real) -> Real:
    return cov.reshape(*cov.shape[:-2], 16)


def _coupling_hz(
    wavelength: Value, energy: Value, duration: Value, g_hz: Value, kappa_hz: Value, omega_hz: Value
) -> Real:
    """Return g √n of a flat pulse."""
    kappa = 2 * np.pi * np.asarray(kappa_hz)
    photons = sideband.drive_photons(
        energy / np.asarray(duration),
        wavelength=wavelength,
        kappa=kappa,
        detuning=2 * np.pi * np.asarray(omega_hz),
    )
    return np.asarray(g_hz * np.sqrt(photons))


def _rate(coupling_hz: Real, kappa_hz: Value) -> Real:
    """𝒢 (1/s)."""
    return sideband.scattering_rate(2 * np.pi * coupling_hz, 2 * np.pi * np.asarray(kappa_hz))


MODEL: Final = Model(
    name="fan2026_pulsed",
    paper="Z.-Y. Fan, L.-Y. Cheng, Entanglement distribution among distinct mechanical nodes in a "
    "quantum network (2026), scheme 2",
    parameters=Fan2026Pulsed,
    results=RESULTS,
    solve=solve,
)
