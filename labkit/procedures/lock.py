"""``lock``: find the fringe, put the set-point at the wanted φ₀, close the loop, measure noise."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import constants

from analysis.fits import FringeFit, fit_fringe
from analysis.palette import COLORS, FAINT
from labkit.procedures import Result
from labkit.procedures.session import LockLostError, Session, check_options
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


STRAYED_HZ = 3e9
"""A laser so far from its set wavelength is told when there is no fringe: most are set to 25 pm."""

LARGEST_PHASE = 1.0
"""Beyond this distance from the middle of a slope the fringe is too flat to hold, rad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LockOptions:
    """How to look for the fringe.

    Attributes
    ----------
    span : float
        Range of the actuator voltage that is scanned around 0 V, V; at most twice the station's
        ``lock_range``.
    points : int
        Voltages in the scan.
    readings : int
        Error readings after locking, for the residual phase noise.
    attempts : int
        How often to try.
    phase : float
        φ₀ to hold, rad from the middle of the fringe's slope, within ± `LARGEST_PHASE`.
    largest_noise : float
        Residual phase noise that still counts as locked, rad rms.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    span: float = 6.0
    points: int = 81
    readings: int = 100
    attempts: int = 3
    phase: float = 0.0
    largest_noise: float = 0.2

    def __post_init__(self) -> None:
        check_options(
            self,
            positive=("span", "largest_noise"),
            at_least={"points": 5, "readings": 1, "attempts": 1},
        )
        if not abs(self.phase) <= LARGEST_PHASE:
            message = (
                f"`phase` must lie within ± {LARGEST_PHASE:g} rad, where the fringe is steep "
                f"enough to hold, but is {self.phase:g}"
            )
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LockResult(Result):
    """The fringe and how well it is held.

    Attributes
    ----------
    volts, error : ndarray
        The scan: actuator voltage and error signal, V.
    fringe : FringeFit
        Its sine fit; ``period`` is the actuator voltage of 2π.
    setpoint : float
        Error signal that is held, V.
    phase_noise : float
        σ, standard deviation of the locked phase, rad: rms error over the slope of the fringe.
    phase_noise_sigma : float
        Of readings that are independent: σ/√(2 · readings).
    contrast_loss : float
        1 − e^(−2σ²): what that costs the interference, whose phase has 2 φ₀ in it (pump and read).
    """

    procedure: ClassVar[str] = "lock"
    volts: NDArray[np.float64]
    error: NDArray[np.float64]
    fringe: FringeFit
    setpoint: float
    phase_noise: float
    phase_noise_sigma: float
    contrast_loss: float

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "fringe_volts": self.fringe.amplitude.value,
            "fringe_sigma_volts": self.fringe.amplitude.sigma,
            "volts_per_2pi": self.fringe.period.value,
            "volts_per_2pi_sigma": self.fringe.period.sigma,
            "setpoint_volts": self.setpoint,
            "phase_noise": self.phase_noise,
            "phase_noise_sigma": self.phase_noise_sigma,
            "contrast_loss": self.contrast_loss,
        }

    def __str__(self) -> str:
        return (
            f"fringe of {self.fringe.amplitude.value:.3g} V, 2π per "
            f"{self.fringe.period.value:.3g} V; locked to "
            f"{self.phase_noise:.3g} ± {self.phase_noise_sigma:.1g} rad rms "
            f"(costs {100 * self.contrast_loss:.2g} % contrast)"
        )

    def plot(self) -> "Figure":
        """Draw the scan and its fit."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3.2), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(self.volts, self.error, ".", color=COLORS[0], label="scan")
        fine = np.linspace(self.volts[0], self.volts[-1], 400)
        axes.plot(fine, self.fringe.curve(fine), lw=1, color=COLORS[1], label="fit")
        axes.axhline(self.setpoint, color=FAINT, lw=1, ls="--", label="set-point")
        axes.set_title(f"locked to {self.phase_noise:.3f} rad rms", fontsize=9)
        axes.set(xlabel="actuator (V)", ylabel="error signal (V)")
        axes.legend(frameon=False, loc="upper right")
        return figure


def lock(session: Session, sequence: PulseSequence, options: LockOptions) -> LockResult:
    """Lock the interferometer; it stays locked on return.

    The loop is opened and the actuator scanned around mid-range. The set-point is offset +
    amplitude · sin φ₀ of the fringe; the loop is closed on the rising slope next to mid-range, or
    on the falling one if the servo's sign wants that.

    Changes the servo's set-point and output. After a failure the loop is open.

    Raises
    ------
    LockLostError
        If there is no fringe, or the loop does not hold after all attempts.
    """
    session.arm(sequence)
    servo = session.lab.phase_lock
    session.fringe_volts = None
    last = ""
    for attempt in range(1, options.attempts + 1):
        servo.release()
        volts, error = _scan(session, options)
        try:
            fringe = fit_fringe(volts, error)
        except ValueError as problem:
            last = f"no fringe: {problem}"
            continue
        if fringe.amplitude.value < 5 * fringe.amplitude.sigma:
            last = f"no fringe: amplitude {fringe.amplitude} V"
            continue
        setpoint = fringe.offset.value + fringe.amplitude.value * np.sin(options.phase)
        servo.setpoint(float(setpoint))
        slope = fringe.amplitude.value * np.cos(options.phase)
        for volt in _starts(fringe, options.phase):
            servo.engage(near=volt)
            noise = _residual(session, options) / slope
            if servo.lock_state() == "locked" and noise <= options.largest_noise:
                session.say(f"locked at attempt {attempt}: {noise:.3g} rad rms")
                session.fringe_volts = float(slope)
                return LockResult(
                    volts=volts, error=error, fringe=fringe, setpoint=float(setpoint),
                    phase_noise=float(noise),
                    phase_noise_sigma=float(noise / np.sqrt(2 * options.readings)),
                    contrast_loss=float(-np.expm1(-2 * noise**2)),
                )  # fmt: skip
            last = f"the loop does not hold: {servo.lock_state()}, {noise:.2g} rad rms"
            servo.release()
    message = (
        f"the interferometer cannot be locked after {options.attempts} attempts; {last}; check the "
        "lock pulse, both arms' light, and the servo's gains"
    )
    raise LockLostError("; ".join([message, *_strayed(session)]))


def _strayed(session: Session) -> Iterator[str]:
    """Name lasers that the wavemeters see elsewhere than they are set to: then no light passes."""
    for name, laser in session.lab.lasers.items():
        if name not in session.lab.wavemeters:
            continue
        set_to = constants.c / float(laser.wavelength())
        try:
            away = session.lab.laser_frequency(name) - set_to
        except RuntimeError:  # no value: nothing is known of it
            continue
        if abs(away) > STRAYED_HZ:
            yield (
                f"by its wavemeter the {name} laser is {away / 1e9:+.1f} GHz from where it is set "
                "to: another mode, or one of them is not calibrated"
            )


def _scan(
    session: Session, options: LockOptions
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    servo = session.lab.phase_lock
    reach = min(options.span / 2, session.lab.file.config.lock_range)
    volts = np.linspace(-reach, reach, options.points)
    error = np.empty_like(volts)
    servo.setpoint(0.0)
    for i, value in enumerate(volts):
        servo.output(float(value))
        error[i] = servo.error()
    return volts, error


def _starts(fringe: FringeFit, phase: float) -> tuple[float, float]:
    """Return the voltages nearest to mid-range at which the rising, the falling slope has φ₀."""
    period = fringe.period.value
    angles = np.array([phase, np.pi - phase]) - fringe.phase.value
    turns = angles / (2 * np.pi)
    rising, falling = (turns - np.round(turns)) * period
    return float(rising), float(falling)


def _residual(session: Session, options: LockOptions) -> float:
    servo = session.lab.phase_lock
    readings = np.array([servo.error() for _ in range(options.readings)])
    return float(np.sqrt(np.mean(readings**2)))
