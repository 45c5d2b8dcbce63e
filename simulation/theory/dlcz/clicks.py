"""Click probabilities of the pulsed DLCZ protocol on threshold detectors."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simulation.theory.dlcz.parameters import DLCZParameters
from simulation.theory.dlcz.state import detected_state
from simulation.theory.threshold import CLICK, FREE, SILENT, click_tensor

Real = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairClicks:
    """Probabilities per trial of one or two clicks, each accurate to rounding however small.

    Attributes
    ----------
    singles : ndarray, shape (..., 4)
        Probability of a click in p1, p2, r1, r2, whatever the others do.
    coincidences : ndarray, shape (..., 2, 2)
        Element [i, j]: probability that r_{i+1} and p_{j+1} both click, whatever the others do.
    """

    singles: Real
    coincidences: Real

    @property
    def g2(self) -> Real:
        """P(r_i, p_j) / (P(r_i) P(p_j)), element [i, j], shape (..., 2, 2).

        Raises
        ------
        ValueError
            If a gate never clicks, so that the ratio is undefined.
        """
        accidental = self.singles[..., 2:, None] * self.singles[..., None, :2]
        return ratio_to_accidental(self.coincidences, accidental)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClickProbabilities(PairClicks):
    """Probabilities per trial of everything the four gates can show.

    Attributes
    ----------
    patterns : ndarray, shape (..., 2, 2, 2, 2)
        Probability of each of the 16 patterns; axes p1, p2, r1, r2, index 1 for a click.
    """

    patterns: Real


def pair_clicks(parameters: DLCZParameters) -> PairClicks:
    """Clicks and coincidences of pump and read as `click_probabilities`, without the patterns.

    Only pairs of detectors are asked, a third of the work, unless detectors have a memory: then
    what one does depends on all of the pump gate.
    """
    if _remembers(parameters):
        return click_probabilities(parameters)
    here = _interfering_pairs(parameters)
    lost = parameters.lost_interference[..., None]
    if not np.any(lost):
        return here
    there = _interfering_pairs(replace(parameters, delta_phi=parameters.delta_phi + np.pi))
    more = lost[..., None]
    return PairClicks(
        singles=np.asarray((1 - lost / 2) * here.singles + lost / 2 * there.singles),
        coincidences=np.asarray((1 - more / 2) * here.coincidences + more / 2 * there.coincidences),
    )


def _interfering_pairs(parameters: DLCZParameters) -> PairClicks:
    """Pairs at full contrast."""
    state = detected_state(parameters)
    shape = parameters.shape
    kernel = np.empty((*shape, 2, 2, 2, 2), np.complex128)  # [i, j] for (r_i, p_j), then (p, r†)
    pump, read = (np.diagonal(m, axis1=-2, axis2=-1) for m in (state.pump, state.read))
    kernel[..., 0, 0] = pump[..., None, :]
    kernel[..., 1, 1] = read[..., :, None]
    kernel[..., 0, 1] = np.swapaxes(state.pump_read, -1, -2)
    kernel[..., 1, 0] = kernel[..., 0, 1].conj()
    amplitude, dark = np.zeros((*shape, 2, 2, 2)), np.empty((*shape, 2, 2, 2))
    amplitude[..., 1] = state.read_amplitude[..., :, None]
    darks = parameters.per_detector("dark")
    dark[..., 0], dark[..., 1] = darks[..., None, :], darks[..., :, None]
    outcomes = click_tensor(kernel, amplitude, dark)
    return PairClicks(
        singles=np.concatenate(
            [outcomes[CLICK, FREE, ..., 0, :], outcomes[FREE, CLICK, ..., :, 0]], axis=-1
        ),
        coincidences=outcomes[CLICK, CLICK],
    )


def click_probabilities(
    parameters: DLCZParameters, passage: Real | None = None
) -> ClickProbabilities:
    """Exact click probabilities of the Gaussian model, dark and false clicks included.

    A detector clicks at most once per gate: if it sees at least one photon (thermal and coherent
    leaks included) or has a dark click. Dark clicks are independent in each gate. Then the
    detectors' memory acts on the read gate: after a click in the pump gate a detector misses a read
    click with probability `blindness`, and has a false one with probability `afterpulse` by its
    own, `crosstalk` by the other detector's.

    Parameters
    ----------
    parameters : DLCZParameters
        Batch shape (...).
    passage : ndarray, shape (..., 2, 2, 2), optional
        See `detected_state`.

    Returns
    -------
    ClickProbabilities
    """
    patterns = click_patterns(parameters, passage)
    coincidences = [_both(patterns, j, 2 + i) for i in (0, 1) for j in (0, 1)]
    return ClickProbabilities(
        patterns=patterns,
        singles=np.stack([_clicked(patterns, mode).sum((-3, -2, -1)) for mode in range(4)], -1),
        coincidences=np.stack(coincidences, -1).reshape(*patterns.shape[:-4], 2, 2),
    )


def click_patterns(parameters: DLCZParameters, passage: Real | None = None) -> Real:
    """Return nothing but the `patterns` of `click_probabilities`."""
    return _remembered(_interfering(parameters, passage), parameters)


def g2_clicks(parameters: DLCZParameters) -> Real:
    """g² as threshold detectors measure it, element [i, j] for (r_{i+1}, p_{j+1}).

    g²_ij = P(r_i, p_j) / (P(r_i) P(p_j)), shape (..., 2, 2); dark clicks included.

    Raises
    ------
    ValueError
        If a gate never clicks.
    """
    return pair_clicks(parameters).g2


def ratio_to_accidental(joint: Real, accidental: Real) -> Real:
    """Joint / accidental, or ValueError where nothing ever arrives and g² is undefined."""
    if not np.all(accidental > 0):
        message = (
            "g² is undefined where a gate never clicks; pump, read, efficiencies, leaks or darks "
            "must give each of p1, p2, r1, r2 some clicks"
        )
        raise ValueError(message)
    return np.asarray(joint / accidental)


def _interfering(parameters: DLCZParameters, passage: Real | None) -> Real:
    """Patterns at contrast v: (1 + v)/2 of those at θ, (1 − v)/2 of those at θ + π."""
    here = _patterns(parameters, passage)
    lost = parameters.lost_interference[..., None, None, None, None]
    if not lost.any():
        return here
    there = _patterns(replace(parameters, delta_phi=parameters.delta_phi + np.pi), passage)
    return np.asarray((1 - lost / 2) * here + lost / 2 * there)


def _patterns(parameters: DLCZParameters, passage: Real | None) -> Real:
    """Patterns of light and dark clicks at one θ."""
    state = detected_state(parameters, passage)
    dark = parameters.per_detector("dark")
    amplitude = state.read_amplitude
    outcomes = click_tensor(
        state.kernel,
        np.concatenate([np.zeros(amplitude.shape), amplitude], axis=-1),
        np.concatenate([dark, dark], axis=-1),
    )
    patterns = outcomes[SILENT:, SILENT:, SILENT:, SILENT:]
    return patterns.transpose(*range(4, patterns.ndim), 0, 1, 2, 3)


def _remembered(patterns: Real, parameters: DLCZParameters) -> Real:
    """Patterns after the detectors' memory: only positive terms are added, no digit is lost."""
    if not _remembers(parameters):
        return patterns
    memory = (parameters.afterpulse, parameters.blindness, parameters.crosstalk)
    change = _memory(*(np.asarray(value)[..., None, None] for value in memory))
    return np.asarray(
        np.einsum("...pqrs,...pqrt,...qpsu->...pqtu", patterns, change, change, optimize=True)
    )


def _remembers(parameters: DLCZParameters) -> bool:
    memory = (parameters.afterpulse, parameters.blindness, parameters.crosstalk)
    return any(value if isinstance(value, float) else np.any(value) for value in memory)


def _memory(afterpulse: Real, blindness: Real, crosstalk: Real) -> Real:
    """Element [p, q, r, t]: P(read click r becomes t | own pump click p, other's q)."""
    own, other = np.array([[0.0], [1.0]]), np.array([[0.0, 1.0]])
    false = afterpulse * own + crosstalk * other * (1 - afterpulse * own)
    missed = blindness * own * (1 - false)
    rows = [np.stack([1 - false, false], -1), np.stack([missed, 1 - missed], -1)]
    return np.stack(rows, -2)


def _clicked(patterns: Real, mode: int) -> Real:
    return np.asarray(np.take(patterns, 1, axis=mode - 4))


def _both(patterns: Real, pump: int, read: int) -> Real:
    return np.asarray(_clicked(_clicked(patterns, read), pump + 1).sum((-2, -1)))
