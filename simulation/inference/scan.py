"""How long a claim takes over a line or a grid of settings, by the model."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.labelled import Labelled, Variable
from simulation.inference.operation import LIMITS, USUAL, Knobs, Operation
from simulation.inference.optimum import expected_trials

Point = tuple[float, float]
"""Expected trials to the claim, R_m."""

Mapped = Callable[[Callable[[Knobs], Point], Iterable[Knobs]], Iterator[Point]]
"""What applies a function to settings and yields the results in order."""

Progress = Callable[[int, int], object]
"""Called with (points done, points in all)."""

UNITS: Final[Mapping[str, str]] = {
    "delay": "s", "e_pump": "1", "e_read": "1", "theta": "rad", "period": "s", "filter_hz": "Hz",
    "loss_A": "dB", "loss_B": "dB",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanPoint:
    """A point of a scan.

    Attributes
    ----------
    knobs : dict of str to float
        Those that are scanned.
    trials, seconds, R_m : float
    """

    knobs: Mapping[str, float]
    trials: float
    seconds: float
    R_m: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SettingsScan:
    """A scan over settings.

    Attributes
    ----------
    axes : mapping of str to ndarray, each of shape (n,)
        Knobs and their values.
    trials, R_m : ndarray, of the shape of the grid
        Expected to the claim, the geometric mean over draws, inf for never; the median over draws.
    seconds : ndarray
        The trials take that long, without overhead.
    """

    axes: Mapping[str, NDArray[np.float64]]
    trials: NDArray[np.float64]
    seconds: NDArray[np.float64]
    R_m: NDArray[np.float64]

    @property
    def best(self) -> ScanPoint | None:
        """Where the claim comes soonest; None if it comes nowhere."""
        place = np.unravel_index(np.argmin(self.seconds), self.seconds.shape)
        if not math.isfinite(self.seconds[place]):
            return None
        knobs = {n: float(axis[k]) for (n, axis), k in zip(self.axes.items(), place, strict=True)}
        trials, seconds, ratio = (float(a[place]) for a in (self.trials, self.seconds, self.R_m))
        return ScanPoint(knobs=knobs, trials=trials, seconds=seconds, R_m=ratio)

    def to_dict(self) -> dict[str, object]:
        """Return the best point in plain types, None if there is none."""
        return {"points": self.seconds.size, "best": self.best and asdict(self.best)}

    def __str__(self) -> str:
        best = self.best
        if best is None:
            return f"no claim at any of {self.seconds.size} points"
        where = ", ".join(
            f"{name} = {value:.4g}{'' if UNITS[name] == '1' else ' ' + UNITS[name]}"
            for name, value in best.knobs.items()
        )
        return (
            f"soonest at {where}: {best.trials:.3g} trials, "
            f"{best.seconds / 3600:.2f} h, R_m = {best.R_m:.3f} by the model"
        )

    def labelled(self) -> Labelled:
        """Return a data set with coordinates and units."""
        names = tuple(self.axes)
        variables: dict[str, Variable] = {
            "trials": (names, self.trials, {"units": "1", "long_name": "trials to the claim"}),
            "seconds": (names, self.seconds, {"units": "s", "long_name": "time to the claim"}),
            "R_m": (names, self.R_m, {"units": "1", "long_name": "R_m by the model"}),
        }
        coordinates: dict[str, Variable] = {
            name: ((name,), values, {"units": UNITS[name]}) for name, values in self.axes.items()
        }
        return Labelled(variables=variables, coordinates=coordinates, attributes={})


def scan_settings(
    operation: Operation,
    axes: Mapping[str, ArrayLike],
    *,
    start: Knobs = USUAL,
    confidence: float = 0.99,
    bound: float = 1.0,
    mapped: Mapped = map,
    progress: Progress | None = None,
) -> SettingsScan:
    """Compute trials to the always-valid claim and R_m at every point of a grid.

    Parameters
    ----------
    operation : Operation
        A point, or some draws.
    axes : mapping of str to array_like
        Knobs and their values: one, or several for a grid. With a swept delay and no phase asked
        for, the phase follows to θ = 0, as an experimenter would set it.
    start : Knobs
        The others stay there.
    confidence, bound : float
        Of the claim.
    mapped : callable, optional
        What evaluates the points, elsewhere and side by side; by default here.
    progress : callable, optional

    Raises
    ------
    ValueError
        If a knob is unknown, values are not 1-D, or one is outside what can be asked.
    """
    values = {name: np.asarray(axis, np.float64) for name, axis in axes.items()}
    if unknown := [name for name in values if name not in LIMITS]:
        message = f"`axes` must name some of {', '.join(LIMITS)}, but name {', '.join(unknown)}"
        raise ValueError(message)
    if not values or any(axis.ndim != 1 or axis.size == 0 for axis in values.values()):
        message = "`axes` must name a knob, with 1-D values of which there are some"
        raise ValueError(message)
    if "delay" in values and "theta" not in values and start.theta is None:
        start = replace(start, theta=0.0)
    names = list(values)
    points = [
        replace(start, **dict(zip(names, map(float, place), strict=True)))
        for place in product(*values.values())
    ]
    found = []
    at = partial(_at, operation, confidence, bound)
    for point in mapped(at, points):
        found.append(point)
        if progress is not None:
            progress(len(found), len(points))
    shape = tuple(axis.size for axis in values.values())
    trials, ratio = (np.array(column).reshape(shape) for column in zip(*found, strict=True))
    seconds = trials * np.array([point.period for point in points]).reshape(shape)
    return SettingsScan(axes=values, trials=trials, seconds=seconds, R_m=ratio)


def _at(operation: Operation, confidence: float, bound: float, knobs: Knobs) -> Point:
    trials = expected_trials(operation, knobs, confidence=confidence, bound=bound)
    return trials, float(np.median(operation.at(knobs).witness))
