"""The witness as a function of g²: the one place of this formula."""

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
