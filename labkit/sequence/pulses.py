"""What happens in one trial: pulses, their lasers, frequency shifts and phases; and its gates."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import isfinite, pi
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from analysis.gates import Gate, GateSet, TrialStart
from analysis.yamlfile import read_mapping

Array = NDArray[np.float64]


def _require_finite(name: str, value: float) -> None:
    if not isfinite(value):
        message = f"{name} must be a finite number, but is {value:g}"
        raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """One optical pulse of the trial.

    Attributes
    ----------
    name : str
        ``pump``, ``read``, ``lock``, or another word.
    laser : {"pump", "read"}
        Which laser it is cut from: ``pump`` sits on the upper mechanical sideband (Stokes),
        ``read`` on the lower one (anti-Stokes). The lock pulse uses the read laser.
    start : float
        Middle of its leading edge at the devices, in s after the trial's trigger.
    duration : float
        Full width at half maximum, s.
    edge : float
        10 % to 90 % rise and fall time, s.
    level : float
        Drive of the AOM as a fraction of the calibrated full level, 0 to 1; the pulse energy is
        proportional to its square sine (see `labkit.compiler`).
    shift_hz : float
        Serrodyne frequency shift in the arm of device A, Hz (with sign).
    phase : float
        Phase offset at the pulse's start, rad, of B relative to A: Δφ of
        `simulation.theory.dlcz.state` if it is the read pulse.
    gated : bool
        Whether clicks of this pulse are counted.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: str
    laser: Literal["pump", "read"]
    start: float
    duration: float
    edge: float = 8e-9
    level: float = 1.0
    shift_hz: float = 0.0
    phase: float = 0.0
    gated: bool = True

    def __post_init__(self) -> None:
        for name in ("start", "duration", "edge", "level", "shift_hz", "phase"):
            _require_finite(f"pulse {self.name!r}: `{name}`", getattr(self, name))

    @property
    def stop(self) -> float:
        """Middle of the trailing edge, s."""
        return self.start + self.duration

    def modulation(self, time: Array) -> Array:
        """Return the modulator's phase (rad, in (−π, π]) in arm A at instants (s): 2πft − phase.

        t counts from the pulse's start. As `phase` is of B relative to A, arm A has its negative.
        """
        turning = 2 * np.pi * self.shift_hz * (time - self.start) - self.phase
        return np.asarray(np.pi - np.mod(np.pi - turning, 2 * np.pi))

    @property
    def feet(self) -> tuple[float, float]:
        """Where light begins and ends: one edge time before `start` and after `stop`, s."""
        return self.start - self.edge, self.stop + self.edge


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """How clicks relate to pulses.

    Attributes
    ----------
    cable_delay : float
        From light at the devices to the tag, s, relative to the trigger's own path.
    jitter : float
        Standard deviation of a click's time, s; gates are widened by 4 of it on either side.
    detectors : dict of int to int
        Detector number to the tagger's channel as it stands in the tag file.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    cable_delay: float = 0.0
    jitter: float = 0.3e-9
    detectors: dict[int, int] = field(default_factory=lambda: {1: 0, 2: 1})

    def __post_init__(self) -> None:
        _require_finite("`cable_delay`", self.cable_delay)
        _require_finite("`jitter`", self.jitter)
        if self.jitter < 0:
            message = f"`jitter` must be 0 s or more, but is {self.jitter:g}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseSequence:
    """One trial of the experiment, repeated for ever.

    Attributes
    ----------
    period : float
        Seconds from one trial to the next.
    pulses : tuple of Pulse
        In time order.
    detection : Detection
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    period: float
    pulses: tuple[Pulse, ...]
    detection: Detection = Detection()

    def __post_init__(self) -> None:
        _require_finite("`period`", self.period)
        if self.period <= 0:
            message = f"`period` must be > 0 s, but is {self.period:g}"
            raise ValueError(message)
        object.__setattr__(self, "pulses", tuple(sorted(self.pulses, key=lambda p: p.start)))
        names = [pulse.name for pulse in self.pulses]
        if len(set(names)) < len(names):
            message = f"pulse names must differ, but are {', '.join(names)}"
            raise ValueError(message)

    def pulse(self, name: str) -> Pulse:
        """Return the pulse of that name.

        Raises
        ------
        KeyError
            If there is none; the message lists the names.
        """
        for pulse in self.pulses:
            if pulse.name == name:
                return pulse
        message = f"no pulse {name!r}; there are {', '.join(p.name for p in self.pulses)}"
        raise KeyError(message)

    def with_pulse(self, name: str, **changes: object) -> "PulseSequence":
        """Return the sequence with one pulse changed."""
        old = self.pulse(name)
        new = replace(old, **changes)  # type: ignore[arg-type]
        return replace(self, pulses=tuple(new if p is old else p for p in self.pulses))

    def without_pulse(self, name: str) -> "PulseSequence":
        """Return the sequence with one pulse left out."""
        old = self.pulse(name)
        return replace(self, pulses=tuple(p for p in self.pulses if p is not old))

    @property
    def delay(self) -> float:
        """From the start of the pump to the start of the read pulse, s."""
        return self.pulse("read").start - self.pulse("pump").start

    def with_delay(self, delay: float) -> "PulseSequence":
        """Return the sequence with the read pulse at this delay; the lock pulse keeps its time."""
        return self.with_pulse("read", start=self.pulse("pump").start + delay)

    def with_read_phase(self, delta_phi: float) -> "PulseSequence":
        """Return the sequence with the phase Δφ (rad, of B relative to A) on the read pulse."""
        return self.with_pulse("read", phase=delta_phi)

    @property
    def gates(self) -> GateSet:
        """The analysis gates: every gated pulse, with edges, cable delay and 4 σ of jitter.

        They hold at least 99 % of a pulse's clicks where filters delay light by less than an edge.

        Raises
        ------
        ValueError
            If gates overlap or leave the period.
        """
        margin = 4 * self.detection.jitter
        gates = []
        for pulse in self.pulses:
            if pulse.gated:
                foot, end = pulse.feet
                start = max(0.0, foot + self.detection.cable_delay - margin)
                stop = end + self.detection.cable_delay + margin
                gates.append(Gate(name=pulse.name, start=round(start, 12), stop=round(stop, 12)))
        return GateSet(
            period=self.period,
            detectors=self.detection.detectors,
            gates=tuple(gates),
            trial=TrialStart(),
        )

    @property
    def duty_cycle(self) -> float:
        """Fraction of time with light on the devices."""
        return sum(p.duration for p in self.pulses) / self.period

    def to_dict(self) -> dict[str, object]:
        """Return plain types, as in an experiment file."""
        return {
            "period": self.period,
            "pulses": {
                p.name: {
                    "laser": p.laser, "start": p.start, "duration": p.duration, "edge": p.edge,
                    "level": p.level, "shift_hz": p.shift_hz, "phase": p.phase, "gated": p.gated,
                }
                for p in self.pulses
            },
            "detection": {
                "cable_delay": self.detection.cable_delay,
                "jitter": self.detection.jitter,
                "detectors": dict(self.detection.detectors),
            },
        }  # fmt: skip

    @classmethod
    def from_dict(cls, plain: object, *, where: str = "sequence") -> "PulseSequence":
        """Read the plain form; `where` names its origin in errors.

        Raises
        ------
        ValueError
            If a key is missing, unknown or of the wrong type.
        """
        if not (isinstance(plain, Mapping) and isinstance(plain.get("pulses"), Mapping)):
            message = f"{where}: must be a mapping with `period` and `pulses` by name"
            raise ValueError(message)
        names = list(plain["pulses"])
        pulses = [
            {"name": name, **values} if isinstance(values, Mapping) else values
            for name, values in plain["pulses"].items()
        ]
        labels = {f"pulses.{i}": f"pulses.{name}" for i, name in enumerate(names)}
        return read_mapping(cls, {**plain, "pulses": pulses}, where, labels=labels)

    @classmethod
    def from_yaml(cls, path: str | Path) -> "PulseSequence":
        """Read a sequence from a YAML file."""
        from analysis.yamlfile import read_yaml

        return cls.from_dict(read_yaml(path), where=str(path))

    def __str__(self) -> str:
        rows = [f"period {self.period * 1e6:g} µs, light on for {100 * self.duty_cycle:.3g} %"]
        for p in self.pulses:
            shift = f"{p.shift_hz / 1e6:+g} MHz" if p.shift_hz else "no shift"
            rows.append(
                f"{p.name:<8} {p.laser:<5} laser  {p.start * 1e9:9.1f} ns + {p.duration * 1e9:g} ns"
                f"  level {p.level:.3g}  {shift}, {p.phase / pi:+.3g} π"
                f"{'' if p.gated else '  not counted'}"
            )
        return "\n".join(rows)


def riedinger2018_sequence(
    *,
    delay: float = 123e-9,
    delta_phi: float = 0.0,
    delta_omega_hz: float = 45e6,
    levels: Mapping[str, float] | None = None,
    detection: Detection | None = None,
) -> PulseSequence:
    """Return the witness sequence of Riedinger et al. (2018).

    Pump to device A shifted by −ΔΩ_m, read by +ΔΩ_m (the supplement's signs), the lock pulse 5 µs
    after the read (at the paper's delay of 123 ns) without shift. The paper does not give pulse
    lengths: 40 ns with 8 ns edges.

    Parameters
    ----------
    delay : float
        From pump to read, s.
    delta_phi : float
        Phase Δφ of the read pulse, of B relative to A, rad.
    delta_omega_hz : float
        Ω_B − Ω_A over 2π, Hz.
    levels : mapping of str to float, optional
        AOM drive of ``pump``, ``read`` and ``lock``; set-up dependent, 1 where not given.
    detection : Detection, optional
    """
    drive = {"pump": 1.0, "read": 1.0, "lock": 1.0, **(levels or {})}
    if not isfinite(delay) or delay <= 0:
        message = f"`delay` must be > 0 s, but is {delay!r}"
        raise ValueError(message)
    pump = Pulse(
        name="pump",
        laser="pump",
        start=400e-9,
        duration=40e-9,
        level=drive["pump"],
        shift_hz=-delta_omega_hz,
    )
    read = Pulse(
        name="read",
        laser="read",
        start=pump.start + delay,
        duration=40e-9,
        level=drive["read"],
        shift_hz=delta_omega_hz,
        phase=delta_phi,
    )
    lock = Pulse(
        name="lock",
        laser="read",
        start=pump.start + 123e-9 + pump.duration + 5e-6,
        duration=0.8e-6,
        edge=20e-9,
        level=drive["lock"],
        gated=False,
    )
    return PulseSequence(
        period=50e-6, pulses=(pump, read, lock), detection=detection or Detection()
    )
