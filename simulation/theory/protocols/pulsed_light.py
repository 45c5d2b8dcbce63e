"""Pulsed light and mechanics step by step: thermal or coherent inputs, linear maps, heralds.

Modes have two kinds: those that a blue pulse makes (``light``: Stokes light, and inputs that
interfere with it) and those it leaves behind (``matter``: mechanics, and anti-Stokes light read
from it). A blue pulse squeezes one of each, everything else acts within a kind; so the state is
unchanged by opposite phase rotations of the kinds, and one Hermitian n × n matrix and a mean say
everything (`simulation.theory.threshold`). Arrays have batch axes last.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.gaussian import fraction
from simulation.theory.silent_sets import constant
from simulation.theory.threshold import Conditioned

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PulsedState:
    """Gaussian state of named modes; every method returns a new state.

    Attributes
    ----------
    light, matter : tuple of str
        Modes of the two kinds.
    kernel : ndarray of complex, shape (n, n, ...)
        ⟨:v v†:⟩ of the fluctuations, v = a of light, a† of matter, in the order light, matter.
    mean : ndarray of complex, shape (n, ...), or None
        ⟨v⟩; None while all are 0.
    """

    light: tuple[str, ...]
    matter: tuple[str, ...]
    kernel: Complex
    mean: Complex | None

    @classmethod
    def vacuum(cls, light: str, matter: str = "") -> "PulsedState":
        """Every mode empty; names are separated by blanks."""
        kinds = tuple(light.split()), tuple(matter.split())
        n = len(kinds[0]) + len(kinds[1])
        return cls(
            light=kinds[0],
            matter=kinds[1],
            kernel=np.zeros((n, n), np.complex128),
            mean=None,
        )

    def places(self, modes: str) -> NDArray[np.intp]:
        """Return the indices of the modes named."""
        names = (*self.light, *self.matter)
        return np.array([names.index(mode) for mode in modes.split()], np.intp)

    def heat(self, mode: str, quanta: ArrayLike) -> "PulsedState":
        """Add classical noise of `quanta`; a vacuum becomes a thermal state."""
        (i,) = self.places(mode)
        kernel = self._kernel(np.shape(quanta))
        kernel[i, i] += quanta
        return self._with(kernel, self.mean)

    def displace(self, mode: str, amplitude: ArrayLike) -> "PulsedState":
        """Add a coherent amplitude ⟨a⟩."""
        (i,) = self.places(mode)
        shape = np.shape(amplitude)
        mean = np.zeros(len(self.kernel), np.complex128) if self.mean is None else self.mean
        mean = _spread(mean, 1, np.broadcast_shapes(mean.shape[1:], shape))
        mean[i] += amplitude if i < len(self.light) else np.conj(amplitude)
        return self._with(self.kernel, mean)

    def squeeze(self, light: str, matter: str, p: ArrayLike) -> "PulsedState":
        """Blue pulse with sinh² r = p: s → cosh r s + sinh r m†, and s ↔ m."""
        p = np.asarray(p, np.float64)
        gain, pairs = np.sqrt(1 + p), np.sqrt(p)
        cross = gain * pairs
        return self._map(
            self.places(f"{light} {matter}"),
            np.array([[gain, pairs], [pairs, gain]], np.complex128),
            np.array([[p, cross], [cross, p]], np.complex128),
        )

    def interfere(self, modes: str, unitary: ArrayLike) -> "PulsedState":
        """Send modes of one kind through an interferometer, a_i → Σ_j U_ij a_j, U (k, k, ...)."""
        index = self.places(modes)
        u = np.asarray(unitary, np.complex128)
        kind = index < len(self.light)
        if not (np.all(kind) or not np.any(kind)):
            message = f"`modes` must be all light or all matter to interfere, but are {modes}"
            raise ValueError(message)
        return self._map(index, u if kind[0] else u.conj(), None)

    def couple(
        self, a: str, b: str, transmissivity: ArrayLike = 0.5, phi: ArrayLike = 0.0
    ) -> "PulsedState":
        """Symmetric coupler of `gaussian.beam_splitter`: a → √T a + i e^{iφ} √(1−T) b, a ↔ b."""
        t, phi = np.broadcast_arrays(
            fraction("transmissivity", transmissivity), np.asarray(phi, np.float64)
        )
        through, across = np.sqrt(t), 1j * np.sqrt(1 - t) * np.exp(1j * phi)
        return self.interfere(f"{a} {b}", [[through, across], [-across.conj(), through]])

    def rotate(self, mode: str, phi: ArrayLike) -> "PulsedState":
        """Phase shift a → e^{iφ} a."""
        return self._scale(mode, np.exp(1j * np.asarray(phi, np.float64)), 0.0)

    def lose(
        self, modes: str, transmissivity: ArrayLike, occupation: ArrayLike = 0.0
    ) -> "PulsedState":
        """Mix each mode with a bath of n̄ quanta: a → √T a + √(1−T) a_bath."""
        t = fraction("transmissivity", transmissivity)
        state = self
        for mode in modes.split():
            state = state._scale(mode, np.sqrt(t), (1 - t) * np.asarray(occupation, np.float64))
        return state

    def decay(
        self, mode: str, time: ArrayLike, lifetime: ArrayLike, occupation: ArrayLike
    ) -> "PulsedState":
        """Lose energy for a time: T = e^{−t/lifetime} into a bath of n̄ quanta."""
        exponent = -np.asarray(time, np.float64) / np.asarray(lifetime, np.float64)
        noise = -np.expm1(exponent) * np.asarray(occupation, np.float64)
        return self._scale(mode, np.exp(exponent / 2), noise)

    def amplify(self, mode: str, gain: ArrayLike) -> "PulsedState":
        """Phase-insensitive amplifier with its idler in vacuum: a → √G a + √(G−1) a_idler†."""
        g = np.asarray(gain, np.float64)
        return self._scale(mode, np.sqrt(g), g - 1)

    def read(self, matter: str, anti_stokes: str, p_read: ArrayLike) -> "PulsedState":
        """Red pulse into an empty anti-Stokes mode: r = √p m + √(1−p) vacuum."""
        t = fraction("p_read", p_read)
        swap = np.sqrt(t), np.sqrt(1 - t)
        return self.interfere(f"{matter} {anti_stokes}", [[swap[1], -swap[0]], [swap[0], swap[1]]])

    def occupation(self, mode: str) -> Real:
        """Mean quanta ⟨a†a⟩, coherent ones included."""
        (i,) = self.places(mode)
        thermal = self.kernel[i, i].real
        return thermal if self.mean is None else np.asarray(thermal + np.abs(self.mean[i]) ** 2)

    def condition(
        self,
        *,
        clicked: str = "",
        silent: str = "",
        kept: str = "",
        dark: ArrayLike = 0.0,
    ) -> Conditioned:
        """Ask ideal detectors of the modes: those of `silent` stay silent, of `clicked` click.

        Parameters
        ----------
        clicked, silent, kept : str
            Modes, separated by blanks; losses of the detectors belong into the state.
        dark : array_like
            Probability of a dark click of each detector, shape (...).
        """
        index = self.places(f"{silent} {clicked} {kept}")
        shape = () if self.mean is None else self.mean.shape[1:]
        batch = np.broadcast_shapes(self.kernel.shape[2:], shape, np.shape(dark))
        mean = None if self.mean is None else self.mean[index]
        state = Conditioned(
            weight=constant(np.ones(batch)),
            kernel=constant(_spread(self.kernel[index[:, None], index], 2, batch)),
            mean=None if mean is None else constant(_spread(mean, 1, batch)),
        )
        for _ in silent.split():
            state = state.silence(dark)
        for _ in clicked.split():
            state = state.ask(dark)
        return state

    def probability(self, *, clicked: str = "", silent: str = "", dark: ArrayLike = 0.0) -> Real:
        """Probability of the clicks and silences named, whatever the others do."""
        return self.condition(clicked=clicked, silent=silent, dark=dark).probability

    def _with(self, kernel: Complex, mean: Complex | None) -> "PulsedState":
        return PulsedState(light=self.light, matter=self.matter, kernel=kernel, mean=mean)

    def _kernel(self, shape: tuple[int, ...]) -> Complex:
        batch = self.kernel.shape[2:]
        return _spread(self.kernel, 2, np.broadcast_shapes(batch, shape) if shape else batch)

    def _scale(self, mode: str, factor: Any, noise: ArrayLike) -> "PulsedState":
        (i,) = self.places(mode)
        scale = np.asarray(factor if i < len(self.light) else np.conj(factor))
        shape = np.shape(noise)
        kernel = self._kernel(np.broadcast_shapes(scale.shape, shape) if shape else scale.shape)
        kernel[i] *= scale
        kernel[:, i] *= scale.conj()
        kernel[i, i] += noise
        if self.mean is None:
            return self._with(kernel, self.mean)
        mean = _spread(self.mean, 1, np.broadcast_shapes(self.mean.shape[1:], scale.shape))
        mean[i] *= scale
        return self._with(kernel, mean)

    def _map(self, index: NDArray[np.intp], m: Complex, noise: Complex | None) -> "PulsedState":
        kernel = self._kernel(m.shape[2:])
        kernel[index] = np.einsum("ij...,jk...->ik...", m, kernel[index])
        kernel[:, index] = np.einsum("ik...,jk...->ij...", kernel[:, index], m.conj())
        if noise is not None:
            kernel[index[:, None], index] += _spread(noise, 2, kernel.shape[2:])
        if self.mean is None:
            return self._with(kernel, self.mean)
        mean = _spread(self.mean, 1, np.broadcast_shapes(self.mean.shape[1:], m.shape[2:]))
        mean[index] = np.einsum("ij...,j...->i...", m, mean[index])
        return self._with(kernel, mean)


def _spread(array: Complex, own: int, batch: tuple[int, ...]) -> Complex:
    """Copy with the batch axes last, broadcast."""
    if array.shape[own:] == batch:
        return array.copy()
    missing = len(batch) - (array.ndim - own)
    padded = array.reshape(*array.shape[:own], *(1,) * missing, *array.shape[own:])
    return np.array(np.broadcast_to(padded, (*array.shape[:own], *batch)))
