"""Chances that nominally identical devices on several chips share an optical resonance.

Source: Riedinger et al., Nature 556, 473 (2018), supplement "Device fabrication".
"""

import math

from scipy import constants


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
    return wavelength**2 * tolerance_hz / float(constants.c)
