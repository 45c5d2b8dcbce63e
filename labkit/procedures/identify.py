"""``identify``: each device's scattering line over the pump laser's frequency; ΔΩ_m from both."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from analysis.resonance import ResonanceFit, fit_resonance
from labkit.procedures.session import Session
from labkit.procedures.single_device import only
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPEED_OF_LIGHT = 299_792_458.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifyOptions:
    """How to scan.

    Attributes
    ----------
    span_hz : float
        Width of the scan around the pump laser's present frequency, Hz.
    points : int
    trials : int
        Per point and device.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    span_hz: float = 300e6
    points: int = 16
    trials: int = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IdentifyResult:
    """The lines of both devices.

    Attributes
    ----------
    detuning_hz : ndarray
        Of the pump laser from where it was, Hz.
    clicks : dict of str to ndarray
        Pump clicks by device.
    fits : dict of str to ResonanceFit
        ``centre`` in Hz from where the laser was.
    delta_omega_hz, sigma_hz : float
        Ω_B − Ω_A over 2π: with one filter frequency ω_f the line of a device lies at ω_f + Ω_m.
    """

    detuning_hz: NDArray[np.float64]
    clicks: dict[str, NDArray[np.int64]]
    fits: dict[str, ResonanceFit]
    delta_omega_hz: float
    sigma_hz: float

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "centre_hz": {device: fit.centre.value for device, fit in self.fits.items()},
            "width_hz": {device: fit.width.value for device, fit in self.fits.items()},
            "delta_omega_hz": self.delta_omega_hz,
            "sigma_hz": self.sigma_hz,
        }

    def __str__(self) -> str:
        return (
            f"mechanical mismatch (B − A) {self.delta_omega_hz / 1e6:.1f} ± "
            f"{self.sigma_hz / 1e6:.1f} MHz"
        )

    def plot(self) -> "Figure":
        """Draw both lines."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3.4), layout="constrained")
        axes = figure.add_subplot()
        fine = np.linspace(self.detuning_hz[0], self.detuning_hz[-1], 300)
        for device, color in (("A", "#57534e"), ("B", "#be185d")):
            axes.plot(self.detuning_hz / 1e6, self.clicks[device], ".", color=color, label=device)
            axes.plot(fine / 1e6, self.fits[device].curve(fine), color=color, lw=1)
        axes.set(xlabel="pump laser detuning (MHz)", ylabel="pump clicks")
        axes.legend(title="device", frameon=False)
        return figure


def identify(session: Session, sequence: PulseSequence, options: IdentifyOptions) -> IdentifyResult:
    """Scan the pump laser with one arm open at a time and no serrodyne shift.

    The laser is set back at the end.
    """
    laser = session.lab.lasers["pump"]
    home = float(laser.wavelength())
    plain = sequence.without_pulse("read").with_pulse("pump", shift_hz=0.0, phase=0.0)
    detuning = np.linspace(-0.5, 0.5, options.points) * options.span_hz
    clicks: dict[str, NDArray[np.int64]] = {}
    try:
        for device in ("A", "B"):
            with only(session, "A" if device == "A" else "B"):
                clicks[device] = _scan(session, plain, device, home, detuning, options)
    finally:
        laser.wavelength(home)
    fits = {
        device: fit_resonance(detuning, found, np.sqrt(np.maximum(found, 1)))
        for device, found in clicks.items()
    }
    sigma = np.hypot(fits["A"].centre.sigma, fits["B"].centre.sigma)
    return IdentifyResult(
        detuning_hz=detuning,
        clicks=clicks,
        fits=fits,
        delta_omega_hz=fits["B"].centre.value - fits["A"].centre.value,
        sigma_hz=float(sigma),
    )


def _scan(
    session: Session,
    sequence: PulseSequence,
    device: str,
    home: float,
    detuning: NDArray[np.float64],
    options: IdentifyOptions,
) -> NDArray[np.int64]:
    clicks = []
    for offset in detuning:
        session.lab.lasers["pump"].wavelength(wavelength_at(home, float(offset)))
        setting: dict[str, float | str] = {
            "procedure": "identify", "device": device, "detuning_hz": float(offset),
        }  # fmt: skip
        block = session.measure(sequence, options.trials, setting, locked=False)
        clicks.append(int(block.counts.singles.sum()))
    return np.array(clicks)


def wavelength_at(home: float, detuning_hz: float) -> float:
    """Return the vacuum wavelength (m) whose frequency lies `detuning_hz` above that of `home`."""
    return SPEED_OF_LIGHT / (SPEED_OF_LIGHT / home + detuning_hz)
