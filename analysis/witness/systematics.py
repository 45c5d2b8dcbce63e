"""The witness as a function of g² (the one place of this formula), and its systematic error."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def witness_ratio(g_1: ArrayLike, g_2: ArrayLike) -> NDArray[np.float64]:
    """Return R_m = 4 (g_1 + g_2 − 1) / (g_1 − g_2)².

    Source: Riedinger et al., Nature 556, 473 (2018), Eq. (3), with g_i = g²(r_i, p_j) for one
    heralding detector j. All separable states have R_m ≥ 1.

    Parameters
    ----------
    g_1, g_2 : array_like
        Second-order coherences of read detectors 1 and 2, of shapes that broadcast.

    Returns
    -------
    ndarray
        R_m; infinite at g_1 = g_2, where there is no contrast and nothing is witnessed.
    """
    g_1, g_2 = np.asarray(g_1, np.float64), np.asarray(g_2, np.float64)
    contrast = g_1 - g_2
    flat = contrast == 0.0
    return np.where(flat, np.inf, 4.0 * (g_1 + g_2 - 1.0) / np.where(flat, 1.0, contrast) ** 2)


def imbalance_correction(delta: float, x_A: float, x_B: float) -> float:
    """Return R_m / R for balanced heralds and read fluxes N(1 ± δ/2) of devices A and B.

    To first order in δ (small occupations),

        R_m/R = [1 + (δ/4)(x_A - x_B)/(1 + (x_A + x_B)/2)] / (1 - δ²/4),    x_i = g_i - 1.

    Parameters
    ----------
    delta : float
        Relative difference of the read fluxes, |δ| < 2; positive if A is brighter.
    x_A, x_B : float
        Excess g² - 1 of the pump-read correlation of each device alone.

    Raises
    ------
    ValueError
        If δ or a correlation is outside its range.

    Notes
    -----
    The supplement of Riedinger et al., Nature 556, 473 (2018) writes R_m (1 + δ²/2) >= R. That is
    not general: when the device with the weaker correlation is the brighter one (its heating adds
    flux), R_m falls below R linearly in δ.
    """
    if not abs(delta) < 2.0:
        message = f"`delta` must lie between -2 and 2 (one arm is dark there), but is {delta}"
        raise ValueError(message)
    for name, excess in (("x_A", x_A), ("x_B", x_B)):
        if not (math.isfinite(excess) and excess >= -1.0):
            message = f"`{name}` = g² - 1 must be at least -1 and finite, but is {excess}"
            raise ValueError(message)
    return (1.0 + delta * _slope(x_A, x_B)) / (1.0 - delta**2 / 4.0)


def systematic_bound(delta: float, x_A: float, x_B: float) -> float:
    """Return the bound that R_m of separable states obeys for any read imbalance up to ±δ.

    Separable states have R >= 1, so R_m >= the smallest R_m/R of the range (never above 1).

    Parameters
    ----------
    delta : float
        Largest imbalance |δ|, below 2.
    x_A, x_B : float
        Excess g² - 1 of each device.

    Raises
    ------
    ValueError
        As for `imbalance_correction`.
    """
    imbalance_correction(delta, x_A, x_B)  # checks the ranges
    return smallest_ratio(delta, _slope(x_A, x_B))


def smallest_ratio(delta: float, slope: float) -> float:
    """Return the smallest (1 + slope d)/(1 - d²/4) over |d| <= |delta|, at most 1."""
    worst = [(1.0 + d * slope) / (1.0 - d**2 / 4.0) for d in (delta, -delta)]
    if slope != 0.0 and abs(slope) < 0.5:
        turning = (math.sqrt(1.0 - 4.0 * slope**2) - 1.0) / slope
        if abs(turning) < abs(delta):
            worst.append((1.0 + turning * slope) / (1.0 - turning**2 / 4.0))
    return min(1.0, *worst)


def _slope(x_A: float, x_B: float) -> float:
    return (x_A - x_B) / 4.0 / (1.0 + (x_A + x_B) / 2.0)
