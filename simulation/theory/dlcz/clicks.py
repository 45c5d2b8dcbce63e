"""Click probabilities of the pulsed DLCZ protocol on threshold detectors."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.theory.dlcz.parameters import DLCZParameters
from simulation.theory.dlcz.state import detected_state
from simulation.theory.threshold import CLICK, FREE, SILENT, click_tensor

Real = NDArray[np.float64]

SINGLES = tuple(tuple(CLICK if mode == k else FREE for mode in range(4)) for k in range(4))
COINCIDENCES = tuple(
    tuple(CLICK if mode in (j, 2 + i) else FREE for mode in range(4))
    for i in range(2)
    for j in range(2)
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ClickProbabilities:
    """Probabilities per trial, each accurate to rounding however small.

    Attributes
    ----------
    patterns : ndarray, shape (..., 2, 2, 2, 2)
        Probability of each of the 16 patterns; axes p1, p2, r1, r2, index 1 for a click.
    singles : ndarray, shape (..., 4)
        Probability of a click in p1, p2, r1, r2, whatever the others do.
    coincidences : ndarray, shape (..., 2, 2)
        Element [i, j]: probability that r_{i+1} and p_{j+1} both click, whatever the others do.
    """

    patterns: Real
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


def click_probabilities(
    parameters: DLCZParameters, passage: Real | None = None
) -> ClickProbabilities:
    """Exact click probabilities of the Gaussian model, dark clicks included.

    A detector clicks at most once per gate: if it sees at least one photon (thermal and coherent
    leaks included) or has a dark click. Dark clicks are independent in each gate.

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
    state = detected_state(parameters, passage)
    dark = parameters.per_detector("dark")
    amplitude = state.read_amplitude
    outcomes = click_tensor(
        state.kernel,
        np.concatenate([np.zeros_like(amplitude), amplitude], axis=-1),
        np.concatenate([dark, dark], axis=-1),
    )
    coincidences = np.stack([outcomes[pair] for pair in COINCIDENCES], axis=-1)
    patterns = outcomes[SILENT:, SILENT:, SILENT:, SILENT:]
    return ClickProbabilities(
        patterns=np.moveaxis(patterns, (0, 1, 2, 3), (-4, -3, -2, -1)),
        singles=np.stack([outcomes[single] for single in SINGLES], axis=-1),
        coincidences=coincidences.reshape(*coincidences.shape[:-1], 2, 2),
    )


def g2_clicks(parameters: DLCZParameters) -> Real:
    """g² as threshold detectors measure it, element [i, j] for (r_{i+1}, p_{j+1}).

    g²_ij = P(r_i, p_j) / (P(r_i) P(p_j)), shape (..., 2, 2); dark clicks included.

    Raises
    ------
    ValueError
        If a gate never clicks.
    """
    return click_probabilities(parameters).g2


def ratio_to_accidental(joint: Real, accidental: Real) -> Real:
    """Joint / accidental, or ValueError where nothing ever arrives and g² is undefined."""
    if not np.all(accidental > 0):
        message = (
            "g² is undefined where a gate never clicks; pump, read, efficiencies, leaks or darks "
            "must give each of p1, p2, r1, r2 some clicks"
        )
        raise ValueError(message)
    return np.asarray(joint / accidental)
