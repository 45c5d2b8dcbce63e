"""The fibre interferometer: a drifting, noisy phase, and the servo that holds it."""

from dataclasses import dataclass
from math import asin, ceil, cos, exp, floor, pi, sin, sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simulation.lab.ports.phase_lock import LockReading, LockSettings
from simulation.lab.servo import LoopBehaviour, LoopGains, loop_behaviour
from simulation.lab.world_parameters import WorldParameters

Real = NDArray[np.float64]
Limit = Literal[-1, 0, 1]

_GONE = 1e-9
"""Phase error that is none, rad, and part of one that nobody sees any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockFringe:
    """The lock pulse's error signal, amplitude·sin(φ − offset).

    Attributes
    ----------
    amplitude : float
        V; 0 without a lock pulse.
    offset : float
        Phase of the modulator during the lock pulse, rad.
    """

    amplitude: float = 0.0
    offset: float = 0.0


class Interferometer:
    """Phase φ of arm B relative to arm A, in virtual time.

    φ = drift + stretcher·(servo output + stretcher voltage). Acoustic noise comes on top and is
    carried as a standard deviation. The servo samples the error signal once per trial; the loop is
    solved around its lock point (`simulation.lab.servo`) and followed in between: it falls to the
    next stable zero, tracks the drift, and stops at its limits.

    Parameters
    ----------
    parameters : WorldParameters
    rng : numpy.random.Generator
    """

    def __init__(self, parameters: WorldParameters, rng: np.random.Generator) -> None:
        self._parameters, self._rng = parameters, rng
        self._drift = float(rng.uniform(-pi, pi))
        self._settings = LockSettings()
        self.fringe = LockFringe()
        self._behaviour: LoopBehaviour | None = None
        self._memory = _memory(parameters)
        self._stuck = False
        self.output = 0.0
        self.limit: Limit = 0
        self.stretcher_volts = 0.0
        self.sigma = parameters.acoustic_noise
        self.phase = self._free_phase(0.0)

    def adopt(self, parameters: WorldParameters) -> None:
        """Live in a world with other constants from now on."""
        self._parameters, self._behaviour = parameters, None
        self._memory = _memory(parameters)

    def configure(self, settings: LockSettings) -> None:
        """Take over servo settings; engaging anew ends a lost lock."""
        if not (settings.engaged and self._settings.engaged):
            self._stuck = False
        self._settings, self._behaviour = settings, None
        if not settings.engaged:
            self._drive(settings.manual_output)

    def look_at(self, fringe: LockFringe) -> None:
        """Take over the fringe that the lock pulse shows from now on."""
        if abs(fringe.amplitude - self.fringe.amplitude) > 0.01 * self.fringe.amplitude:
            self._behaviour = None
        self.fringe = fringe

    def lose_lock(self) -> None:
        """Throw an engaged servo to its upper limit, where it stays until it is engaged anew."""
        self._stuck = self._settings.engaged

    def stretch(self, volts: float) -> None:
        """Apply a voltage to the stretcher's second input."""
        self.stretcher_volts = volts
        self._drive(self.output)

    def step(self, seconds: float) -> None:
        """Let time pass: drift, then the servo's answer; sets `phase`, `sigma`, `output`."""
        spread, drift = self._walk(seconds)
        self._go(spread * self._rng.standard_normal() + drift, seconds)

    def _walk(self, seconds: float) -> tuple[float, float]:
        """Return standard deviation and mean of how the free phase moves in so many seconds."""
        world = self._parameters
        return world.phase_drift * sqrt(seconds), world.phase_drift_rate * seconds

    def _go(self, walk: float, seconds: float) -> None:
        """Let the free phase move, and the servo answer."""
        self._drift += walk
        self.sigma = self._parameters.acoustic_noise
        if not self._settings.engaged:
            self._drive(self._settings.manual_output)
        elif self._stuck:
            self._drive(self._settings.high)
        else:
            self._regulate(seconds)

    def steps(self, number: int, seconds: float) -> tuple[Real, Real]:
        """Let so many seconds pass `number` times; return `phase` and `sigma` after each.

        An open loop, and a closed one at rest whose output can follow, are worked out for all
        steps at once: at the end of each the output is what it was, or the error is gone. A closed
        loop comes to rest within the first steps.
        """
        if number == 0:
            return np.empty(0), np.empty(0)
        found: list[tuple[float, float]] = []
        while len(found) < number and not self._is_steady(seconds):
            self.step(seconds)
            found.append((self.phase, self.sigma))
        left = number - len(found)
        if not left:
            return _columns(found)
        spread, mean = self._walk(seconds)
        walks = spread * self._rng.standard_normal(left) + mean
        drift = np.cumsum(np.concatenate([[self._drift], walks]))[1:]
        if not self._settings.engaged:
            self._drift, self.sigma = float(drift[-1]), self._parameters.acoustic_noise
            self._drive(self._settings.manual_output)
            phase = drift + self._parameters.stretcher * (self.output + self.stretcher_volts)
        elif self._follows(walks, drift):
            phase, self._drift = np.full(left, self.phase), float(drift[-1])
            self._drive(float(self._output_for(self.phase, self._drift)))
        else:
            for walk in walks.tolist():
                self._go(walk, seconds)
                found.append((self.phase, self.sigma))
            return _columns(found)
        before, sigma = _columns(found)
        return np.append(before, phase), np.append(sigma, np.full(left, self.sigma))

    def read(self) -> LockReading:
        """Return error signal (noise included), output and limit now."""
        noise = float(self._rng.standard_normal()) * self._parameters.lock_noise
        jitter = min(self.sigma, pi) * float(self._rng.standard_normal())
        return LockReading(
            measured=self._error_signal(self.phase + jitter) + noise,
            output=self.output,
            limit=self.limit,
        )

    def _is_steady(self, seconds: float) -> bool:
        """Tell whether many steps are worked out at once."""
        return not self._settings.engaged or self._is_at_rest(seconds)

    def _is_at_rest(self, seconds: float) -> bool:
        """Tell whether the loop is closed and its error gone, as it is after so many seconds."""
        settings = self._settings
        angle = self._lock_angle()
        if not settings.engaged or self._stuck or angle is None or self.limit:
            return False
        self._behaviour = behaviour = self._behaviour or self._solve()
        left = max(behaviour.decay, 0.0) ** (seconds / self._parameters.period)
        if not (behaviour.stable and settings.integral_rate and left < _GONE):
            return False
        nearest = min((self._next_zero(angle, upwards=up) for up in (True, False)), key=self._far)
        self.sigma = min(behaviour.noise, 10.0)
        return self._far(nearest) < _GONE

    def _far(self, phase: float) -> float:
        return abs(phase - self.phase)

    def _follows(self, walks: Real, drift: Real) -> bool:
        """Tell whether no walk goes beyond the fringe, and no output to a limit."""
        angle = self._lock_angle() or 0.0
        output = self._output_for(self.phase, drift)
        low, high = self._settings.low, self._settings.high
        near = np.abs(walks).max() < pi / 2 - abs(angle)
        return bool(near and output.min() > low and output.max() < high)

    def _output_for(self, phase: float, drift: Real | float) -> Real:
        """Return the output that brings the phase there."""
        volts = (phase - np.asarray(drift)) / self._parameters.stretcher - self.stretcher_volts
        return np.asarray(volts)

    def _regulate(self, seconds: float) -> None:
        behaviour = self._behaviour or self._solve()
        self._behaviour = behaviour
        if not behaviour.stable:
            self._oscillate()
        elif self._settings.integral_rate == 0:
            self._settle_proportional()
        else:
            self._integrate(behaviour, seconds)
        if self.limit == 0:
            self.sigma = min(behaviour.noise, 10.0)

    def _solve(self) -> LoopBehaviour:
        """Linearise around the lock point."""
        settings, world = self._settings, self._parameters
        slope = self.fringe.amplitude * cos(self._lock_angle() or 0.0)
        gain = abs(settings.gain * world.stretcher * slope)
        return loop_behaviour(
            LoopGains(
                proportional=gain * settings.proportional,
                integral=gain * settings.integral_rate * world.period,
                derivative=gain * settings.derivative_time / world.period,
            ),
            acoustic=world.acoustic_noise,
            memory=self._memory,
            sensor=world.lock_noise / slope if slope > 0 else 0.0,
        )

    def _lock_angle(self) -> float | None:
        """Angle whose sine is set-point over amplitude; None if the fringe never gets there."""
        amplitude = self.fringe.amplitude
        ratio = self._settings.setpoint / amplitude if amplitude > 0 else 2.0
        return asin(ratio) if abs(ratio) < 1 else None

    def _integrate(self, behaviour: LoopBehaviour, seconds: float) -> None:
        """Fall towards the next stable zero of the error, as far as the limits allow."""
        settings = self._settings
        self._drive(self.output)
        error = settings.setpoint - self._error_signal(self.phase)
        angle = self._lock_angle()
        if angle is None:
            rate = settings.gain * settings.integral_rate * error
            self._drive(self.output + rate * seconds)
            return
        upwards = settings.gain * self._parameters.stretcher * error >= 0
        target = self._next_zero(angle, upwards=upwards)
        samples = seconds / self._parameters.period
        left = behaviour.decay**samples if behaviour.decay > 0 else 0.0
        wanted = target + (self.phase - target) * left
        self._drive((wanted - self._free_phase(0.0)) / self._parameters.stretcher)

    def _next_zero(self, angle: float, *, upwards: bool) -> float:
        """Return the first stable phase on the way from here; stable where the loop pulls back."""
        rising = self._settings.gain * self._parameters.stretcher > 0
        zero = self.fringe.offset + (angle if rising else pi - angle)
        turns = (self.phase - zero) / (2 * pi)
        return zero + 2 * pi * (ceil(turns - 1e-9) if upwards else floor(turns + 1e-9))

    def _settle_proportional(self) -> None:
        """Without integrator: the output that answers the error it leaves."""
        settings = self._settings
        for _ in range(40):
            error = settings.setpoint - self._error_signal(self.phase)
            wanted = settings.gain * error * settings.proportional + settings.offset
            self._drive(0.5 * (self.output + wanted))

    def _oscillate(self) -> None:
        """Too much gain: the output swings between its limits and the phase is anywhere."""
        settings = self._settings
        self._drive(float(self._rng.uniform(settings.low, settings.high)))
        self.sigma = 10.0

    def _drive(self, volts: float) -> None:
        settings = self._settings
        self.output = min(max(volts, settings.low), settings.high)
        above, below = volts >= settings.high, volts <= settings.low
        self.limit = (1 if above else -1 if below else 0) if settings.engaged else 0
        self.phase = self._free_phase(self.output)

    def _free_phase(self, output: float) -> float:
        return self._drift + self._parameters.stretcher * (output + self.stretcher_volts)

    def _error_signal(self, phase: float) -> float:
        return self.fringe.amplitude * sin(phase - self.fringe.offset)


def _memory(parameters: WorldParameters) -> float:
    """Correlation of the acoustic phase from one sample of the servo to the next."""
    return exp(-2 * pi * parameters.acoustic_bandwidth_hz * parameters.period)


def _columns(found: list[tuple[float, float]]) -> tuple[Real, Real]:
    phase, sigma = np.array(found).reshape(-1, 2).T
    return phase, sigma
