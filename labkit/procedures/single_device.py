"""``g2``, ``thermometry``, ``pump_probe``: one device at a time, the other arm blocked."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from analysis.correlation import GammaPosterior, pooled_g2
from analysis.evaluation import evaluate
from analysis.fits import HeatingFit, fit_heating
from labkit.procedures.session import Session
from labkit.sequence import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Device = Literal["A", "B"]
CLOSED = 1e-3
"""Transmission that counts as a blocked arm."""


@contextmanager
def only(session: Session, device: Device) -> Iterator[None]:
    """Block the other arm; its attenuator is set back at the end."""
    other = session.lab.attenuators["B" if device == "A" else "A"]
    before = float(other.transmission())
    other.transmission(CLOSED)
    try:
        yield
    finally:
        other.transmission(before)


@dataclass(frozen=True, slots=True, kw_only=True)
class G2Options:
    """Which device, and how long."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    device: Device = "A"
    trials: int = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class G2Result:
    """Cross-correlation of one device's read and pump photons, pooled over detectors."""

    device: str
    posterior: GammaPosterior

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        low, high = (float(q) for q in self.posterior.quantile([0.16, 0.84]))
        return {"device": self.device, "g2": self.posterior.mode, "low": low, "high": high}

    def __str__(self) -> str:
        low, high = self.posterior.quantile([0.16, 0.84])
        return f"device {self.device}: g² = {self.posterior.mode:.2f}  [{low:.2f}, {high:.2f}]"

    def plot(self) -> "Figure":
        """Draw the density of g²."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(5, 3), layout="constrained")
        axes = figure.add_subplot()
        low, high = self.posterior.quantile([0.0005, 0.9995])
        g = np.linspace(low, high, 300)
        axes.plot(g, self.posterior.density(g))
        axes.set(xlabel="$g^{(2)}$", ylabel="probability density", ylim=(0, None))
        return figure


def g2_of_device(session: Session, sequence: PulseSequence, options: G2Options) -> G2Result:
    """Measure g²(r, p) of one device alone; no lock is needed."""
    with only(session, options.device):
        setting = {"procedure": "g2", "device": options.device}
        block = session.measure(sequence, options.trials, setting, locked=False)
    found = evaluate(block.counts)
    if len(found.g2) < 4:
        message = f"device {options.device}: {'; '.join(found.undefined.values())}"
        raise RuntimeError(message)
    return G2Result(device=options.device, posterior=pooled_g2(found.g2.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermometryOptions:
    """Which device, and how long."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    device: Device = "A"
    trials: int = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ThermometryResult:
    """Mean phonon number by sideband asymmetry.

    Attributes
    ----------
    device : str
    stokes, anti_stokes : int
        Clicks with the pulse on the upper and on the lower sideband, at equal energy.
    n_th : float
        anti_stokes / (stokes − anti_stokes); includes the read pulse's own heating and leaks.
    sigma : float
    """

    device: str
    stokes: int
    anti_stokes: int
    n_th: float
    sigma: float

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "device": self.device, "stokes": self.stokes, "anti_stokes": self.anti_stokes,
            "n_th": self.n_th, "sigma": self.sigma,
        }  # fmt: skip

    def __str__(self) -> str:
        return f"device {self.device}: n_th = {self.n_th:.4f} ± {self.sigma:.4f}"

    def plot(self) -> "Figure":
        """Draw both sidebands."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(3.4, 3), layout="constrained")
        axes = figure.add_subplot()
        axes.bar(["Stokes", "anti-Stokes"], [self.stokes, self.anti_stokes], width=0.6)
        axes.set_ylabel("clicks")
        return figure


def thermometry(
    session: Session, sequence: PulseSequence, options: ThermometryOptions
) -> ThermometryResult:
    """Compare the scattering of equal pulses on both sidebands: rates n + 1 and n.

    n_th = Γ_aS / (Γ_S − Γ_aS), Riedinger et al. (2018) methods; the same pulse shape and level are
    given once to the pump and once to the read laser.
    """
    pump = sequence.pulse("pump")
    alone = {
        "pump": sequence.without_pulse("read"),
        "read": sequence.without_pulse("pump").with_pulse(
            "read", start=pump.start, duration=pump.duration, edge=pump.edge, level=pump.level
        ),
    }
    clicks = {}
    with only(session, options.device):
        for name, single in alone.items():
            setting = {"procedure": "thermometry", "device": options.device, "sideband": name}
            block = session.measure(single, options.trials, setting, locked=False)
            clicks[name] = int(block.counts.singles.sum())
    stokes, anti = clicks["pump"], clicks["read"]
    if stokes <= anti:
        message = (
            f"device {options.device}: Stokes clicks must exceed anti-Stokes ones, but are "
            f"{stokes} and {anti}; check both lasers' wavelengths and powers"
        )
        raise RuntimeError(message)
    n_th = anti / (stokes - anti)
    relative = np.sqrt(stokes * anti * (stokes + anti)) / (stokes - anti) ** 2
    return ThermometryResult(
        device=options.device, stokes=stokes, anti_stokes=anti, n_th=n_th, sigma=float(relative)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PumpProbeOptions:
    """Delays of the probe (read) pulse after the pump."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    device: Device = "A"
    delays: tuple[float, ...] = tuple(
        float(t) for t in np.round(np.geomspace(0.1e-6, 7.5e-6, 16), 9)
    )
    trials: int = 50_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PumpProbeResult:
    """Phonons against delay after the pump, and the fit of the supplement's rate equation.

    Attributes
    ----------
    delays, clicks, phonons, sigma : ndarray
        s; probe clicks; in phonons, calibrated by the pump's Stokes clicks (a signal of one
        phonon, scaled by the pulses' levels); standard deviation.
    fit : HeatingFit
    """

    device: str
    delays: NDArray[np.float64]
    clicks: NDArray[np.int64]
    phonons: NDArray[np.float64]
    sigma: NDArray[np.float64]
    fit: HeatingFit

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {
            "device": self.device,
            "delay": self.delays.tolist(),
            "phonons": self.phonons.tolist(),
            "sigma": self.sigma.tolist(),
            "lifetime": self.fit.lifetime.value,
            "bath_lifetime": self.fit.bath_lifetime.value,
        }

    def __str__(self) -> str:
        return f"device {self.device}\n{self.fit}"

    def plot(self) -> "Figure":
        """Draw phonons against delay with the fit."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.errorbar(self.delays * 1e6, self.phonons, self.sigma, fmt="o")
        fine = np.linspace(self.delays[0], self.delays[-1], 400)
        axes.plot(fine * 1e6, self.fit.curve(fine), lw=1)
        axes.set(xlabel="delay (µs)", ylabel="phonons (calibrated)")
        return figure


def pump_probe(
    session: Session, sequence: PulseSequence, options: PumpProbeOptions
) -> PumpProbeResult:
    """Measure the delayed heating of one device by its pump pulse."""
    clicks, reference = [], 0
    without_lock = sequence.without_pulse("lock")
    with only(session, options.device):
        for delay in options.delays:
            setting = {"procedure": "pump_probe", "device": options.device, "delay": delay}
            block = session.measure(
                without_lock.with_delay(delay), options.trials, setting, locked=False
            )
            reference += int(block.counts.singles[0].sum())
            clicks.append(int(block.counts.singles[1].sum()))
    per_phonon = reference / len(clicks)
    found = np.array(clicks)
    phonons, sigma = found / per_phonon, np.sqrt(found) / per_phonon
    delays = np.array(options.delays)
    return PumpProbeResult(
        device=options.device, delays=delays, clicks=found, phonons=phonons, sigma=sigma,
        fit=fit_heating(delays, phonons, sigma),
    )  # fmt: skip
