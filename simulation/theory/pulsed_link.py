"""Entanglement by one blue pulse, one lossy fibre and one red pulse (Fan & Cheng, scheme 2).

A Stokes pulse squeezes mechanics b1 with a travelling mode (r), the fibre loses the share R of it,
an anti-Stokes pulse swaps the rest into mechanics b2 with efficiency W. Loss and imperfect swap
are one beam splitter of transmissivity τ = W (1 − R): both mechanics, first in their ground
states, end in a two-mode squeezed vacuum of which b2's half went through τ.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory import gaussian
from simulation.theory.quantities import Range, checked

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]

SQUEEZING: Final = Range(0.0, 170.0, "lie in [0, 170]")
"""Of r: e^{4r} stays finite."""

FIBRE_DB_PER_KM = 0.2
"""Loss of telecom fibre in seed 000."""


class Pair(NamedTuple):
    """Two modes in V = [[a 1, c Z], [c Z, b 1]], with D = ab − c² kept apart.

    D of a pure state is 1/4 however large a, b and c are: as a difference it is lost to rounding
    from r ≈ 8 on, and with it all that a covariance matrix says about entanglement.
    """

    a: Real
    b: Real
    c: Real
    d: Real

    def second_lost(self, transmissivity: Real, noise: Real) -> "Pair":
        """Lose 1 − T of the second mode and add noise y: b → T b + y, D → T D + a y."""
        t = transmissivity
        return Pair(self.a, t * self.b + noise, np.sqrt(t) * self.c, t * self.d + self.a * noise)

    @property
    def swapped(self) -> "Pair":
        """The same with both modes exchanged."""
        return Pair(self.b, self.a, self.c, self.d)

    @property
    def log_nu(self) -> Real:
        """−ln 2ν̃₋, ν̃₋ = 2D/(a + b + √((a − b)² + 4c²)); E_N where positive."""
        return np.asarray(
            -np.log(4 * self.d / (self.a + self.b + np.hypot(self.a - self.b, 2 * self.c)))
        )


def squeezed_pair(r: ArrayLike, occupation: ArrayLike = 0.0) -> Pair:
    """Return the pair that a blue pulse makes of mechanics with n quanta and of vacuum light.

    a = (n + ½) cosh² r + ½ sinh² r, b with cosh ↔ sinh, c = (n + 1) sinh r cosh r, D = (n + ½)/2.

    Raises
    ------
    ValueError
        If r is outside `SQUEEZING`.
    """
    first, r = np.asarray(occupation, np.float64) + 0.5, _squeezing(r)
    cosh, sinh = np.cosh(r), np.sinh(r)
    return Pair(
        first * cosh**2 + sinh**2 / 2,
        first * sinh**2 + cosh**2 / 2,
        (first + 0.5) * sinh * cosh,
        first / 2,
    )


def link_pair(r: ArrayLike, W: ArrayLike, R: ArrayLike) -> Pair:
    """Return (b1, b2) after both pulses, Eq. (22), parameters as for `link_covariance`."""
    kept = transmissivity(W, R)
    return squeezed_pair(r).second_lost(kept, (1 - kept) / 2)


def fibre_reflectivity(length_km: ArrayLike, db_per_km: ArrayLike = FIBRE_DB_PER_KM) -> Real:
    """Return the share R = 1 − 10^(−α L/10) of light that a fibre of `length_km` loses."""
    loss_db = np.asarray(length_km, np.float64) * np.asarray(db_per_km, np.float64)
    if not np.all(loss_db >= 0):
        message = f"`length_km` times `db_per_km` must be ≥ 0, but is {loss_db} dB"
        raise ValueError(message)
    return np.asarray(-np.expm1(-loss_db * np.log(10) / 10))


def link_covariance(r: ArrayLike, W: ArrayLike, R: ArrayLike) -> Real:
    """Return the covariance matrix of (b1, b2) after both pulses, Eq. (22).

    With T = 1 − R: V(b1) = ½ cosh 2r, V(b2) = ½ + W T sinh² r, ⟨x1 x2⟩ = −½ √(WT) sinh 2r =
    −⟨p1 p2⟩. The sign is two quarter-period delays: light scatters i-fold from each mechanics.

    Parameters
    ----------
    r : array_like
        Squeezing parameter of the first pulse, r ≥ 0.
    W : array_like
        Swap efficiency of the second pulse, in [0, 1].
    R : array_like
        Share of light lost on the way, in [0, 1].

    Returns
    -------
    ndarray, shape (..., 4, 4)
        Beyond r ≈ 8 its double precision no longer holds the entanglement: see `link_pair`.
    """
    a, b, c, _ = link_pair(r, W, R)
    nothing = np.zeros_like(c)
    return gaussian.from_moments(
        np.stack([np.stack([a - 0.5, nothing], -1), np.stack([nothing, b - 0.5], -1)], -2),
        np.stack([np.stack([nothing, -c], -1), np.stack([-c, nothing], -1)], -2),
    )


def link_density_matrix(r: float, W: float, R: float, cutoff: int) -> Complex:
    """Return ρ of (b1, b2) in the number basis, Eq. (21) with its exponent corrected.

    The printed exponent of W, (n + n′ − t − l)/2 − l, gives a trace of 1.04; it must be
    (n + n′)/2 − t − l, as each of t photons lost in the fibre and l left in the light is missing
    from both sides. The sums over t and l at fixed s = t + l are then binomial and collapse to one
    loss τ = W (1 − R) of s quanta,

        ρ = Σ (i tanh r)ⁿ (−i tanh r)ⁿ′/cosh² r √(C(n,s) C(n′,s)) (1−τ)ˢ τ^((n+n′)/2−s)
            iⁿ⁻ˢ (−i)ⁿ′⁻ˢ |n, n−s⟩⟨n′, n′−s|,

    and its second moments are Eq. (22).

    Parameters
    ----------
    r, W, R : float
        As for `link_covariance`.
    cutoff : int
        Number states 0 … cutoff − 1 of each mode; the trace misses tanh(r)^(2 cutoff).

    Returns
    -------
    ndarray of complex, shape (cutoff, cutoff, cutoff, cutoff)
        ⟨n1 n2|ρ|n1′ n2′⟩.
    """
    if cutoff < 1:
        message = f"`cutoff` must be at least 1, but is {cutoff}"
        raise ValueError(message)
    squeezing, kept = float(_squeezing(r)), float(transmissivity(W, R))
    lost = np.arange(cutoff)
    density = np.zeros((cutoff,) * 4, np.complex128)
    for s in lost:
        n = np.arange(s, cutoff)
        amplitude = np.zeros((cutoff, cutoff), np.complex128)
        amplitude[n, n - s] = _amplitudes(n, int(s), squeezing, kept)
        density += np.multiply.outer(amplitude, amplitude.conj())
    return density


def transmissivity(W: ArrayLike, R: ArrayLike) -> Real:
    """Return τ = W (1 − R), what the second mechanics keeps of the light."""
    return np.asarray(gaussian.fraction("W", W) * (1 - gaussian.fraction("R", R)))


def _amplitudes(n: NDArray[np.int_], s: int, r: float, kept: float) -> Complex:
    """⟨n, n−s| amplitude with s quanta lost: iⁿ iⁿ⁻ˢ tanhⁿr/cosh r √(C(n,s)(1−τ)ˢ τⁿ⁻ˢ)."""
    from scipy.special import gammaln

    choices = np.exp(gammaln(n + 1) - gammaln(s + 1) - gammaln(n - s + 1))
    weight = choices * (1 - kept) ** s * kept ** (n - s)
    phase = 1j ** ((2 * n - s) % 4)
    return np.asarray(phase * np.tanh(r) ** n / np.cosh(r) * np.sqrt(weight))


def _squeezing(r: ArrayLike) -> Real:
    return np.asarray(checked("r", r, SQUEEZING))
