"""The world of the virtual lab: instruments' settings in, clicks and readings out."""

from dataclasses import replace
from functools import partial
from math import sqrt
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import constants

from simulation.lab.clock import VirtualClock
from simulation.lab.dead_man import DeadManRelay
from simulation.lab.detector_memory import remembered
from simulation.lab.detectors import Nanowire
from simulation.lab.device import reflected_parts
from simulation.lab.emission import (
    DetectorClicks,
    pair_clicks,
    steady_clicks,
    uncorrelated_clicks,
)
from simulation.lab.interferometer import Interferometer
from simulation.lab.light_budget import Conditions, combined
from simulation.lab.light_path import LightPath
from simulation.lab.operating_point import OperatingPoint, operating_point
from simulation.lab.optics import resting_transmission
from simulation.lab.ports.phase_lock import LockReading, LockSettings
from simulation.lab.pulse_train import PulseTrain
from simulation.lab.recorder import Recorder
from simulation.lab.slow_drifts import SlowDrifts
from simulation.lab.stretch import Stretch
from simulation.lab.wiring import LASERS, Wiring
from simulation.lab.world_parameters import WorldParameters

Real = NDArray[np.float64]

_PHASE_BLOCK = 1.0
"""Longest time over which the interferometer's phase counts as constant but for its noise, s."""

_POINT_LIFE = 250.0
"""Longest time for which an operating point holds while filters and lasers drift, s."""

_CHANCES = 7
"""Independent streams of random numbers."""

_MIXING_CHAMBER = 6
"""Thermometer channel of the mixing chamber."""

_STAGES = {1: 45.0, 2: 3.6, 5: 0.9}
"""Temperatures of the other stages by thermometer channel, K."""

_VOLTAGE, _POSITION = attrgetter("voltage"), attrgetter("position")
_CURRENT, _LATCHED = attrgetter("current"), attrgetter("latched")


class Plant:
    """The physical world behind the instruments.

    It lives on the virtual clock: whenever time passes the world drifts, the servo regulates, and
    what the detectors see goes to the tagger if it records. Everything it knows of the instruments
    it reads from the ports of `wiring`.

    Parameters
    ----------
    clock : VirtualClock
    wiring : Wiring
        Its ports are connected to this world; its tagger port is replaced.
    parameters : WorldParameters, optional
    seed : int or tuple of int
        Same seed and same actions, same world.

    Attributes
    ----------
    constants : WorldParameters
        Of the world, as faults have left them.
    parameters : WorldParameters
        The same with what has drifted by now.
    """

    def __init__(
        self,
        clock: VirtualClock,
        wiring: Wiring,
        parameters: WorldParameters | None = None,
        *,
        seed: int | tuple[int, ...] = 0,
    ) -> None:
        self.clock, self.wiring = clock, wiring
        self.parameters = self.constants = self._first = parameters or WorldParameters()
        self._luck = np.random.default_rng(seed).spawn(_CHANCES)
        drift, phase, clicks, tagger, meters, slow, memory = self._luck
        self._rng, self._meter_rng, self._memory_rng = clicks, meters, memory
        self._slow = SlowDrifts(slow)
        self._next_period = self.parameters.period
        self.light = LightPath(wiring, self.parameters, drift)
        self.interferometer = Interferometer(self.parameters, phase)
        self.detectors = Nanowire(0, self.parameters), Nanowire(1, self.parameters)
        self.temperature = self.parameters.temperature
        self.dead_man = DeadManRelay()
        self._train = PulseTrain(wiring, self.light, self.parameters)
        self._point: OperatingPoint | None = None
        self._point_settings: tuple[object, ...] = ()
        self._age = 0.0
        self.recorder = Recorder(self, tagger)
        self._connect()

    def reseed(self, seed: int) -> None:
        """Begin new random numbers; all that has happened so far stays as it is."""
        with self.clock.lock:
            for mine, new in zip(
                self._luck, np.random.default_rng(seed).spawn(_CHANCES), strict=True
            ):
                mine.bit_generator.state = new.bit_generator.state

    def change(self, name: str, value: float | bool, place: int | None = None) -> None:
        """Change a constant of the world; of a pair only the one at `place`, if that is given.

        The trigger's period changes between recordings: a recording keeps its own.
        """
        with self.clock.lock:
            kept = getattr(self.constants, name)
            if not isinstance(kept, tuple):
                self._adopt(name, value)
                return
            changed = (value if place in (None, n) else part for n, part in enumerate(kept))
            self._adopt(name, tuple(changed))

    def restore(self, name: str) -> None:
        """Let a constant be again what it was at first."""
        with self.clock.lock:
            self._adopt(name, getattr(self._first, name))

    def settle(self) -> None:
        """Between recordings: let the trigger have its new period."""
        if self._next_period != self.constants.period:
            self._live_in(replace(self.constants, period=self._next_period))

    def operating_point(self) -> OperatingPoint:
        """Return the click statistics that the present settings amount to."""
        with self.clock.lock:
            settings = self.settings()
            if self._point is None or self._age >= _POINT_LIFE or settings != self._point_settings:
                self._point = operating_point(self._conditions(), self.parameters)
                self._point_settings, self._age = settings, 0.0
            return self._point

    def pulse_volts(self) -> tuple[float, float]:
        """Return the height of the pulses of detectors 1, 2, V."""
        return self.detectors[0].pulse_volts, self.detectors[1].pulse_volts

    def is_triggered(self) -> bool:
        """Tell whether trials are started."""
        return self.wiring.trigger.fires(self.parameters.period)

    def drift(self, seconds: float) -> None:
        """Let the world live for some time without looking at the clicks."""
        self.settle()
        self._look_at_fringe()
        number = int(seconds / _PHASE_BLOCK)
        self.interferometer.steps(number, _PHASE_BLOCK)
        if (rest := seconds - number * _PHASE_BLOCK) > 0:
            self.interferometer.step(rest)
        self._grow_older(seconds)

    def live(self, trials: int) -> DetectorClicks:
        """Let the world live through `trials` trials and return their clicks."""
        first, parts = 0, []
        for stretch in self.pass_through(trials):
            clicks = self.clicks(stretch)
            parts.append(replace(clicks, trial=clicks.trial + first))
            first += stretch.trials
        return DetectorClicks.joined(parts)

    def pass_through(self, trials: int) -> list[Stretch]:
        """Let the world live through `trials` trials; return what their clicks are drawn from."""
        parts = _divided(trials, round(_POINT_LIFE / self.parameters.period))
        return [self._stretch(int(part)) for part in parts]

    def clicks(self, stretch: Stretch) -> DetectorClicks:
        """Draw the clicks of a stretch of trials that the world has lived through."""
        point, world = stretch.point, stretch.parameters
        noise = np.hypot(2 * stretch.sigma, point.phase_noise)
        patterns = point.patterns.at(point.theta(stretch.phase), noise, point.contrast)
        clicks = pair_clicks(self._rng, patterns, stretch.blocks, point.arrivals)
        for other in point.others:
            clicks += uncorrelated_clicks(self._rng, other, stretch.trials)
        clicks += steady_clicks(self._rng, point.steady_rate, stretch.trials, world.period)
        return remembered(DetectorClicks.joined(clicks), world, self._memory_rng)

    def _stretch(self, trials: int) -> Stretch:
        """Live through trials that share an operating point, while the phase moves on."""
        point, period = self.operating_point(), self.parameters.period
        self._look_at_fringe()
        own, length = self.interferometer, round(_PHASE_BLOCK / period)
        blocks = _divided(trials, length)
        rest = trials - trials // length * length
        phase, sigma = own.steps(trials // length, length * period)
        if rest:
            own.step(rest * period)
            phase, sigma = np.append(phase, own.phase), np.append(sigma, own.sigma)
        self._grow_older(trials * period)
        return Stretch(
            point=point, parameters=self.parameters, blocks=blocks, phase=phase, sigma=sigma
        )

    def _grow_older(self, seconds: float) -> None:
        self.light.step(seconds)
        self._age += seconds
        if self._slow.step(seconds, self.constants):
            self.parameters = self.light.parameters = self._slow.applied(self.constants)

    def _adopt(self, name: str, value: Any) -> None:
        changed = replace(self.constants, **{name: value})
        self._next_period = changed.period if name == "period" else self._next_period
        self._live_in(replace(changed, period=self.constants.period))
        if not self.recorder.running():
            self.settle()

    def _live_in(self, constants: WorldParameters) -> None:
        """Let every part of the world know its constants."""
        self.constants = self._train.parameters = constants
        self.parameters = self.light.parameters = self._slow.applied(constants)
        self.interferometer.adopt(constants)

    def _look_at_fringe(self) -> None:
        light = self.light
        both = sqrt(light.arm_transmission(0) * light.arm_transmission(1))
        power = light.filtered_power(0) * both, light.filtered_power(1) * both
        self.interferometer.look_at(self._train.fringe(power))

    def settings(self) -> tuple[object, ...]:
        """Return everything instruments or faults can change that clicks depend on."""
        own = self.wiring
        return (
            *self._train.settings(),
            *map(_VOLTAGE, own.actuator.values()),
            *map(_POSITION, own.switch.values()),
            *map(_CURRENT, own.bias.values()),
            *map(_LATCHED, self.detectors),
            self.temperature,
            self.light.jumps,
        )

    def _conditions(self) -> Conditions:
        light, world = self.light, self.parameters
        powers = [
            [light.filtered_power(laser) * light.arm_transmission(device) for device in (0, 1)]
            for laser in (0, 1)
        ]
        pulses = self._train.pulses
        resting = [
            resting_transmission(port.drive, world) for port in self.wiring.aom_drive.values()
        ]
        first, second = (
            tuple(pulse.at_device(device, powers[pulse.laser][device]) for pulse in pulses)
            for device in (0, 1)
        )
        return Conditions(
            noise=(light.noise_part(0), light.noise_part(1)),
            pulses=pulses,
            trains=(first, second),
            laser_hz=(light.frequency_hz(0), light.frequency_hz(1)),
            resting_power=np.array(powers) * np.array(resting)[:, None],
            resting_scattering=self._train.resting_scattering,
            in_step=self._train.in_step,
            filters=light.detection_filters,
            temperature=self.temperature,
            efficiency=(self.detectors[0].efficiency, self.detectors[1].efficiency),
            dark_rate=(self.detectors[0].dark_rate, self.detectors[1].dark_rate),
        )

    def _connect(self) -> None:
        """Put this world behind the ports."""
        own = self.wiring
        own.lock.listener, own.lock.reader = self._configure_lock, self._read_lock
        own.actuator["stretcher"].listener = self.interferometer.stretch
        own.actuator["dead_man"].listener = self.dead_man.apply
        for laser in own.laser.values():
            laser.may_emit = self.dead_man.holds
        for number, wire in enumerate(self.detectors):
            own.bias[number + 1].listener = wire.apply
            own.bias[number + 1].is_latched = partial(getattr, wire, "latched")
        own.tagger = self.recorder
        own.thermometer.reader = self._temperature_of
        own.wavemeter.reader = self._wavelength
        for place, port in own.power.items():
            port.reader = partial(self._power, place)
        self.clock.subscribe(self.recorder.live)

    def _configure_lock(self, settings: LockSettings) -> None:
        with self.clock.lock:
            self.interferometer.configure(settings)

    def _read_lock(self, settings: LockSettings) -> LockReading:
        with self.clock.lock:
            self._look_at_fringe()
            return self.interferometer.read()

    def _temperature_of(self, channel: int) -> float | None:
        return self.temperature if channel == _MIXING_CHAMBER else _STAGES.get(channel)

    def _wavelength(self, channel: int) -> float | None:
        """Wavelength by wavemeter channel; None without light."""
        if channel not in (1, 2):
            return None
        port = (self.wiring.laser["pump"], self.wiring.laser["read"])[channel - 1]
        if not (port.emits and port.state.power > 0):
            return None
        return float(constants.c / self.light.frequency_hz(channel - 1))

    def _power(self, place: str) -> float:
        """One reading of the mean optical power at a place, W."""
        with self.clock.lock:
            noise = self.parameters.power_noise * self._meter_rng.standard_normal()
            return float(self._mean_power(place) + noise)

    def _mean_power(self, place: str) -> float:
        if place in LASERS:
            return self.light.filtered_power(LASERS.index(place))
        at_devices = self._mean_powers()
        if place != "reflected":
            return float(at_devices[:, ("arm_a", "arm_b").index(place)].sum())
        lasers = [self.light.frequency_hz(laser) for laser in (0, 1)]
        back = reflected_parts(lasers, self.parameters).T
        in_port = combined(self.parameters)[:, :, 0]
        return float(np.sum(at_devices * back * in_port))

    def _mean_powers(self) -> Real:
        """Mean power of each laser at each device, W, element [laser, device]."""
        mean = np.array(
            [
                resting_transmission(port.drive, self.parameters)
                for port in self.wiring.aom_drive.values()
            ]
        )
        for pulse in self._train.pulses:
            mean[pulse.laser] += pulse.light.duration / self.parameters.period
        arms = [self.light.arm_transmission(device) for device in (0, 1)]
        return np.outer(mean * [self.light.filtered_power(laser) for laser in (0, 1)], arms)


def _divided(total: int, largest: int) -> NDArray[np.int64]:
    """Divide a number of trials into parts of `largest` and a rest."""
    parts = np.full(-(-total // largest), largest, np.int64)
    if len(parts):
        parts[-1] = total - largest * (len(parts) - 1)
    return parts
