"""Nominally identical devices on several chips that share an optical resonance, and the chances.

Source: Riedinger et al., Nature 556, 473 (2018), supplement "Device fabrication".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory import constants


def single_device_probability(*, spread: float, tolerance_hz: float, wavelength: float) -> float:
    """Return the probability that one device lies within ± tolerance of the centre wavelength.

    Parameters
    ----------
    spread : float
        Standard deviation of the resonance wavelengths of a chip (m).
    tolerance_hz : float
        Largest difference of optical frequency that still counts as identical (Hz).
    wavelength : float
        Centre wavelength (m).

    Raises
    ------
    ValueError
        If an argument is not positive.
    """
    return _within(0.0, spread, _tolerance(spread, tolerance_hz, wavelength))


def matching_probability(
    devices: int,
    *,
    chips: int = 2,
    spread: float,
    tolerance_hz: float,
    wavelength: float,
    offset: float = 0.0,
) -> float:
    """Return the probability of at least one set of matching devices, one on each chip.

    With p the probability that two given devices match and n devices on each of m chips,

        P = 1 - (1 - p^(m-1))^(n^m),

    which for two chips is 1 - (1 - p)^(n²) and for four 1 - exp(-n⁴p³). The n^m sets are treated as
    independent, and m devices as a chain of m - 1 matching pairs, as in the paper.

    Parameters
    ----------
    devices : int
        Devices per chip, n.
    chips : int
        Number of chips, m >= 2.
    spread, tolerance_hz, wavelength : float
        As for `single_device_probability`.
    offset : float
        Difference of the mean wavelengths of two chips (m); only for two.

    Raises
    ------
    ValueError
        If an argument is out of range, or an offset is given for more than two chips.
    """
    if devices < 1 or chips < 2:
        message = f"`devices` must be at least 1 and `chips` at least 2, but are {devices}, {chips}"
        raise ValueError(message)
    if offset != 0.0 and chips != 2:
        message = f"`offset` must be 0 for more than two chips, but is {offset} for {chips}"
        raise ValueError(message)
    tolerance = _tolerance(spread, tolerance_hz, wavelength)
    pair = _within(offset, math.sqrt(2.0) * spread, tolerance)
    return -math.expm1(devices**chips * math.log1p(-(pair ** (chips - 1))))


def _within(mean: float, sigma: float, tolerance: float) -> float:
    """Probability that a Gaussian variable lies within ± tolerance of zero."""
    scale = math.sqrt(2.0) * sigma
    return (math.erf((mean + tolerance) / scale) - math.erf((mean - tolerance) / scale)) / 2.0


def _tolerance(spread: float, tolerance_hz: float, wavelength: float) -> float:
    values = {"spread": spread, "tolerance_hz": tolerance_hz, "wavelength": wavelength}
    for name, value in values.items():
        if not value > 0.0:
            message = f"`{name}` must be above 0, but is {value}"
            raise ValueError(message)
    return wavelength**2 * tolerance_hz / constants.c


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchingSet:
    """Devices, one of each chip, whose optical resonances lie together.

    Attributes
    ----------
    devices : tuple of int
        Place of each in its chip's survey.
    spread_hz : float
        From the lowest to the highest of their frequencies.
    """

    devices: tuple[int, ...]
    spread_hz: float


def matching_sets(
    chips: Sequence[ArrayLike], tolerance_hz: float, *, most: int | None = None
) -> list[MatchingSet]:
    """Return sets of devices that match, the closest first: for each lowest device the best one.

    A set matches if all its frequencies lie within the tolerance of each other (the paper's formula
    for several chips asks it of a chain of pairs only, which is more lenient).

    Parameters
    ----------
    chips : sequence of array_like
        Optical frequencies of each chip's devices (Hz), in any order.
    tolerance_hz : float
    most : int, optional
        Return no more than so many.

    Raises
    ------
    ValueError
        If there are fewer than two chips, or one has no devices.
    """
    surveys = _surveys(chips)
    _tolerance_of(tolerance_hz)
    order = [np.argsort(survey, kind="stable") for survey in surveys]
    found = []
    for chip, survey in enumerate(surveys):
        for device in order[chip]:
            lowest = survey[device]
            chosen = _next_above(surveys, order, chip, int(device))
            if chosen is None:
                continue
            spread = max(float(s[d] - lowest) for s, d in zip(surveys, chosen, strict=True))
            if spread <= tolerance_hz:
                found.append(MatchingSet(devices=chosen, spread_hz=spread))
    found.sort(key=lambda one: (one.spread_hz, one.devices))
    return found[:most]


def number_of_sets(chips: Sequence[ArrayLike], tolerance_hz: float) -> int:
    """Return how many sets, one device of each chip, lie within the tolerance of each other.

    Parameters
    ----------
    chips, tolerance_hz
        As for `matching_sets`.
    """
    surveys = [np.sort(survey) for survey in _surveys(chips)]
    _tolerance_of(tolerance_hz)
    total = 0
    for chip, survey in enumerate(surveys):
        ways = np.ones(len(survey), np.int64)
        for other, theirs in enumerate(surveys):
            if other != chip:
                # of equal frequencies the device of the first chip counts as the lowest
                side: Literal["left", "right"] = "left" if other > chip else "right"
                first = np.searchsorted(theirs, survey, side)
                last = np.searchsorted(theirs, survey + tolerance_hz, "right")
                ways *= last - first
        total += int(ways.sum())
    return total


def simulated_probability(
    devices: Sequence[int],
    *,
    spreads: Sequence[float],
    means: Sequence[float],
    tolerance_hz: float,
    draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the probability of at least one matching set on such chips, and its standard error.

    By drawing chips whose resonances are normal: exact but for the number of draws, without the
    independence of sets that `matching_probability` takes for granted.

    Parameters
    ----------
    devices : sequence of int
        Devices on each chip.
    spreads, means : sequence of float
        Standard deviation and mean of each chip's resonances (Hz).
    tolerance_hz : float
    draws, seed : int
    """
    rng = np.random.default_rng(seed)
    chips = list(zip(devices, means, spreads, strict=True))
    hits = 0
    for _ in range(draws):
        drawn = [rng.normal(mean, spread, number) for number, mean, spread in chips]
        hits += number_of_sets(drawn, tolerance_hz) > 0
    share = (hits + 1) / (draws + 2)
    return hits / draws, math.sqrt(share * (1 - share) / draws)


def _next_above(
    surveys: list[NDArray[np.float64]], order: list[NDArray[np.intp]], chip: int, device: int
) -> tuple[int, ...] | None:
    """Return the device and those next above it on the other chips; None where one has none."""
    lowest, chosen = surveys[chip][device], []
    for other, (survey, rank) in enumerate(zip(surveys, order, strict=True)):
        if other == chip:
            chosen.append(device)
            continue
        side: Literal["left", "right"] = "left" if other > chip else "right"
        place = int(np.searchsorted(survey, lowest, side, sorter=rank))
        if place == len(survey):
            return None
        chosen.append(int(rank[place]))
    return tuple(chosen)


def _surveys(chips: Sequence[ArrayLike]) -> list[NDArray[np.float64]]:
    surveys = [np.asarray(chip, np.float64) for chip in chips]
    if len(surveys) < 2 or any(s.ndim != 1 or not len(s) for s in surveys):
        shapes = [s.shape for s in surveys]
        message = f"`chips` must be two or more lists of frequencies, but have shapes {shapes}"
        raise ValueError(message)
    if not all(np.all(np.isfinite(s)) for s in surveys):
        message = "`chips` must hold finite frequencies, but one is not"
        raise ValueError(message)
    return surveys


def _tolerance_of(tolerance_hz: float) -> None:
    if not tolerance_hz > 0.0:
        message = f"`tolerance_hz` must be above 0, but is {tolerance_hz}"
        raise ValueError(message)
