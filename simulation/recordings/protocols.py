"""Tag files of later protocols: what each of their settings makes two detectors click.

A herald is a click of detector 1 in the gate ``pump``; the Bell test uses both detectors there,
teleportation asks both to click.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simulation.recordings.clicks import ClickModel, click_model
from simulation.recordings.ptu import Mode, Progress, SimulatedRecording, simulate_ptu
from simulation.recordings.pulses import pulsed_timing
from simulation.theory.models import get
from simulation.theory.protocols import bell2018, memory2020, single_phonons2017, teleportation2021
from simulation.theory.protocols.pulsed_light import PulsedState
from simulation.theory.silent_sets import SILENT

Real = NDArray[np.float64]

SHORTEST_DELAY: Final = 60e-9
"""The read gate begins when the pump gate of 60 ns ends."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProtocolSetting:
    """One recording of a protocol.

    Attributes
    ----------
    name : str
        Part of the file's name; empty if there is only one.
    model : ClickModel
    delay : float
        From pump to read, s.
    """

    name: str
    model: ClickModel
    delay: float


def bell_settings(**changes: Any) -> list[ProtocolSetting]:
    """Four settings of the Bell test, b1r1 … b2r2, of `simulation.theory.protocols.bell2018`."""
    p = bell2018.with_heating(bell2018.MODEL.parameters(**changes))
    found = []
    for name in bell2018.SETTINGS:
        b, r = name.split()
        phase = getattr(p, f"phi_{b[0]}_{b[1]}") + getattr(p, f"phi_{r[0]}_{r[1]}")
        turned = replace(p, delta_phi=p.delta_phi + phase)
        found.append(ProtocolSetting(name=b + r, model=click_model(turned), delay=p.delay))
    return found


def memory_settings(**changes: Any) -> list[ProtocolSetting]:
    """Both ends of the memory's fringe: ``phase0`` and ``phasepi`` of the second coherent state."""
    p = memory2020.Memory2020(**changes)
    light = np.moveaxis(_patterns(memory2020.fringe_state(p), "w"), -1, 0)
    ends = memory2020.at_both_ends(p, np.moveaxis(light, 0, -1))
    return [
        ProtocolSetting(
            name=name, model=_heralded(ends[..., k], p.dark), delay=_number("tau", p.tau)
        )
        for k, name in enumerate(("phase0", "phasepi"))
    ]


def single_phonon_settings(**changes: Any) -> list[ProtocolSetting]:
    """Three-fold coincidences of `simulation.theory.protocols.single_phonons2017`."""
    p = single_phonons2017.SinglePhonons2017(**changes)
    light = _patterns(single_phonons2017.pattern_state(p), "s")
    return [
        ProtocolSetting(name="", model=_heralded(light, p.dark), delay=_number("delay", p.delay))
    ]


def teleportation_settings(**changes: Any) -> list[ProtocolSetting]:
    """Six inputs H, V, D, A, L, R: ports H, V of the herald are the detectors of the pump gate.

    In the read gate detector 1 is r_H, detector 2 r_V, whose click is the right one.
    """
    p = teleportation2021.Teleportation2021(**changes)
    d = _number("dark", p.dark)
    dark = np.full((2, 2), d)
    return [
        ProtocolSetting(
            name=name, model=ClickModel(light=light, dark=dark), delay=_number("delay", p.delay)
        )
        for name, light in zip(
            teleportation2021.SETTINGS, teleportation2021.click_patterns(p), strict=True
        )
    ]


PROTOCOLS: Final[Mapping[str, Callable[..., list[ProtocolSetting]]]] = {
    "bell2018": bell_settings,
    "memory2020": memory_settings,
    "single_phonons2017": single_phonon_settings,
    "teleportation2021": teleportation_settings,
}
"""Protocols that can be recorded, by the name of their model."""


def simulate_protocol(
    protocol: str,
    path: str | Path,
    trials: int,
    *,
    mode: Mode = "T3",
    seed: int = 0,
    period: float = 50e-6,
    overwrite: bool = False,
    progress: Progress | None = None,
    **changes: Any,
) -> dict[str, SimulatedRecording]:
    """Simulate the tag files of all settings of a protocol, each with its gates file.

    Parameters
    ----------
    protocol : str
        A name of `PROTOCOLS`.
    path : str or Path
        ``x.ptu``; settings go to ``x_b1r1.ptu`` and so on where there are several.
    trials : int
        Of each setting.
    mode, seed, period, overwrite, progress
        As for `simulate_ptu`; each setting has a seed of its own.
    **changes : float or str
        Parameters of the model.

    Returns
    -------
    dict of str to SimulatedRecording
        By setting.

    Raises
    ------
    ValueError
        If the protocol is unknown, its delay too short for two gates, or as `simulate_ptu`.
    KeyError
        If a parameter is unknown.
    """
    if protocol not in PROTOCOLS:
        message = f"`protocol` must be one of {', '.join(PROTOCOLS)}, but is {protocol!r}"
        raise ValueError(message)
    for name in changes:
        get(protocol).parameters.known(name)
    settings = PROTOCOLS[protocol](**changes)
    return {
        setting.name: simulate_ptu(
            _path_of(Path(path), setting.name),
            setting.model,
            trials,
            mode=mode,
            seed=seed * len(settings) + place,
            timing=pulsed_timing(period=period, delay=_checked(protocol, setting.delay)),
            overwrite=overwrite,
            progress=progress,
        )
        for place, setting in enumerate(settings)
    }


def _path_of(path: Path, setting: str) -> Path:
    return path.with_name(f"{path.stem}_{setting}{path.suffix}") if setting else path


def _checked(protocol: str, delay: float) -> float:
    if delay < SHORTEST_DELAY:
        name = "tau" if protocol == "memory2020" else "delay"
        message = (
            f"`{name}` must be at least {SHORTEST_DELAY:g} s, so that pump and read have gates of "
            f"their own, but is {delay:g} s"
        )
        raise ValueError(message)
    return delay


def _patterns(state: PulsedState, herald: str) -> Real:
    """Probabilities of herald, r1, r2 without darks, shape (2, 2, 2, ...)."""
    outcomes = state.condition(clicked=f"{herald} r1 r2").weight.outcomes
    return np.maximum(outcomes[SILENT:, SILENT:, SILENT:], 0.0)


def _heralded(light: Real, dark: Any) -> ClickModel:
    """Herald on detector 1 of the pump gate; detector 2 sees nothing there."""
    d = _number("dark", dark)
    patterns = np.zeros((2, 2, 2, 2))
    patterns[:, 0] = light
    return ClickModel(light=patterns, dark=np.array([[d, 0.0], [d, d]]))


def _number(name: str, value: Any) -> float:
    if np.ndim(value):
        message = f"`{name}` must be a number to simulate a recording, but is an array"
        raise ValueError(message)
    return float(value)
