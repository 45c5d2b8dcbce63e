"""The pulses of a trial, worked out anew only when a generator, laser or bias has changed."""

from cmath import phase
from collections import deque
from dataclasses import dataclass, field, fields
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from simulation.lab.device import scattering_spectrum
from simulation.lab.eom import PhaseRecord, phase_record
from simulation.lab.interferometer import LockFringe
from simulation.lab.light_path import LightPath
from simulation.lab.optics import STEP, light_pulses
from simulation.lab.ports.drives import DriveSamples, PhaseDrive, PulseDrive
from simulation.lab.scattering import ScatteredPulse, scatter
from simulation.lab.wiring import Wiring
from simulation.lab.world_parameters import WorldParameters

KEPT = 4
"""Trains that are kept: a measurement goes to and fro between a few."""


_DRIVE, _STATE = attrgetter("drive"), attrgetter("state")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Train:
    """What a set of settings amounts to."""

    eom: PhaseRecord
    pulses: tuple[ScatteredPulse, ...] = ()
    lock_field: tuple[complex, complex] = (0j, 0j)
    resting_scattering: NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, 2, 2)))


class PulseTrain:
    """What AOM drives, phase modulator and lasers make of a trial.

    Parameters
    ----------
    wiring : Wiring
    light : LightPath
    parameters : WorldParameters
        Its slow drifts change nothing here.
    """

    def __init__(self, wiring: Wiring, light: LightPath, parameters: WorldParameters) -> None:
        self._wiring, self._light, self.parameters = wiring, light, parameters
        self._seen: tuple[object, ...] = ()
        self._train = _Train(eom=phase_record(None, 0.0, 0.0, parameters))
        self._kept: deque[tuple[object, _Train]] = deque(maxlen=KEPT)

    def settings(self) -> tuple[object, ...]:
        """Return what decides the pulses' shape and scattering."""
        own = self._wiring
        return (
            self.parameters,
            *map(_DRIVE, own.aom_drive.values()),
            own.eom_drive[1].drive,
            own.actuator["eom_bias"].voltage,
            own.trigger.fires(self.parameters.period),
            *map(_STATE, own.laser.values()),
            self._light.hop_hz(0),
            self._light.hop_hz(1),
        )

    @property
    def pulses(self) -> tuple[ScatteredPulse, ...]:
        """All pulses after the devices, in time order."""
        self._update()
        return self._train.pulses

    @property
    def in_step(self) -> bool:
        """Whether the phase modulation repeats from trial to trial."""
        self._update()
        return self._train.eom.in_step

    @property
    def resting_scattering(self) -> NDArray[np.float64]:
        """Photons per s and W of unpulsed light without phonons, element [side, laser, device]."""
        self._update()
        return self._train.resting_scattering

    def fringe(self, power: tuple[float, float]) -> LockFringe:
        """Return the error signal that the light in the lock window gives.

        Parameters
        ----------
        power : tuple of float
            Mean over both arms, √(P_A P_B), of lasers pump and read in W at the devices, for an
            AOM transmission of 1.
        """
        self._update()
        pump, read = self._train.lock_field
        light = pump * power[0] + read * power[1]
        return LockFringe(
            amplitude=abs(light) * self.parameters.lock_volts_per_watt, offset=phase(light)
        )

    def _update(self) -> None:
        settings = self.settings()
        if settings == self._seen:
            return
        content = _content(settings)
        found = next((train for known, train in self._kept if known == content), None)
        if found is None:
            found = self._worked_out()
            self._kept.append((content, found))
        self._seen, self._train = settings, found

    def _worked_out(self) -> _Train:
        lights = [
            (laser, light)
            for laser in (0, 1)
            if self._wiring.trigger.fires(self.parameters.period)
            for light in light_pulses(self._wiring.aom_drive[laser + 1].drive, self.parameters)
        ]
        lights.sort(key=lambda item: item[1].centre)
        lasers_hz = [self._light.frequency_hz(laser, drift=False) for laser in (0, 1)]
        last = max((float(light.time[-1]) for _, light in lights), default=0.0)
        eom = phase_record(
            self._wiring.eom_drive[1].drive,
            self._wiring.actuator["eom_bias"].voltage,
            last + self.parameters.eom_arm_delay,
            self.parameters,
        )
        pulses = tuple(
            scatter(light, laser, lasers_hz[laser], eom, self.parameters) for laser, light in lights
        )
        resting = np.stack(
            [
                [scattering_spectrum(x, lasers_hz, side, self.parameters) for x in (0, 1)]
                for side in (-1, 1)
            ]
        ).swapaxes(1, 2)
        pump, read = (self._in_lock_window(laser, pulses, eom) for laser in (0, 1))
        return _Train(pulses=pulses, eom=eom, lock_field=(pump, read), resting_scattering=resting)

    def _in_lock_window(
        self, laser: int, pulses: tuple[ScatteredPulse, ...], eom: PhaseRecord
    ) -> complex:
        """Mean of T e^{iφ} over the lock window: AOM transmission and the modulator's phase."""
        opening, closing = self.parameters.lock_window
        total = 0j
        for pulse in pulses:
            if pulse.laser != laser:
                continue
            time = pulse.light.time
            inside = (time >= opening) & (time < closing)
            turned = np.exp(1j * eom.at(time[inside] + self.parameters.eom_arm_delay))
            total += complex(np.sum(pulse.light.transmission[inside] * turned))
        return total * STEP / (closing - opening)


def _content(value: object) -> object:
    """Return what compares by content: what is loaded once more is the same again."""
    if isinstance(value, np.ndarray):
        return value.shape, value.tobytes()
    if isinstance(value, tuple):
        return tuple(map(_content, value))
    if isinstance(value, PhaseDrive | PulseDrive | DriveSamples):
        return type(value), *(_content(getattr(value, entry.name)) for entry in fields(value))
    return value
