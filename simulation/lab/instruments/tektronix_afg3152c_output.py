"""From the settings of a simulated AFG3152C channel to what leaves its connector."""

from dataclasses import dataclass
from math import inf, pi

import numpy as np
from numpy.typing import NDArray

from simulation.lab.ports.drives import DrivePulse, DriveSamples, PulseDrive, Trigger

FULL_CODE = 16382
HALF_EDGE = 0.625
"""Start of an edge to its middle, over its 10 % to 90 % time: 0.5 / 0.8."""
_SAMPLED_POINTS = 1000
_LONGEST_BURST = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelState:
    """Settings that shape a channel's output; levels in V into 50 Ω, times in s.

    Attributes
    ----------
    codes : ndarray of uint16 or None
        Waveform in memory, if `shape` is one.
    """

    shape: str
    codes: NDArray[np.uint16] | None
    low: float
    high: float
    inverted: bool
    frequency: float
    phase: float
    width: float
    lead: float
    trail: float
    period: float
    delay: float
    cycles: float
    trigger: Trigger


def drive_of(state: ChannelState) -> PulseDrive:
    """Return what a channel with its output on puts out."""
    single = state.trigger == "external" and state.cycles == 1
    low, high = (state.high, state.low) if state.inverted else (state.low, state.high)
    if state.shape == "PULS" and single:
        pulse = DrivePulse(
            delay=state.delay + HALF_EDGE * state.lead,
            width=state.width,
            lead=state.lead,
            trail=state.trail,
            low=low,
            high=high,
        )
        return PulseDrive(shape=pulse, trigger=state.trigger)
    unit, rate = _one_cycle(state)
    samples = np.tile(low + (high - low) * unit, _repeats(state, len(unit)))
    shape = DriveSamples(samples=samples, sample_rate=rate, delay=state.delay)
    return PulseDrive(shape=shape, trigger=state.trigger)


def _repeats(state: ChannelState, points: int) -> int:
    """Return how many cycles a trigger plays; longer bursts than a million points are cut."""
    if state.trigger != "external":
        return 1
    most = max(1, _LONGEST_BURST // points)
    return most if state.cycles == inf else min(int(state.cycles), most)


def _one_cycle(state: ChannelState) -> tuple[NDArray[np.float64], float]:
    """Return one cycle between 0 and 1, and its sample rate."""
    if state.codes is not None:
        return state.codes / FULL_CODE, state.frequency * len(state.codes)
    at = np.arange(_SAMPLED_POINTS) / _SAMPLED_POINTS
    turn = (at + state.phase / (2 * pi)) % 1.0
    match state.shape:
        case "PULS":
            return _trapezoid(state, at * state.period), _SAMPLED_POINTS / state.period
        case "SQU":
            unit = (turn < 0.5).astype(float)
        case "RAMP":
            unit = turn
        case "DC":
            unit = np.full(_SAMPLED_POINTS, 0.5)
        case "SIN":
            unit = (1 + np.sin(2 * pi * turn)) / 2
        case _:
            unit = _analytic(state.shape, turn)
    return unit, _SAMPLED_POINTS * state.frequency


def _analytic(shape: str, turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one cycle of a further shape, from 0 to 1; its proportions are not published."""
    middle = turn - 0.5
    match shape:
        case "SINC":
            curve = np.sinc(16 * middle)
        case "GAUS":
            curve = np.exp(-32 * middle**2)
        case "LOR":
            curve = 1 / (1 + (16 * middle) ** 2)
        case "ERIS":
            curve = 1 - np.exp(-5 * turn)
        case "EDEC":
            curve = np.exp(-5 * turn)
        case "HAV":
            curve = -np.cos(2 * pi * turn)
        case "PRN":
            curve = np.random.default_rng(0).normal(size=len(turn))
        case _:
            message = f"`shape` must be one of the generator's, but is {shape!r}"
            raise ValueError(message)
    unit: NDArray[np.float64] = (curve - curve.min()) / (curve.max() - curve.min())
    return unit


def _trapezoid(state: ChannelState, times: NDArray[np.float64]) -> NDArray[np.float64]:
    rise, fall = state.lead / 0.8, state.trail / 0.8
    top = state.width - (rise + fall) / 2
    corners = np.cumsum([0.0, max(rise, 1e-12), top, max(fall, 1e-12)])
    return np.interp(times, corners, [0.0, 1.0, 1.0, 0.0], right=0.0)
