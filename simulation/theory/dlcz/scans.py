"""What the experiment of seed 003 scans: phase, delay with delayed heating, one device alone."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.dlcz import budget
from simulation.theory.dlcz.clicks import g2_clicks
from simulation.theory.dlcz.parameters import DLCZParameters
from simulation.theory.dlcz.witness import G2, g2_moments

Real = NDArray[np.float64]

BATH_LIFETIME = 0.5e-6
"""1/γ of the hot phonon bath that absorbed light leaves in either device (s), Fig. S3."""


def single_device_g2(
    parameters: DLCZParameters, device: str, *, detector: int = 2, g2: G2 = g2_moments
) -> Real:
    """Return the pump-read correlation of one device, the path to the other one blocked.

    Exact in the Gaussian model; `leading_order_g2` is its leading order in small occupations. The
    drive light that leaks is taken to come through both arms alike (our assumption, the paper gives
    no split), so the blocked one takes its share along.

    Parameters
    ----------
    parameters : DLCZParameters
        Batch shape (...).
    device : {"A", "B"}
    detector : {1, 2}
        Heralds and reads; the paper used 2.
    g2 : callable
        `g2_moments` of the fields, or `g2_clicks` of threshold detectors, dark clicks included.

    Returns
    -------
    ndarray, shape (...)

    Raises
    ------
    ValueError
        If there is no such device or detector, or nothing arrives.
    """
    x, j = _places(device, detector)
    share = _share(parameters, x, j)
    blocked = {f"eta_{'BA'[x]}": 0.0}
    for leak in ("leak_pump", "leak_read", "coherent_read"):
        name = f"{leak}_{detector}"
        blocked[name] = getattr(parameters, name) * share
    return np.asarray(g2(replace(parameters, **blocked))[..., j, j])


def leading_order_g2(parameters: DLCZParameters, device: str, *, detector: int = 2) -> Real:
    """Return `single_device_g2` to leading order, by Eq. (S2) of seed 003.

    n_th counts the phonons at the read but for those of the pump's pairs, n_leak the read leak
    through this arm and n_bg the dark clicks, both per detected phonon of this device.
    """
    x, j = _places(device, detector)
    lifetime = parameters.per_device("lifetime")[..., x]
    survival = np.exp(-np.asarray(parameters.delay) / lifetime)
    n_th = (
        (parameters.per_device("n_0") + parameters.per_device("n_prompt"))[..., x] * survival
        + parameters.per_device("n_env")[..., x] * (1 - survival)
        + parameters.per_device("n_heat")[..., x]
    )
    path = parameters.per_device("eta")[..., x] * parameters.per_detector("eta")[..., j]
    per_phonon = parameters.per_device("p_read")[..., x] * path
    leaks = parameters.per_detector("leak_read") + parameters.per_detector("coherent_read")
    return budget.g2_single_device(
        parameters.delay,
        lifetime=lifetime,
        n_th=n_th,
        p_pump=parameters.per_device("p_pump")[..., x],
        n_leak=leaks[..., j] / per_phonon,
        n_bg=parameters.per_detector("dark")[..., j] / (per_phonon * _share(parameters, x, j)),
    )


def phase_scan(parameters: DLCZParameters, delta_phi: ArrayLike, g2: G2 = g2_clicks) -> Real:
    """Return g² over the phase Δφ (rad, shape (k,)), element [..., k, i, j], as in Fig. 3."""
    return g2(replace(parameters, delta_phi=np.asarray(delta_phi, np.float64)))


def at_delay(
    parameters: DLCZParameters,
    delay: ArrayLike,
    *,
    n_pump_heat: tuple[float, float] = (0.03, 0.03),
    bath_lifetime: float = BATH_LIFETIME,
) -> DLCZParameters:
    """Return the parameters at other delays, the pump's absorption heating evolved.

    Of the given `n_heat_X` the share `n_pump_heat` comes from the pump: it rises and decays as
    b (e^{−Γt} − e^{−γt}) (supplement, "Second Order Coherence"; `budget.heating_curve`)
    and is what is given at the present delay. The rest is the read pulse's own and stays.

    Parameters
    ----------
    parameters : DLCZParameters
        One point.
    delay : array_like
        New delays τ (s), shape (...).
    n_pump_heat : tuple of two float
        Phonons by the pump in A, B at the present delay; the paper estimates 0.03.
    bath_lifetime : float
        1/γ (s).

    Raises
    ------
    ValueError
        If more heating is said to come from the pump than there is, or none can yet at delay 0.
    """
    if parameters.shape or not np.asarray(parameters.delay) > 0:
        message = "`parameters` must be one point with a delay above 0, to scale its heating from"
        raise ValueError(message)
    heat = {}
    for x, by_pump in zip("AB", n_pump_heat, strict=True):
        total = float(getattr(parameters, f"n_heat_{x}"))
        if not 0 <= by_pump <= total:
            message = (
                f"`n_pump_heat` of {x} must lie in [0, n_heat_{x} = {total}], but is {by_pump}"
            )
            raise ValueError(message)
        lifetime = float(getattr(parameters, f"lifetime_{x}"))
        rise = pump_heating(delay, lifetime=lifetime, bath_lifetime=bath_lifetime)
        now = pump_heating(parameters.delay, lifetime=lifetime, bath_lifetime=bath_lifetime)
        heat[f"n_heat_{x}"] = total - by_pump + by_pump * rise / now
    return replace(parameters, delay=np.asarray(delay, np.float64), **heat)


def pump_heating(
    delay: ArrayLike, *, lifetime: float, bath_lifetime: float = BATH_LIFETIME, rate: float = 1.0
) -> Real:
    """Return phonons a pump's absorption has added after a delay, cold before: heating `rate` k."""
    return budget.heating_curve(
        delay,
        n_init=0.0,
        n_start=0.0,
        heating_rate=rate,
        lifetime=lifetime,
        bath_lifetime=bath_lifetime,
    )


def _places(device: str, detector: int) -> tuple[int, int]:
    if device not in ("A", "B") or detector not in (1, 2):
        message = (
            f'`device` must be "A" or "B" and `detector` 1 or 2, but are {device!r}, {detector!r}'
        )
        raise ValueError(message)
    return "AB".index(device), detector - 1


def _share(parameters: DLCZParameters, x: int, j: int) -> Real:
    """Share of one arm's light that the combiner sends to a detector."""
    t = np.asarray(parameters.splitting)
    return np.asarray(t if x == j else 1 - t)
