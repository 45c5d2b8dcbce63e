"""``pump_probe``: one device's phonons against the time after a pump pulse; its lifetimes."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from analysis.fits import HeatingFit, fit_heating
from labkit.procedures import Result
from labkit.procedures.repair import tune_if_due
from labkit.procedures.session import Device, Session, check_options, only
from labkit.run.progress import said_setting
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
Clicks = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpProbeOptions:
    """Delays of the probe (read) pulse after the pump.

    Attributes
    ----------
    device : {"A", "B"}
    delays : tuple of float
        s; up to where the tagger's range ends.
    trials : int
        Per delay, and for the reference.
    rounds : int
        In so many parts, visiting all delays each time, so that drifts hit all alike; the filters
        are tuned in between when it is time.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    device: Device = "A"
    delays: tuple[float, ...] = tuple(
        float(t) for t in np.round(np.geomspace(0.1e-6, 7.3e-6, 16), 9)
    )
    trials: int = 100_000_000
    rounds: int = 5

    def __post_init__(self) -> None:
        check_options(self, positive=("delays",), at_least={"rounds": 1, "trials": self.rounds})
        if len(set(self.delays)) < 5:  # with the probe alone as many as the fit needs
            message = f"`delays` must be at least 5 different ones, but are {self.delays}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PumpProbeResult(Result):
    """Phonons against delay after the pump, and the fit of the supplement's rate equation.

    Attributes
    ----------
    device : str
    delays : ndarray
        From the start of the pump to that of the probe, s.
    phonons, sigma : ndarray
        Probe signal and its standard deviation in phonons; n_leak and n_bg included, as in the
        paper's n_final.
    alone, alone_sigma : float
        The same without a pump pulse.
    fit : HeatingFit
        Of all these; the probe alone stands for a delay of one period.
    """

    procedure: ClassVar[str] = "pump_probe"
    device: str
    delays: Array
    phonons: Array
    sigma: Array
    alone: float
    alone_sigma: float
    fit: HeatingFit

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        fitted = {
            name: {"value": estimate.value, "sigma": estimate.sigma}
            for name in ("a", "b", "lifetime", "bath_lifetime", "n_final")
            for estimate in (getattr(self.fit, name),)
        }
        return {
            "device": self.device,
            "delay": self.delays.tolist(),
            "phonons": self.phonons.tolist(),
            "sigma": self.sigma.tolist(),
            "alone": self.alone,
            "alone_sigma": self.alone_sigma,
            **fitted,
        }

    def __str__(self) -> str:
        return f"device {self.device}\n{self.fit}"

    def plot(self) -> "Figure":
        """Draw phonons against delay with the fit."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.errorbar(self.delays * 1e6, self.phonons, self.sigma, fmt="o", ms=4, color="#57534e")
        fine = np.linspace(self.delays[0], self.delays[-1], 400)
        axes.plot(fine * 1e6, self.fit.curve(fine), lw=1, color="#c2410c")
        axes.axhspan(
            self.alone - self.alone_sigma, self.alone + self.alone_sigma, color="#a8a29e",
            alpha=0.5, lw=0, label="probe alone",
        )  # fmt: skip
        axes.legend(frameon=False)
        axes.set(xlabel="delay (µs)", ylabel="probe signal (phonons)", ylim=(0, None))
        axes.set_title(
            f"device {self.device}: 1/Γ = {self.fit.lifetime.value * 1e6:.2f} µs, "
            f"1/γ = {self.fit.bath_lifetime.value * 1e6:.2f} µs",
            fontsize=9,
        )
        return figure


def pump_probe(
    session: Session, sequence: PulseSequence, options: PumpProbeOptions
) -> PumpProbeResult:
    """Measure the delayed heating of one device by its pump pulse.

    The signal is calibrated without knowing any pulse energy: the probe's own pulse, given to the
    pump laser, scatters n + 1 photons where the probe scatters n. With q the ratio of probe to
    reference clicks and q₀ that ratio without a pump, the phonons are q/(1 − q₀), correct to first
    order in the probe's scattering probability (5 %). Clicks of the pump pulse itself tell how the
    set-up drifts from block to block, and are divided out. Lasers of equal power behind their
    filters are assumed: tune these (`filters`) first.

    The lock pulse is left out meanwhile (it would heat, or be in the way) and the other arm
    blocked; lock anew where the phase matters.

    Raises
    ------
    RuntimeError
        If the pump or the reference gives no clicks.
    ValueError
        If the fit does not determine the curve: take more trials, a stronger pump, other delays.
    """
    delays = np.array(options.delays)
    probe, pump, alone, reference = _measure(session, sequence, options)
    if reference == 0 or pump.min() == 0:
        message = (
            f"device {options.device}: the pump laser must give Stokes clicks, but gives "
            f"{reference} with the probe's pulse and {pump.min()} with its own; check its light"
        )
        raise RuntimeError(message)
    q = np.append(probe / (pump / pump.mean()), alone) / reference
    noise = 1 / np.maximum(np.append(probe, alone), 1) + np.append(1 / pump, 0.0)
    phonons = q / (1 - q[-1])
    sigma = np.maximum(phonons, 1 / reference) * np.sqrt(noise)
    return PumpProbeResult(
        device=options.device, delays=delays, phonons=phonons[:-1], sigma=sigma[:-1],
        alone=float(phonons[-1]), alone_sigma=float(sigma[-1]),
        fit=fit_heating(np.append(delays, sequence.period), phonons, sigma),
    )  # fmt: skip


def _measure(
    session: Session, sequence: PulseSequence, options: PumpProbeOptions
) -> tuple[Clicks, Clicks, int, int]:
    """Return clicks of probe and pump by delay, of the probe alone, and of the reference."""
    plain = sequence
    if any(pulse.name == "lock" for pulse in sequence.pulses):
        plain = sequence.without_pulse("lock")
    single, strong = plain.without_pulse("pump"), probe_on_upper_sideband(plain)
    session.check(plain.with_delay(delay) for delay in options.delays)
    probe, pump = np.zeros((2, len(options.delays)), np.int64)
    alone = reference = 0
    with only(session, options.device):
        for _ in session.steps("rounds", range(options.rounds)):
            delays = list(enumerate(options.delays))
            for number, delay in session.steps("pump_probe", delays, _said_delay):
                tune_if_due(session, sequence)
                pair = _clicks(session, plain.with_delay(delay), delay, options)
                pump[number] += pair[0]
                probe[number] += pair[1]
            alone += _clicks(session, single, "probe alone", options)[0]
            reference += _clicks(session, strong, "reference", options)[0]
            session.point(f"device {options.device}: {probe[0]} to {probe[-1]} probe clicks")
    return probe, pump, alone, reference


def _said_delay(point: tuple[int, float]) -> str:
    return said_setting("delay", point[1])


def _clicks(
    session: Session, sequence: PulseSequence, delay: float | str, options: PumpProbeOptions
) -> Clicks:
    """Return the clicks of each gate."""
    setting: dict[str, float | str] = {
        "procedure": "pump_probe", "device": options.device, "delay": delay,
    }  # fmt: skip
    trials = options.trials // options.rounds
    return np.asarray(session.clicks(sequence, trials, setting, keep=True).singles.sum(axis=1))


def probe_on_upper_sideband(sequence: PulseSequence) -> PulseSequence:
    """Return the trial whose only pulse is the read pulse, made with the pump laser instead.

    It keeps the pump's frequency shift, so that its photons pass the same filters.
    """
    pump, read = sequence.pulse("pump"), sequence.pulse("read")
    strong = replace(pump, duration=read.duration, edge=read.edge, level=read.level)
    return replace(sequence, pulses=(strong,))
