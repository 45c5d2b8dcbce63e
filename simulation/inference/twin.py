"""The virtual lab that behaves as a posterior says: constants of its world by inverting the model.

Pulses scatter with exponents ln(1 + p_pump) and −ln(1 − p_read) proportional to their energy, and
heat in proportion to it; so what an operating point of some world lacks tells by which factors
lasers, arms and heating of another one must differ.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simulation.lab.operating_point import OperatingPoint
from simulation.lab.optics import STEP
from simulation.lab.world_parameters import FILTERS, WorldParameters

Real = NDArray[np.float64]

WIDTHS = (5e6, 300e6)
"""Filters of a twin lie between these, Hz."""


def adjusted(
    values: Mapping[str, float],
    point: OperatingPoint,
    in_gate: Real,
    delta_phi: float,
    world: WorldParameters,
) -> WorldParameters:
    """Return constants with which the same settings give what was inferred.

    Exact but for the filters, whose width also changes what passes: call it again at the new
    world's operating point. Lasers of equal power and one energy per pulse leave one number that
    no world has: p_read of A to that of B; the deviation is shared. Prompt heating goes by the
    read pulse's. What the data call contrast is made by the polarisations alone.

    Parameters
    ----------
    values : mapping of str to float
        By the names of `simulation.inference.table.PARAMETERS`.
    point : OperatingPoint
        At these settings in the world `world`.
    in_gate : ndarray, shape (2, 2)
        Part of the light inside the gates, element [pump or read, detector].
    delta_phi : float
        Phase of the read pulse at these settings, rad.
    world : WorldParameters

    Raises
    ------
    ValueError
        If nothing scatters at these settings.
    """
    if not np.all(point.energy > 0):
        message = "a twin needs settings with a pump and a read pulse at both devices"
        raise ValueError(message)
    gain, power = _powers(values, point)
    energy = point.energy * gain[:, None] * power
    pair = {name: np.array([values[f"{name}_{x}"] for x in "AB"])
            for name in ("n_0", "n_read", "b_pump", "lifetime")}  # fmt: skip
    rest = np.array([point.parameters.n_env_A, point.parameters.n_env_B])
    arms, detectors = _efficiencies(values, point, in_gate)
    return replace(
        world,
        laser_gain=_times(world.laser_gain, gain),
        arm_input=_times(world.arm_input, power),
        prompt_heating=_two(pair["n_read"] / energy[1]),
        bath_heating=_two(pair["b_pump"] / energy[0]),
        bath_lifetime=values["bath_lifetime"],
        lifetime=_two(pair["lifetime"]),
        excess_phonons=_two(pair["n_0"] - rest + world.excess_phonons),
        arm_output=_times(world.arm_output, arms),
        detection=_times(world.detection, detectors),
        splitting=values["splitting"],
        filter_width_hz=_widths(values, point, in_gate, gain[1] * power * arms, detectors, world),
        detector_dark_hz=_darks(values, point, world),
        polarisation_angle=_angle(values, point, world),
        path_phase=world.path_phase
        + (values["phi"] + delta_phi - float(point.theta(0.0))) / 2,
        omega_m_hz=(world.omega_m_hz[1] - values["delta_omega_hz"], world.omega_m_hz[1]),
    )  # fmt: skip


def light_in_gates(point: OperatingPoint, gates: tuple[tuple[float, float], ...]) -> Real:
    """Return the part of the light inside the gates, element [pump or read, detector].

    Parameters
    ----------
    point : OperatingPoint
    gates : tuple of (float, float)
        Start and stop of the pump and of the read gate, s after the trigger.
    """
    parts = []
    for number, arrival in enumerate(point.arrivals):
        ends = arrival.start + STEP * np.arange(1, len(arrival.cumulative) + 1)
        low, high = np.interp(gates[number // 2], ends, arrival.cumulative, left=0.0)
        parts.append(high - low)
    return np.array(parts).reshape(2, 2)


def memory(
    values: Mapping[str, float], gates: tuple[tuple[float, float], ...], world: WorldParameters
) -> WorldParameters:
    """Return constants with which detectors remember a pump click as was inferred.

    A click in the middle of the pump gate makes a false one in the read gate with probability
    ``afterpulse`` (same detector; the delays' exponential law is the world's) or ``crosstalk``
    (other detector; the lag is put into the middle of the read gate), and hides one there with
    probability ``blindness``, by an efficiency that comes back exponentially.

    Parameters
    ----------
    values : mapping of str to float
        By the names of `simulation.inference.table.PARAMETERS`.
    gates : tuple of (float, float)
        Start and stop of the pump and of the read gate, s.
    world : WorldParameters

    Raises
    ------
    ValueError
        If the read gate lies within the dead time, or has no room for so many afterpulses.
    """
    pump, read = gates
    click, middle = sum(pump) / 2, sum(read) / 2
    since = [time - click - world.detector_dead_time for time in read]
    blind, after, cross = (values.get(n, 0.0) for n in ("blindness", "afterpulse", "crosstalk"))
    if not (blind or after or cross):
        return world
    if since[1] <= 0 or (blind and middle - click <= world.detector_dead_time):
        message = (
            "the read gate must lie beyond the detectors' dead time of "
            f"{world.detector_dead_time:g} s, but its middle is {middle - click:g} s after a pump "
            "click; a twin with detectors' memory needs a longer delay"
        )
        raise ValueError(message)
    reached = [float(np.exp(-max(time, 0.0) / world.afterpulse_time)) for time in since]
    probability = after / (reached[0] - reached[1])
    if probability > 1:
        message = (
            f"`afterpulse` must be at most {reached[0] - reached[1]:.3g} in this read gate, but is "
            f"{after:.3g}; its world would need more than one false click for each"
        )
        raise ValueError(message)
    lag = middle - click - world.detector_dead_time
    recovery = lag / float(np.log(1 / blind)) if blind else 0.0
    return replace(
        world,
        afterpulse=(probability, probability), recovery_time=(recovery, recovery),
        crosstalk=(cross, cross), crosstalk_lag=middle - click,
    )  # fmt: skip


def deviations(
    values: Mapping[str, float], point: OperatingPoint, in_gate: Real
) -> dict[str, tuple[float, float]]:
    """Return what no world of these settings has: by name what was wanted and what there is.

    Phonons are named if they are off by 0.001, all else by 2 %.
    """
    now = point.parameters
    has = {f"{name}_{x}": float(getattr(now, f"{name}_{x}")) for name in ("p_pump", "p_read")
           for x in "AB"}  # fmt: skip
    has |= {f"n_prompt_{x}": float(getattr(now, f"n_0_{x}") - getattr(now, f"n_env_{x}"))
            for x in "AB"}  # fmt: skip
    for gate, name in enumerate(("leak_pump", "leak_read")):
        for place, j in enumerate("12"):
            has[f"{name}_{j}"] = float(getattr(now, f"{name}_{j}")) * float(in_gate[gate, place])
    return {
        name: (values[name], value)
        for name, value in has.items()
        if abs(value - values[name])
        > (0.001 if name.startswith("n_") else 0.02 * abs(values[name]))
    }


def _powers(values: Mapping[str, float], point: OperatingPoint) -> tuple[Real, Real]:
    """Return by which factors the lasers' power and the arms' transmission differ."""
    now = point.parameters
    wanted = np.array(
        [
            [np.log1p(values[f"p_pump_{x}"]) / np.log1p(getattr(now, f"p_pump_{x}")) for x in "AB"],
            [
                np.log1p(-values[f"p_read_{x}"]) / np.log1p(-getattr(now, f"p_read_{x}"))
                for x in "AB"
            ],
        ]
    )
    gain = np.sqrt(wanted.prod(axis=1))
    return gain, np.sqrt(np.prod(wanted / gain[:, None], axis=0))


def _efficiencies(
    values: Mapping[str, float], point: OperatingPoint, in_gate: Real
) -> tuple[Real, Real]:
    """Return the factors of arms and detectors that give the products η_X η_j."""
    now = point.parameters
    passed = (point.passage * in_gate[:, None, :]).mean(axis=0)
    ratio = np.array(
        [
            [
                values[f"eta_{x}"] * values[f"eta_{j}"]
                / (getattr(now, f"eta_{x}") * getattr(now, f"eta_{j}") * passed[a, b])
                for b, j in enumerate("12")
            ]
            for a, x in enumerate("AB")
        ]
    )  # fmt: skip
    arms = np.sqrt(ratio.prod(axis=1))
    detectors = np.sqrt(ratio.prod(axis=0))
    return arms, detectors / np.sqrt(detectors.prod())


def _widths(
    values: Mapping[str, float], point: OperatingPoint, in_gate: Real, light: Real,
    detectors: Real, world: WorldParameters,
) -> tuple[float, float, float, float, float, float]:  # fmt: skip
    """Return filters' widths: two in a row leak with the fourth power.

    `light` is the factor by which each arm's read light at the combiner differs.
    """
    widths = dict(zip(FILTERS, world.filter_width_hz, strict=True))
    for place, j in enumerate("12"):
        now = float(getattr(point.parameters, f"leak_read_{j}")) * in_gate[1, place]
        leak = now * float(np.mean(light)) * detectors[place]
        factor = (values[f"leak_read_{j}"] / leak) ** 0.25
        for name in (f"{j}a", f"{j}b"):
            widths[name] = float(np.clip(widths[name] * factor, *WIDTHS))
    first, second, third, fourth, fifth, sixth = (widths[name] for name in FILTERS)
    return first, second, third, fourth, fifth, sixth


def _darks(
    values: Mapping[str, float], point: OperatingPoint, world: WorldParameters
) -> tuple[float, float]:
    wanted = np.array([values["dark_rate_1"], values["dark_rate_2"]])
    return _two(np.maximum(np.array(world.detector_dark_hz) + wanted - point.steady_rate, 0.0))


def _angle(values: Mapping[str, float], point: OperatingPoint, world: WorldParameters) -> float:
    parallel = point.contrast / np.cos(world.polarisation_angle) ** 2
    return float(np.arccos(np.sqrt(np.clip(values["contrast"] / parallel, 0.0, 1.0))))


def _times(pair: tuple[float, float], factors: Real) -> tuple[float, float]:
    return pair[0] * float(factors[0]), pair[1] * float(factors[1])


def _two(values: Real) -> tuple[float, float]:
    first, second = (float(value) for value in values)
    return first, second
