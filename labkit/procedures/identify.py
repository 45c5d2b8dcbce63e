"""``identify``: each device's Stokes line over the pump laser's frequency; ΔΩ_m from both."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from analysis.resonance import ResonanceFit, fit_resonance
from labkit.procedures.arms import DEVICES, Device, only
from labkit.procedures.session import Session
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPEED_OF_LIGHT = 299_792_458.0

Array = NDArray[np.float64]


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
    filter_span : float
        Width of the scan with which the pump laser's filter is found again at both ends, V.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    span_hz: float = 240e6
    points: int = 25
    trials: int = 4_000_000
    filter_span: float = 0.3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IdentifyResult:
    """The Stokes lines of both devices.

    Attributes
    ----------
    detuning_hz : dict of str to ndarray
        By device: the pump laser from where it was, by the wavemeter, Hz.
    signal, sigma : dict of str to ndarray
        Clicks per trial and mW of pump light behind its filter; standard deviation.
    fits : dict of str to ResonanceFit
        ``centre`` in Hz from where the laser was; a device's line lies Ω_m above the frequency
        that the filters before the detectors pass, as wide as filters and pulse are together.
    hz_per_volt : float
        Tuning of the pump laser's filter, as found.
    delta_omega_hz, delta_omega_sigma_hz : float
        (Ω_B − Ω_A)/2π and its standard deviation.
    """

    detuning_hz: dict[Device, Array]
    signal: dict[Device, Array]
    sigma: dict[Device, Array]
    fits: dict[Device, ResonanceFit]
    hz_per_volt: float
    delta_omega_hz: float
    delta_omega_sigma_hz: float

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "centre_hz": {device: fit.centre.value for device, fit in self.fits.items()},
            "width_hz": {device: fit.width.value for device, fit in self.fits.items()},
            "hz_per_volt": self.hz_per_volt,
            "delta_omega_hz": self.delta_omega_hz,
            "delta_omega_sigma_hz": self.delta_omega_sigma_hz,
        }

    def __str__(self) -> str:
        return (
            f"mechanical mismatch (B − A) {self.delta_omega_hz / 1e6:.1f} ± "
            f"{self.delta_omega_sigma_hz / 1e6:.1f} MHz"
        )

    def plot(self) -> "Figure":
        """Draw both lines."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3.4), layout="constrained")
        axes = figure.add_subplot()
        for device, color in zip(DEVICES, ("#57534e", "#be185d"), strict=True):
            detuning = self.detuning_hz[device]
            fine = np.linspace(detuning.min(), detuning.max(), 300)
            axes.errorbar(
                detuning / 1e6, 1e6 * self.signal[device], 1e6 * self.sigma[device], fmt=".",
                color=color, label=device,
            )  # fmt: skip
            axes.plot(fine / 1e6, 1e6 * self.fits[device].curve(fine), color=color, lw=1)
        axes.set(xlabel="pump laser detuning (MHz)", ylabel="clicks per 10⁶ trials and mW")
        axes.set_title(str(self), fontsize=9)
        axes.legend(title="device", frameon=False)
        return figure


def identify(session: Session, sequence: PulseSequence, options: IdentifyOptions) -> IdentifyResult:
    """Scan the pump laser with one arm open at a time and no serrodyne shift.

    The laser's own filter follows it (its tuning is measured first, with the power meter), and
    clicks are divided by the power that is left: else that filter's line would be in the result.
    The filters before the detectors rest. Laser and its filter are set back at the end.

    Raises
    ------
    ValueError
        If a line, or the filter's transmission, cannot be found within its scan.
    """
    laser, prefilter = session.lab.lasers["pump"], session.lab.filters["pump"]
    home, rest = float(laser.wavelength()), float(prefilter.voltage())
    plain = sequence.without_pulse("read").with_pulse("pump", shift_hz=0.0, phase=0.0)
    session.arm(plain)
    origin_hz = SPEED_OF_LIGHT / float(session.lab.wavemeter.wavelength())
    try:
        volts, hz_per_volt = _follow(session, home, rest, options)
        points: dict[str, list[tuple[float, int, float]]] = {x: [] for x in DEVICES}
        for offset, volt in zip(_offsets(options), volts, strict=True):
            laser.wavelength(wavelength_at(home, float(offset)))
            prefilter.voltage(float(volt))
            for device in DEVICES:  # in turns, so that drifting filters shift both lines alike
                with only(session, device):
                    points[device].append(_point(session, plain, device, options))
    finally:
        laser.wavelength(home)
        prefilter.voltage(rest)
    detuning, signal, sigma = {}, {}, {}
    for device in DEVICES:
        frequency, clicks, power = np.array(points[device]).T
        scale = 1 / (options.trials * power * 1e3)
        detuning[device] = frequency - origin_hz
        signal[device] = clicks * scale
        sigma[device] = np.sqrt(np.maximum(clicks, 1)) * scale
    fits = {x: fit_resonance(detuning[x], signal[x], sigma[x]) for x in DEVICES}
    return IdentifyResult(
        detuning_hz=detuning,
        signal=signal,
        sigma=sigma,
        fits=fits,
        hz_per_volt=hz_per_volt,
        delta_omega_hz=fits["B"].centre.value - fits["A"].centre.value,
        delta_omega_sigma_hz=float(np.hypot(fits["A"].centre.sigma, fits["B"].centre.sigma)),
    )


def _offsets(options: IdentifyOptions) -> Array:
    return np.asarray(np.linspace(-0.5, 0.5, options.points) * options.span_hz)


def _follow(
    session: Session, home: float, rest: float, options: IdentifyOptions
) -> tuple[Array, float]:
    """Return the filter's voltage at every point, from its lines at both ends; and its Hz/V."""
    laser, prefilter = session.lab.lasers["pump"], session.lab.filters["pump"]
    offsets = _offsets(options)
    centres, frequencies = [], []
    scan = rest + np.linspace(-0.5, 0.5, 61) * options.filter_span
    for offset in offsets[[0, -1]]:
        laser.wavelength(wavelength_at(home, float(offset)))
        frequencies.append(SPEED_OF_LIGHT / float(session.lab.wavemeter.wavelength()))
        power = []
        for volt in scan:
            prefilter.voltage(float(volt))
            power.append(float(session.lab.power_meter.power()))
        centres.append(fit_resonance(scan, power).centre.value)
    slope = (centres[1] - centres[0]) / (frequencies[1] - frequencies[0])
    session.say(f"filter pump: {1e-9 / slope:.3g} GHz/V")
    return np.asarray(centres[0] + slope * (offsets - offsets[0])), float(1 / slope)


def _point(
    session: Session,
    sequence: PulseSequence,
    device: Device,
    options: IdentifyOptions,
) -> tuple[float, int, float]:
    """Return the laser's frequency (Hz), the pump clicks and the power (W) at one point."""
    lab = session.lab
    frequency_hz = SPEED_OF_LIGHT / float(lab.wavemeter.wavelength())
    setting: dict[str, float | str] = {
        "procedure": "identify", "device": device, "frequency_hz": frequency_hz,
    }  # fmt: skip
    power = float(lab.power_meter.power())
    block = session.measure(sequence, options.trials, setting, locked=False)
    return frequency_hz, int(block.counts.singles.sum()), power


def wavelength_at(home: float, detuning_hz: float) -> float:
    """Return the vacuum wavelength (m) whose frequency lies `detuning_hz` above that of `home`."""
    return SPEED_OF_LIGHT / (SPEED_OF_LIGHT / home + detuning_hz)
