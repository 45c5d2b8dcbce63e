"""N-fold coincidences of any cells, with g of N cells and heralded g² from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from analysis.binomial import Interval
from analysis.correlation import G2, LEVEL, GammaPosterior, check_level
from analysis.counting.patterns import Cell, Patterns
from analysis.heralded import heralded_g2


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """Trials in which several cells clicked together.

    Attributes
    ----------
    cells : tuple of (gate, detector)
    together : int
        Trials with clicks in all the cells, C.
    exactly : int
        Those of them without a click in any other cell.
    accidental : float
        Expected of independent cells, λ = Π n / N^(k − 1).
    g : Interval
        C/λ with the quantiles of Gamma(C + 1, λ); from 0 without coincidences.
    """

    cells: tuple[Cell, ...]
    together: int
    exactly: int
    accidental: float
    g: Interval

    def to_dict(self) -> dict[str, object]:
        """Return plain types, as the command line prints them in JSON."""
        return {
            "cells": [list(cell) for cell in self.cells],
            "together": self.together,
            "exactly": self.exactly,
            "accidental": self.accidental,
            "g": self.g.to_dict(),
        }

    def __str__(self) -> str:
        names = " ".join(f"{gate}{detector}" for gate, detector in self.cells)
        return (
            f"{names}: {self.together:,} trials ({self.exactly:,} with no other cell), "
            f"{self.accidental:.4g} accidental, g {self.g}"
        )


def fold(found: Patterns, cells: Sequence[Cell], level: float = LEVEL) -> Fold:
    """Count the trials with clicks in all `cells`, and normalise them.

    Parameters
    ----------
    found : Patterns
        Of `analysis.counting.patterns.count_patterns`; those of several files add.
    cells : sequence of (gate, detector)
        Two or more.
    level : float

    Raises
    ------
    KeyError
        If there is no such gate or detector.
    ValueError
        If fewer than two different cells are given, or one of them never clicked.
    """
    if len(cells) < 2 or len(set(cells)) < len(cells):
        message = f"a coincidence needs two or more different cells, but got {list(cells)}"
        raise ValueError(message)
    check_level(level)
    singles = [found.all_of(cell) for cell in cells]
    if 0 in singles:
        gate, detector = cells[singles.index(0)]
        message = f"gate {gate} has no click of detector {detector}, so that g is undefined"
        raise ValueError(message)
    together = found.all_of(*cells)
    accidental = prod(singles) / found.counts.trials.number ** (len(cells) - 1)
    posterior = GammaPosterior(events=together, exposure=accidental)
    tails = ((1 - level) / 2, (1 + level) / 2) if together else (0.0, level)
    low, high = (float(posterior.quantile(tail)) for tail in tails)
    return Fold(
        cells=tuple(cells),
        together=together,
        exactly=found.exactly(*cells),
        accidental=accidental,
        g=Interval(value=posterior.mode, low=low, high=high, level=level),
    )


def heralded(found: Patterns, herald: Cell, one: Cell, two: Cell, level: float = LEVEL) -> G2:
    """Estimate g²(0|herald) of two cells, see `analysis.heralded.heralded_g2`.

    Raises
    ------
    KeyError
        If there is no such gate or detector.
    ValueError
        If no click of `one` or `two` was heralded.
    """
    return heralded_g2(
        found.all_of(herald, one, two),
        found.all_of(herald, one),
        found.all_of(herald, two),
        found.all_of(herald),
        level,
    )


def cell_of(text: str, known: Sequence[Cell]) -> Cell:
    """Read a cell written as ``pump1``.

    Raises
    ------
    ValueError
        If no such cell is known.
    """
    for gate, detector in known:
        if text.strip() == f"{gate}{detector}":
            return gate, detector
    names = ", ".join(f"{gate}{detector}" for gate, detector in known)
    message = f"a cell must be one of {names}, but is {text!r}"
    raise ValueError(message)
