"""Surveys of chips: which devices of several chips match, and how likely that was."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import constants

from analysis.palette import COLORS
from labkit.report.tables import ResultTable
from simulation.theory.dlcz.device_matching import (
    MatchingSet,
    matching_probability,
    matching_sets,
    number_of_sets,
    simulated_probability,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRAWN = 10
"""Sets in the picture."""

COLUMNS = ("device", "wavelength_nm")
"""That a survey must have; others are passed over."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChipSurvey:
    """Optical resonances of a chip's devices.

    Attributes
    ----------
    name : str
    devices : tuple of str
    wavelength : ndarray, shape (n,)
        m.
    """

    name: str
    devices: tuple[str, ...]
    wavelength: NDArray[np.float64]

    @property
    def frequency_hz(self) -> NDArray[np.float64]:
        """Optical frequencies, Hz."""
        return np.asarray(constants.c / self.wavelength)


def read_survey(path: Path) -> ChipSurvey:
    """Read a CSV file with a head: columns ``device`` and ``wavelength_nm``.

    Raises
    ------
    ValueError
        Naming file and line, if something is not as it must be.
    """
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        head = reader.fieldnames or ()
        if missing := [name for name in COLUMNS if name not in head]:
            message = (
                f"{path}: line 1 must name the columns {', '.join(COLUMNS)}, but "
                f"{missing[0]} is missing; there are {', '.join(head) or 'none'}"
            )
            raise ValueError(message)
        rows = [(reader.line_num, row) for row in reader]
    names = [str(row["device"]).strip() for _, row in rows]
    values = [_nanometres(path, line, str(row["wavelength_nm"])) for line, row in rows]
    if not rows:
        message = f"{path}: must list at least one device, but lists none"
        raise ValueError(message)
    if twice := next((name for name in names if names.count(name) > 1), None):
        message = f"{path}: every device must be listed once, but {twice!r} is listed twice"
        raise ValueError(message)
    return ChipSurvey(name=path.stem, devices=tuple(names), wavelength=1e-9 * np.array(values))


def _nanometres(path: Path, line: int, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not (isfinite(value) and value > 0):
        message = f"{path}: line {line}: `wavelength_nm` must be a number above 0, but is {text!r}"
        raise ValueError(message)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """Which devices match.

    Attributes
    ----------
    chips : tuple of ChipSurvey
    tolerance_hz : float
    sets : tuple of MatchingSet
        The closest first.
    number : int
        Of all sets that match.
    probability, probability_sigma : float
        That chips with this scatter have at least one: by drawing them.
    by_formula : float
        The same by the paper's formula, with the chips' mean scatter and number of devices (and
        offset, of two).
    """

    chips: tuple[ChipSurvey, ...]
    tolerance_hz: float
    sets: tuple[MatchingSet, ...]
    number: int
    probability: float
    probability_sigma: float
    by_formula: float

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "chips": {chip.name: len(chip.devices) for chip in self.chips},
            "tolerance_hz": self.tolerance_hz,
            "sets": [
                {
                    "devices": [
                        chip.devices[d] for chip, d in zip(self.chips, one.devices, strict=True)
                    ],
                    "spread_hz": one.spread_hz,
                    "wavelength": float(self._wavelengths(one).mean()),
                }
                for one in self.sets
            ],
            "number": self.number,
            "probability": self.probability,
            "probability_sigma": self.probability_sigma,
            "by_formula": self.by_formula,
        }

    def table(self) -> ResultTable:
        """Return the best sets as a table of text."""
        rows = tuple(
            (
                *(chip.devices[d] for chip, d in zip(self.chips, one.devices, strict=True)),
                f"{1e9 * self._wavelengths(one).mean():.4f}", f"{one.spread_hz / 1e6:.1f}",
            )
            for one in self.sets
        )  # fmt: skip
        chance = f"{100 * self.probability:.3g} ± {100 * self.probability_sigma:.2g} %"
        return ResultTable(
            title=f"devices that match within {self.tolerance_hz / 1e6:g} MHz",
            head=(*(chip.name for chip in self.chips), "nm", "apart (MHz)"),
            rows=rows,
            note=(
                f"{self.number:,} matching sets; chips with this scatter have one with {chance} "
                f"(drawn), {100 * self.by_formula:.4g} % by the paper's formula"
            ),
        )

    def figure(self, ax: "Axes | None" = None) -> "Axes":
        """Draw all resonances, and the best sets as lines across the chips, by their names."""
        from matplotlib.figure import Figure

        if ax is None:
            height = 1.4 + 0.9 * len(self.chips)
            ax = Figure(figsize=(7.0, height), layout="constrained").add_subplot()
        for place, chip in enumerate(self.chips):
            nm = 1e9 * chip.wavelength
            ax.plot(nm, np.full(len(nm), -place), "|", ms=14, color=COLORS[0], alpha=0.7)
        places = -np.arange(len(self.chips))
        heights = np.linspace(-0.2, 1.2 - len(self.chips), DRAWN)
        for number, one in enumerate(self.sets[:DRAWN]):
            nm = 1e9 * self._wavelengths(one)
            ax.plot(nm, places, "-", color=COLORS[1], lw=1)
            names = (chip.devices[d] for chip, d in zip(self.chips, one.devices, strict=True))
            # each at another height: lines of neighbouring sets lie close together
            ax.annotate(" – ".join(names), (float(nm.mean()), heights[number]), xytext=(3, 0),
                        textcoords="offset points", va="center", fontsize=7)  # fmt: skip
        ax.set_yticks(places, [chip.name for chip in self.chips])
        ax.set(xlabel="wavelength (nm)", ylim=(-len(self.chips) + 0.5, 0.5))
        return ax

    def _wavelengths(self, one: MatchingSet) -> NDArray[np.float64]:
        pairs = zip(self.chips, one.devices, strict=True)
        return np.array([chip.wavelength[device] for chip, device in pairs])


def match_chips(
    chips: Sequence[ChipSurvey],
    *,
    tolerance_hz: float = 100e6,
    most: int = 10,
    draws: int = 2000,
    seed: int = 0,
) -> Matches:
    """Find the devices of several chips that match.

    Parameters
    ----------
    chips : sequence of ChipSurvey
        Two or more, of two or more devices each.
    tolerance_hz : float
        Largest difference of optical frequency (seed 003: 100 MHz).
    most : int
        Sets to list.
    draws, seed : int
        For the probability.

    Raises
    ------
    ValueError
        If there are fewer than two chips, or fewer than two devices on one.
    """
    if len(chips) < 2 or min(len(chip.devices) for chip in chips) < 2:
        sizes = {chip.name: len(chip.devices) for chip in chips}
        message = f"matching needs two or more chips of two or more devices, but has {sizes}"
        raise ValueError(message)
    surveys = [chip.frequency_hz for chip in chips]
    chance, sigma = simulated_probability(
        [len(survey) for survey in surveys],
        spreads=[float(survey.std(ddof=1)) for survey in surveys],
        means=[float(survey.mean()) for survey in surveys],
        tolerance_hz=tolerance_hz, draws=draws, seed=seed,
    )  # fmt: skip
    nm = [chip.wavelength for chip in chips]
    formula = matching_probability(
        round(float(np.mean([len(one) for one in nm]))),
        chips=len(nm),
        spread=float(np.sqrt(np.mean([one.var(ddof=1) for one in nm]))),
        tolerance_hz=tolerance_hz,
        wavelength=float(np.mean(np.concatenate(nm))),
        offset=float(nm[1].mean() - nm[0].mean()) if len(nm) == 2 else 0.0,
    )
    return Matches(
        chips=tuple(chips), tolerance_hz=tolerance_hz, number=number_of_sets(surveys, tolerance_hz),
        sets=tuple(matching_sets(surveys, tolerance_hz, most=most)),
        probability=chance, probability_sigma=sigma, by_formula=formula,
    )  # fmt: skip
