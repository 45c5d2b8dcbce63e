"""Trials that the world has lived through and whose clicks have not been drawn yet."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simulation.lab.operating_point import OperatingPoint
from simulation.lab.world_parameters import WorldParameters


@dataclass(frozen=True, kw_only=True, eq=False)
class Stretch:
    """Trials in a row under the same settings.

    Attributes
    ----------
    point : OperatingPoint
    parameters : WorldParameters
        As they have drifted.
    blocks : ndarray of int64, shape (b,)
        Trials in parts through which the phase counts as constant but for its noise.
    phase, sigma : ndarray, shape (b,)
        Of the interferometer, rad.
    """

    point: OperatingPoint
    parameters: WorldParameters
    blocks: NDArray[np.int64]
    phase: NDArray[np.float64]
    sigma: NDArray[np.float64]

    @cached_property
    def trials(self) -> int:
        """Number of trials."""
        return int(self.blocks.sum())

    def goes_on_with(self, other: "Stretch") -> bool:
        """Tell whether the settings of another stretch are the same."""
        return other.point is self.point and other.parameters is self.parameters

    def followed_by(self, other: "Stretch") -> "Stretch":
        """Return both as one."""
        return replace(
            self,
            blocks=np.concatenate([self.blocks, other.blocks]),
            phase=np.concatenate([self.phase, other.phase]),
            sigma=np.concatenate([self.sigma, other.sigma]),
        )
