"""Optical resonances of the devices: reflected light over the laser's frequency (003, Fig. 1a)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import constants

from analysis.resonance import ResonanceFit, fit_resonance
from analysis.separable_fit import Estimate
from labkit.procedures.laser_sweep import (
    FilterFollower,
    SweptLine,
    distance_hz,
    following,
    meter_light,
)
from labkit.procedures.session import DEVICES, Device, Session, check_options, only
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpticalOptions:
    """How to sweep the pump laser over the optical resonances.

    Attributes
    ----------
    span_hz : float
        Width of the sweep, Hz.
    centre_wavelength : float or None
        Its middle, m; by default half-way between the frequencies of pump and read laser.
    points : int
    readings : int
        Of the reflection meter, per point and device.
    level : float
        Drive of the AOM as a fraction of the full level. Too much light heats a cavity and makes
        its line lopsided.
    closed : float
        Transmission of the other arm, whose reflection interferes.
    filter_span : float
        Width of the scans with which the laser's filter is found on the way, V.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    span_hz: float = 4e9
    centre_wavelength: float | None = None
    points: int = 41
    readings: int = 4
    level: float = 0.3
    closed: float = 1e-4
    filter_span: float = 0.3

    def __post_init__(self) -> None:
        check_options(
            self,
            positive=("span_hz", "centre_wavelength", "level", "closed", "filter_span"),
            at_least={"points": 5, "readings": 1},
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpticalLine(SweptLine):
    """One device's resonance; the fit is of 1 − reflection.

    That is 4η(1 − η)/[1 + (2Δ/κ)²] with η = κ_e/κ.

    Attributes
    ----------
    reflection : ndarray, shape (n,)
        Reflected power over power sent, relative to what it is far from the resonance.
    """

    reflection: Array

    @property
    def quality_factor(self) -> Estimate:
        """ν/(κ/2π)."""
        width, centre = self.fit.width, self.centre_hz.value
        return Estimate(value=centre / width.value, sigma=centre * width.sigma / width.value**2)

    @property
    def on_resonance(self) -> Estimate:
        """Reflected part on resonance, (1 − 2η)²; 0 at critical coupling."""
        return Estimate(value=1 - self.fit.height.value, sigma=self.fit.height.sigma)

    @property
    def wavelength(self) -> float:
        """Vacuum wavelength of the resonance, m."""
        return constants.c / self.centre_hz.value

    def to_dict(self) -> dict[str, object]:
        """Return plain types, the measured points too."""
        return {
            "wavelength": self.wavelength,
            "centre_hz": self.centre_hz.value,
            "centre_sigma_hz": self.centre_hz.sigma,
            "kappa_hz": self.fit.width.value,
            "kappa_sigma_hz": self.fit.width.sigma,
            "quality_factor": self.quality_factor.value,
            "quality_factor_sigma": self.quality_factor.sigma,
            "reflection_on_resonance": self.on_resonance.value,
            "reflection_on_resonance_sigma": self.on_resonance.sigma,
            "frequency_hz": self.frequency_hz.tolist(),
            "reflection": self.reflection.tolist(),
        }

    def __str__(self) -> str:
        return (
            f"{self.wavelength * 1e9:.5f} nm, κ/2π = {self.fit.width.over(1e6)} MHz, "
            f"Q = ({self.quality_factor.over(1e5)})·10⁵, "
            f"({self.on_resonance.over(0.01)}) % reflected on resonance"
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpticalLines:
    """Both devices' resonances."""

    lines: dict[Device, OpticalLine]

    @property
    def mismatch_hz(self) -> Estimate:
        """Resonance of B minus that of A, Hz."""
        return distance_hz(self.lines["A"], self.lines["B"])

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        mismatch = self.mismatch_hz
        return {
            **{device: line.to_dict() for device, line in self.lines.items()},
            "mismatch_hz": mismatch.value,
            "mismatch_sigma_hz": mismatch.sigma,
        }

    def __str__(self) -> str:
        found = [f"optical {device}: {line}" for device, line in self.lines.items()]
        found.append(f"optical mismatch (B − A) {self.mismatch_hz.over(1e6)} MHz")
        return "\n".join(found)

    def draw(self, axes: "Axes", colors: dict[Device, str]) -> None:
        """Draw reflection against detuning from the resonance of device A."""
        origin = self.lines["A"].centre_hz.value
        for device, line in self.lines.items():
            detuning = line.frequency_hz - line.origin_hz
            fine = np.linspace(detuning.min(), detuning.max(), 300)
            shift = line.origin_hz - origin
            axes.plot((detuning + shift) / 1e9, line.reflection, ".", color=colors[device])
            axes.plot(
                (fine + shift) / 1e9, 1 - line.fit.curve(fine), color=colors[device], lw=1,
                label=device,
            )  # fmt: skip
        axes.set(
            xlabel=f"detuning from {self.lines['A'].wavelength * 1e9:.4f} nm (GHz)",
            ylabel="reflected light", ylim=(min(0.0, *axes.get_ylim()), None),
        )  # fmt: skip
        axes.legend(title="device", frameon=False)


def optical_lines(
    session: Session, sequence: PulseSequence, options: OpticalOptions
) -> OpticalLines:
    """Sweep the pump laser over both devices' optical resonances, one arm open at a time.

    The laser's own filter follows it; reflected power is divided by what comes through that filter.
    The light is on for a part of every trial and the detectors have no bias meanwhile. Laser,
    filter, attenuators and bias are set back, the drives are off at the end.

    Raises
    ------
    ValueError
        If a resonance, or the filter's transmission, cannot be found within its sweep.

    Notes
    -----
    Source: Riedinger et al., Nature 556, 473 (2018), Fig. 1a.
    """
    pump_hz = session.lab.laser_frequency("pump")
    middle = _middle(session, pump_hz, options)
    sweep = middle - pump_hz + np.linspace(-0.5, 0.5, options.points) * options.span_hz
    meter = session.lab.power_meter.power
    points: dict[Device, list[tuple[float, float]]] = {device: [] for device in DEVICES}
    with (
        meter_light(session, "pump", period=sequence.period, level=options.level),
        following(session, "pump", meter, options.filter_span) as follower,
    ):
        follower.explore(float(sweep[0]), float(sweep[-1]))
        for detuning in session.steps("optical resonances", sweep):
            for device, point in _at(session, follower, float(detuning), options).items():
                points[device].append(point)
    return OpticalLines(
        lines={device: _line(device, middle, np.array(found)) for device, found in points.items()}
    )


def _middle(session: Session, pump_hz: float, options: OpticalOptions) -> float:
    if options.centre_wavelength is not None:
        return constants.c / options.centre_wavelength
    return (pump_hz + session.lab.laser_frequency("read")) / 2


def _at(
    session: Session, follower: FilterFollower, detuning_hz: float, options: OpticalOptions
) -> dict[Device, tuple[float, float]]:
    """Return (optical frequency, reflected over sent power) by device."""
    follower.go(detuning_hz)
    session.lab.check_interlocks()
    found = {}
    for device in DEVICES:
        with only(session, device, options.closed):
            frequency = session.lab.laser_frequency("pump")
            sent = float(session.lab.power_meter.power())
            back = [float(session.lab.reflection_meter.power()) for _ in range(options.readings)]
        found[device] = frequency, float(np.mean(back)) / sent
    return found


def _line(device: Device, origin_hz: float, points: Array) -> OpticalLine:
    frequency, ratio = points.T
    try:
        dip = fit_resonance(frequency - origin_hz, -ratio)
    except ValueError as error:
        message = f"device {device}: no optical resonance in the reflected light: {error}"
        raise ValueError(message) from None
    level = -dip.offset.value
    depth, unsure = dip.height.value / level, dip.offset.sigma / level
    height = Estimate(value=depth, sigma=float(np.hypot(dip.height.sigma / level, depth * unsure)))
    none = Estimate(value=0.0, sigma=unsure)
    return OpticalLine(
        frequency_hz=frequency,
        reflection=ratio / level,
        origin_hz=origin_hz,
        fit=ResonanceFit(centre=dip.centre, width=dip.width, height=height, offset=none),
    )
