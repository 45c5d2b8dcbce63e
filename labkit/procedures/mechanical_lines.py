"""Mechanical resonances by their sidebands: clicks over each laser's frequency (003, Fig. 1b)."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from analysis.resonance import fit_resonance
from analysis.separable_fit import Estimate
from labkit.procedures.laser_sweep import (
    FilterFollower,
    LaserName,
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
SIDEBANDS: dict[LaserName, str] = {"pump": "Stokes", "read": "anti-Stokes"}
SIGNS: dict[LaserName, int] = {"pump": 1, "read": -1}
"""A laser's sign: it stands a mechanical frequency above, or below, what the filters pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MechanicalOptions:
    """How to scan the lasers over the sidebands.

    Attributes
    ----------
    span_hz : float
        Width of both scans around the laser's present frequency, Hz.
    points : int
        Of each scan.
    pump_trials, read_trials : int
        Per point and device; read-out needs more, as there are few phonons.
    level : float
        Drive of the AOM, as a fraction of the full level, for finding the read laser's filter.
    filter_span : float
        Width of the scans with which the laser's filter is found at both ends, V.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    span_hz: float = 240e6
    points: int = 25
    pump_trials: int = 4_000_000
    read_trials: int = 12_000_000
    level: float = 0.3
    filter_span: float = 0.3

    def __post_init__(self) -> None:
        check_options(
            self,
            positive=("span_hz", "level", "filter_span"),
            at_least={"points": 5, "pump_trials": 1, "read_trials": 1},
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SidebandScan(SweptLine):
    """One device's sideband over the frequency of one laser; as wide as pulse and filters are.

    Attributes
    ----------
    clicks : ndarray, shape (n,)
        Per trial.
    sigma : ndarray, shape (n,)
        Their standard deviations.
    """

    clicks: Array
    sigma: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MechanicalLines:
    """Both sidebands of both devices.

    Attributes
    ----------
    scans : dict
        By laser, then by device.
    """

    scans: dict[LaserName, dict[Device, SidebandScan]]

    @property
    def omega_m_hz(self) -> dict[Device, Estimate]:
        """Mechanical frequency by device, Ω_m/2π = (ν_pump − ν_read)/2, Hz.

        Both lasers then scatter into the filters before the detectors, whose frequency drops out.
        """
        read, pump = self.scans["read"], self.scans["pump"]
        return {device: distance_hz(read[device], pump[device]).over(2) for device in DEVICES}

    @property
    def delta_omega_hz(self) -> Estimate:
        """(Ω_B − Ω_A)/2π by the Stokes lines, which are the sharper ones, Hz."""
        return distance_hz(self.scans["pump"]["A"], self.scans["pump"]["B"])

    @property
    def filter_hz(self) -> float:
        """Frequency that the filters before the detectors pass, Hz: the middle of both lasers."""
        centres = [line.centre_hz.value for by in self.scans.values() for line in by.values()]
        return float(np.mean(centres))

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        lines = {
            f"{SIDEBANDS[laser]} {device}": {
                "laser_hz": line.centre_hz.value,
                "sigma_hz": line.centre_hz.sigma,
                "width_hz": line.fit.width.value,
                "width_sigma_hz": line.fit.width.sigma,
            }
            for laser, scans in self.scans.items()
            for device, line in scans.items()
        }
        delta = self.delta_omega_hz
        return {
            "lines": lines,
            "omega_m_hz": {x: found.value for x, found in self.omega_m_hz.items()},
            "omega_m_sigma_hz": {x: found.sigma for x, found in self.omega_m_hz.items()},
            "filter_hz": self.filter_hz,
            "delta_omega_hz": delta.value,
            "delta_omega_sigma_hz": delta.sigma,
        }

    def __str__(self) -> str:
        found = [
            f"mechanical {device}: {omega.over(1e9)} GHz"
            for device, omega in self.omega_m_hz.items()
        ]
        found.append(f"mechanical mismatch (B − A) {self.delta_omega_hz.over(1e6)} MHz")
        return "\n".join(found)

    def draw(self, axes: "Axes", colors: dict[Device, str]) -> None:
        """Draw all lines against the laser's distance from the filters, each to its own height."""
        for laser, scans in self.scans.items():
            sign, marker = SIGNS[laser], "o" if laser == "pump" else "x"
            for device, line in scans.items():
                height, offset = line.fit.height.value, line.fit.offset.value
                axes.errorbar(
                    sign * (line.frequency_hz - self.filter_hz) / 1e9,
                    (line.clicks - offset) / height, line.sigma / height, fmt=marker, ms=4, lw=0.8,
                    color=colors[device], label=f"{device}, {SIDEBANDS[laser]}",
                )  # fmt: skip
                fine = np.linspace(line.frequency_hz.min(), line.frequency_hz.max(), 300)
                axes.plot(
                    sign * (fine - self.filter_hz) / 1e9,
                    (line.fit.curve(fine - line.origin_hz) - offset) / height,
                    color=colors[device], lw=1, ls="-" if laser == "pump" else ":",
                )  # fmt: skip
        axes.set(xlabel="laser from the filters (GHz)", ylabel="clicks, relative")
        axes.legend(frameon=False, fontsize=8)


def mechanical_lines(
    session: Session, sequence: PulseSequence, options: MechanicalOptions
) -> MechanicalLines:
    """Scan pump and read laser over both devices' sidebands, one arm open at a time, no serrodyne.

    The filters before the detectors rest; each laser's own filter follows it. Lasers, filters and
    attenuators are set back at the end.

    Raises
    ------
    ValueError
        If a line, or a filter's transmission, cannot be found within its scan.

    Notes
    -----
    Source: Riedinger et al., Nature 556, 473 (2018), Fig. 1b.
    """
    lab, span = session.lab, options.filter_span
    with (
        following(session, "pump", lab.power_meter.power, span) as pump,
        following(session, "read", lab.reflection_meter.power, span) as read,
    ):
        followers: dict[LaserName, FilterFollower] = {"pump": pump, "read": read}
        for laser, follower in followers.items():
            with meter_light(session, laser, period=sequence.period, level=options.level):
                follower.explore(-options.span_hz / 2, options.span_hz / 2)
        points = _points(session, sequence, followers, options)
    return MechanicalLines(
        scans={
            laser: {device: _line(device, laser, points[laser, device]) for device in DEVICES}
            for laser in SIDEBANDS
        }
    )


def _points(
    session: Session,
    sequence: PulseSequence,
    followers: dict[LaserName, FilterFollower],
    options: MechanicalOptions,
) -> dict[tuple[LaserName, Device], Array]:
    """Return columns frequency, clicks per trial, σ; all lines take turns, against drifts."""
    found: dict[tuple[LaserName, Device], list[tuple[float, float, float]]] = {
        (laser, device): [] for laser in SIDEBANDS for device in DEVICES
    }
    alone: dict[LaserName, PulseSequence] = {
        "pump": sequence.without_pulse("read").with_pulse("pump", shift_hz=0.0, phase=0.0),
        "read": sequence.without_pulse("pump").with_pulse("read", shift_hz=0.0, phase=0.0),
    }
    offsets = np.linspace(-0.5, 0.5, options.points) * options.span_hz
    for offset in session.steps("sidebands", offsets):
        for laser, follower in followers.items():
            frequency, passed = _go(follower, laser, float(offset))
            for device in DEVICES:
                with only(session, device):
                    clicks, sigma = _clicks(session, alone[laser], laser, device, options)
                found[laser, device].append((frequency, clicks / passed, sigma / passed))
    return {line: np.array(rows) for line, rows in found.items()}


def _go(follower: FilterFollower, laser: LaserName, detuning_hz: float) -> tuple[float, float]:
    """Return optical frequency and the part of the light that passes the laser's filter.

    Behind the read laser's filter there is no meter that pulses are enough for: it is trusted.
    """
    if laser == "read":
        return follower.go_unwatched(detuning_hz), 1.0
    frequency = follower.go(detuning_hz)
    return frequency, follower.passed()


def _clicks(
    session: Session,
    sequence: PulseSequence,
    laser: LaserName,
    device: Device,
    options: MechanicalOptions,
) -> tuple[float, float]:
    """Return clicks per trial and their standard deviation."""
    trials = options.pump_trials if laser == "pump" else options.read_trials
    setting: dict[str, float | str] = {
        "procedure": "identify", "device": device, "laser": laser,
        "frequency_hz": session.lab.laser_frequency(laser),
    }  # fmt: skip
    clicks = int(session.clicks(sequence, trials, setting).singles.sum())
    return clicks / trials, float(np.sqrt(max(clicks, 1))) / trials


def _line(device: Device, laser: LaserName, points: Array) -> SidebandScan:
    frequency, clicks, sigma = points.T
    origin = float(frequency.mean())
    try:
        fit = fit_resonance(frequency - origin, clicks, sigma)
    except ValueError as error:
        message = f"device {device}: no {SIDEBANDS[laser]} line of the {laser} laser: {error}"
        raise ValueError(message) from None
    return SidebandScan(
        frequency_hz=frequency, clicks=clicks, sigma=sigma, origin_hz=origin, fit=fit
    )
