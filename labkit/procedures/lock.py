"""``lock``: find the fringe, take the set-point on its slope, close the loop, measure the rest."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from analysis.fits import FringeFit, fit_fringe
from labkit.procedures.session import LARGEST_PHASE_NOISE, LockLostError, Session
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True, kw_only=True)
class LockOptions:
    """How to look for the fringe.

    Attributes
    ----------
    span : float
        Range of the actuator voltage that is scanned around the middle of its range, V.
    points : int
        Voltages in the scan.
    readings : int
        Error readings after locking, for the residual phase noise.
    attempts : int
        How often to try.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    span: float = 6.0
    points: int = 81
    readings: int = 100
    attempts: int = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LockResult:
    """The fringe and how well it is held.

    Attributes
    ----------
    volts, error : ndarray
        The scan: actuator voltage and error signal, V.
    fringe : FringeFit
        Its sine fit; ``period`` is the actuator voltage of 2π.
    phase_noise : float
        Standard deviation of the locked phase, rad: rms error / fringe amplitude.
    contrast_loss : float
        1 − e^(−(2σ)²/2): what that costs the interference, whose phase holds the interferometer's
        twice, once for the pump and once for the read photon.
    """

    volts: NDArray[np.float64]
    error: NDArray[np.float64]
    fringe: FringeFit
    phase_noise: float
    contrast_loss: float

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "fringe_volts": self.fringe.amplitude.value,
            "volts_per_2pi": self.fringe.period.value,
            "phase_noise": self.phase_noise,
            "contrast_loss": self.contrast_loss,
        }

    def __str__(self) -> str:
        return (
            f"fringe of {self.fringe.amplitude.value:.3g} V, 2π per "
            f"{self.fringe.period.value:.3g} V; locked to {self.phase_noise:.3g} rad rms "
            f"(costs {100 * self.contrast_loss:.2g} % contrast)"
        )

    def plot(self) -> "Figure":
        """Draw the scan and its fit."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3.2), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(self.volts, self.error, ".", label="scan")
        fine = np.linspace(self.volts[0], self.volts[-1], 400)
        axes.plot(fine, self.fringe.curve(fine), lw=1, label="fit")
        axes.set(xlabel="actuator (V)", ylabel="error signal (V)")
        axes.legend(frameon=False)
        return figure


def lock(session: Session, sequence: PulseSequence, options: LockOptions) -> LockResult:
    """Lock the interferometer; it stays locked on return.

    The loop is opened and the actuator scanned around mid-range; the set-point is the middle of
    the fringe, the output starts on the slope that the servo's sign makes stable.

    Raises
    ------
    LockLostError
        If there is no fringe, or the loop does not hold after all attempts.
    """
    session.arm(sequence)
    servo = session.lab.phase_lock
    last = ""
    for attempt in range(1, options.attempts + 1):
        servo.release()
        volts, error = _scan(session, options)
        fringe = fit_fringe(volts, error)
        if fringe.amplitude.value < 5 * fringe.amplitude.sigma or fringe.amplitude.value <= 0:
            last = f"no fringe: amplitude {fringe.amplitude} V"
            continue
        servo.setpoint(float(fringe.offset.value))
        for slope in (0.0, 0.5):
            servo.output(_zero_crossing(fringe, options, slope))
            servo.engage()
            session.fringe_volts = float(fringe.amplitude.value)
            noise = session.phase_noise(options.readings)
            if servo.lock_state() == "locked" and noise < LARGEST_PHASE_NOISE:
                session.say(f"locked at attempt {attempt}: {noise:.3g} rad rms")
                return LockResult(
                    volts=volts, error=error, fringe=fringe, phase_noise=noise,
                    contrast_loss=float(-np.expm1(-2 * noise**2)),
                )  # fmt: skip
            servo.release()
            last = f"the loop does not hold: {servo.lock_state()}, {noise:.2g} rad rms"
    message = (
        f"the interferometer cannot be locked after {options.attempts} attempts; {last}; check the "
        "lock pulse, both arms' light, and the servo's gains"
    )
    raise LockLostError(message)


def _scan(
    session: Session, options: LockOptions
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    servo = session.lab.phase_lock
    volts = np.linspace(-options.span / 2, options.span / 2, options.points)
    error = np.empty_like(volts)
    servo.setpoint(0.0)
    for i, value in enumerate(volts):
        servo.output(float(value))
        error[i] = servo.error()
    return volts, error


def _zero_crossing(fringe: FringeFit, options: LockOptions, slope: float) -> float:
    """Return the mid-fringe voltage next to mid-range: rising (slope 0) or falling (0.5) one."""
    period = fringe.period.value
    crossing = (slope - fringe.phase.value / (2 * np.pi)) * period
    return float(crossing - np.round(crossing / period) * period)
