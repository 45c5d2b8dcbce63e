"""What may go wrong in the laboratory itself, at a virtual time and for a while."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from math import isfinite
from typing import Final, Literal, Self, get_args

from simulation.lab.plant import Plant
from simulation.lab.wiring import LASERS
from simulation.lab.world_parameters import FILTERS

PlantFaultKind = Literal[
    "lock_loss",
    "mode_hop",
    "filter_drift",
    "warm_cryostat",
    "latched_detector",
    "fifo_full",
    "dropped_events",
    "sync_loss",
    "splitting",
    "read_splitting",
    "arm_transmission",
    "laser_gain",
    "polarisation_angle",
    "polarisation_drift",
    "arm_drift",
    "power_drift",
    "splitting_drift",
    "laser_noise",
    "mechanical_jitter_hz",
    "path_mismatch",
    "heating_curvature",
    "modulator_sign",
    "afterpulse",
    "recovery_time",
    "crosstalk",
    "stray_light_hz",
    "swapped_detectors",
    "period",
]

CONSTANTS: Final = {
    "splitting": 0.99,
    "read_splitting": 0.6,
    "arm_transmission": 0.5,
    "laser_gain": 3.0,
    "polarisation_angle": 0.8,
    "polarisation_drift": 0.02,
    "arm_drift": 0.1,
    "power_drift": 0.1,
    "splitting_drift": 0.02,
    "laser_noise": 1e-5,
    "mechanical_jitter_hz": 5e5,
    "path_mismatch": 10.0,
    "heating_curvature": 2e12,
    "modulator_sign": -1.0,
    "afterpulse": 0.01,
    "recovery_time": 2e-7,
    "crosstalk": 1e-3,
    "stray_light_hz": 20.0,
    "swapped_detectors": 1.0,
    "period": 60e-6,
}
"""Constants of the world that a fault may change, by name, and what to."""

_DEFAULTS: Final = {
    "mode_hop": 12e9,
    "filter_drift": 40e6,
    "warm_cryostat": 0.5,
    "dropped_events": 0.5,
    **CONSTANTS,
}
_TARGETS: Final[dict[str, tuple[str, ...]]] = {
    "mode_hop": LASERS,
    "filter_drift": FILTERS,
    "latched_detector": ("1", "2"),
    **dict.fromkeys(("laser_gain", "laser_noise"), ("", *LASERS)),
    **dict.fromkeys(("arm_transmission", "mechanical_jitter_hz"), ("", "A", "B")),
    **dict.fromkeys(("afterpulse", "recovery_time", "crosstalk", "stray_light_hz"), ("", "1", "2")),
}
_LASTING: Final = ("warm_cryostat", "dropped_events", "sync_loss", *CONSTANTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantFault:
    """One fault of the laboratory.

    Attributes
    ----------
    kind : str
        ``lock_loss`` (the servo hangs at its limit until it is engaged anew), ``mode_hop`` (of
        laser `target` by `value` Hz, until it is tuned or switched), ``filter_drift`` (of filter
        `target` by `value` Hz), ``warm_cryostat`` (to `value` K), ``latched_detector`` (`target`
        1 or 2, until its bias went to 0), ``fifo_full`` (once), ``dropped_events`` (the part
        `value` of them), ``sync_loss`` (the tagger's trigger cable is off). Or the name of a
        constant of the world that takes on `value`: `CONSTANTS`, explained by `WorldParameters`.
    at : float
        Virtual time at which it begins, s.
    duration : float or None
        How long it lasts, s; None for good. Only for ``warm_cryostat``, ``dropped_events``,
        ``sync_loss`` and constants: the others end by what the user does.
    target : str
        Laser, filter or detector; of a constant that is a pair: which (laser ``pump``, ``read``,
        device ``A``, ``B``, detector ``1``, ``2``), empty for both.
    value : float or None
        Size; None for the usual one (12 GHz, 40 MHz, 0.5 K, 0.5; of constants: `CONSTANTS`).
    """

    kind: PlantFaultKind
    at: float = 0.0
    duration: float | None = None
    target: str = ""
    value: float | None = None

    def __post_init__(self) -> None:
        kinds = get_args(PlantFaultKind)
        if self.kind not in kinds:
            message = f"`kind` must be one of {', '.join(kinds)}, but is {self.kind!r}"
            raise ValueError(message)
        allowed = _TARGETS.get(self.kind, ("",))
        if self.target not in allowed:
            named = ", ".join(filter(None, allowed)) or "none"
            message = f"`target` of {self.kind} must be one of {named}, but is {self.target!r}"
            raise ValueError(message)
        if self.duration is not None and (self.kind not in _LASTING or not self.duration > 0):
            message = (
                f"`duration` must be > 0 s and belongs to {', '.join(_LASTING)} only, "
                f"but is {self.duration} for {self.kind}"
            )
            raise ValueError(message)
        if not isfinite(self.at) or not isfinite(self.size):
            message = f"`at` and `value` must be finite, but are {self.at} and {self.value}"
            raise ValueError(message)

    @property
    def size(self) -> float:
        """The fault's `value`, or the usual one."""
        return _DEFAULTS.get(self.kind, 0.0) if self.value is None else self.value

    @classmethod
    def from_plain(cls, plain: Mapping[str, object]) -> Self:
        """Read a fault from a mapping, as in a station file."""
        known = [entry.name for entry in fields(cls)]
        unknown = sorted(set(plain) - set(known))
        if unknown or "kind" not in plain:
            wrong = f"has unknown {', '.join(unknown)}" if unknown else "has no kind"
            message = (
                f"a plant fault must be a mapping with kind and some of {known[1:]}, but {wrong}"
            )
            raise ValueError(message)
        values = dict(plain)
        if "target" in values:
            values["target"] = str(values["target"])
        return cls(**values)  # type: ignore[arg-type]  # values of a file, checked on use


def schedule(plant: Plant, *faults: PlantFault) -> None:
    """Let faults happen at their virtual times; those of the past happen at once."""
    with plant.clock.lock:
        for fault in faults:
            begin = _BEGIN[fault.kind]
            if fault.at <= plant.clock.now():
                begin(plant, fault)
            else:
                plant.clock.at(fault.at, partial(begin, plant, fault))
            if fault.duration is not None:
                plant.clock.at(fault.at + fault.duration, partial(_END[fault.kind], plant))


def mend(plant: Plant) -> None:
    """End all lasting faults now; what the user must repair stays broken."""
    with plant.clock.lock:
        for end in _END.values():
            end(plant)


def _lose_lock(plant: Plant, _: PlantFault) -> None:
    plant.interferometer.lose_lock()


def _hop(plant: Plant, fault: PlantFault) -> None:
    plant.light.hop(LASERS.index(fault.target), fault.size)


def _drift(plant: Plant, fault: PlantFault) -> None:
    plant.light.shift_filter(fault.target, fault.size)


def _warm(plant: Plant, fault: PlantFault) -> None:
    plant.temperature = fault.size


def _latch(plant: Plant, fault: PlantFault) -> None:
    plant.detectors[int(fault.target) - 1].latched = True


def _fill(plant: Plant, _: PlantFault) -> None:
    plant.recorder.troubles.overflow = True


def _drop(plant: Plant, fault: PlantFault) -> None:
    plant.recorder.troubles.keep = 1 - fault.size


def _unplug(plant: Plant, _: PlantFault) -> None:
    plant.recorder.troubles.sync_off = True


def _change(plant: Plant, fault: PlantFault) -> None:
    targets = [target for target in _TARGETS.get(fault.kind, ()) if target]
    place = targets.index(fault.target) if fault.target else None
    kept = getattr(plant.constants, fault.kind)
    plant.change(fault.kind, bool(fault.size) if isinstance(kept, bool) else fault.size, place)


def _restore(name: str, plant: Plant) -> None:
    plant.restore(name)


def _cool(plant: Plant) -> None:
    plant.temperature = plant.parameters.temperature


def _stop_dropping(plant: Plant) -> None:
    plant.recorder.troubles.keep = 1.0


def _plug(plant: Plant) -> None:
    plant.recorder.troubles.sync_off = False


_BEGIN: Final[dict[str, Callable[[Plant, PlantFault], None]]] = {
    "lock_loss": _lose_lock,
    "mode_hop": _hop,
    "filter_drift": _drift,
    "warm_cryostat": _warm,
    "latched_detector": _latch,
    "fifo_full": _fill,
    "dropped_events": _drop,
    "sync_loss": _unplug,
    **dict.fromkeys(CONSTANTS, _change),
}
_END: Final[dict[str, Callable[[Plant], None]]] = {
    "warm_cryostat": _cool,
    "dropped_events": _stop_dropping,
    "sync_loss": _plug,
    **{name: partial(_restore, name) for name in CONSTANTS},
}
