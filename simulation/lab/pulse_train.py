"""The pulses of a trial, worked out anew only when a generator, laser or bias has changed."""

import numpy as np
from numpy.typing import NDArray

from simulation.lab.device import scattering_spectrum
from simulation.lab.eom import phase_record
from simulation.lab.interferometer import LockFringe
from simulation.lab.light_path import LightPath
from simulation.lab.optics import STEP, light_pulses
from simulation.lab.scattering import ScatteredPulse, scatter
from simulation.lab.wiring import Wiring
from simulation.lab.world_parameters import WorldParameters


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
        self._pulses: tuple[ScatteredPulse, ...] = ()
        self._eom = phase_record(None, 0.0, 0.0, parameters)
        self._lock_field = (0j, 0j)
        self._resting_scattering = np.zeros((2, 2, 2))

    def settings(self) -> tuple[object, ...]:
        """Return what decides the pulses' shape and scattering."""
        own = self._wiring
        return (
            self.parameters,
            *(port.drive for port in own.aom_drive.values()),
            own.eom_drive[1].drive,
            own.actuator["eom_bias"].voltage,
            own.trigger.fires(self.parameters.period),
            *(port.state for port in own.laser.values()),
            *(self._light.hop_hz(laser) for laser in (0, 1)),
        )

    @property
    def pulses(self) -> tuple[ScatteredPulse, ...]:
        """All pulses after the devices, in time order."""
        self._update()
        return self._pulses

    @property
    def in_step(self) -> bool:
        """Whether the phase modulation repeats from trial to trial."""
        self._update()
        return self._eom.in_step

    @property
    def resting_scattering(self) -> NDArray[np.float64]:
        """Photons per s and W of unpulsed light without phonons, element [side, laser, device]."""
        self._update()
        return self._resting_scattering

    def fringe(self, power: tuple[float, float]) -> LockFringe:
        """Return the error signal that the light in the lock window gives.

        Parameters
        ----------
        power : tuple of float
            Mean over both arms, √(P_A P_B), of lasers pump and read in W at the devices, for an
            AOM transmission of 1.
        """
        self._update()
        field = self._lock_field[0] * power[0] + self._lock_field[1] * power[1]
        return LockFringe(
            amplitude=float(abs(field)) * self.parameters.lock_volts_per_watt,
            offset=float(np.angle(field)),
        )

    def _update(self) -> None:
        settings = self.settings()
        if settings == self._seen:
            return
        lights = [
            (laser, light)
            for laser in (0, 1)
            if self._wiring.trigger.fires(self.parameters.period)
            for light in light_pulses(self._wiring.aom_drive[laser + 1].drive, self.parameters)
        ]
        lights.sort(key=lambda item: item[1].centre)
        lasers_hz = [self._light.frequency_hz(laser, drift=False) for laser in (0, 1)]
        last = max((float(light.time[-1]) for _, light in lights), default=0.0)
        self._eom = phase_record(
            self._wiring.eom_drive[1].drive,
            self._wiring.actuator["eom_bias"].voltage,
            last + self.parameters.eom_arm_delay,
            self.parameters,
        )
        self._pulses = tuple(
            scatter(light, laser, lasers_hz[laser], self._eom, self.parameters)
            for laser, light in lights
        )
        self._resting_scattering = np.stack(
            [
                [scattering_spectrum(x, lasers_hz, side, self.parameters) for x in (0, 1)]
                for side in (-1, 1)
            ]
        ).swapaxes(1, 2)
        self._lock_field = self._in_lock_window(0), self._in_lock_window(1)
        self._seen = settings

    def _in_lock_window(self, laser: int) -> complex:
        """Mean of T e^{iφ} over the lock window: AOM transmission and the modulator's phase."""
        opening, closing = self.parameters.lock_window
        total = 0j
        for pulse in self._pulses:
            if pulse.laser != laser:
                continue
            time = pulse.light.time
            inside = (time >= opening) & (time < closing)
            phase = self._eom.at(time[inside] + self.parameters.eom_arm_delay)
            total += complex(np.sum(pulse.light.transmission[inside] * np.exp(1j * phase)))
        return total * STEP / (closing - opening)
