"""A laboratory with one hidden fault, to be found with the ordinary procedures."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from math import exp, log
from types import MappingProxyType
from typing import Any, Final, cast

import numpy as np

from simulation.lab.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Ailment:
    """A kind of fault of which an exam may hold one.

    Attributes
    ----------
    meaning : str
        What is wrong, for the answer.
    targets : tuple of str
        Of which one is drawn; "" where the fault has none.
    low, high : float
        Sizes are drawn between these, evenly in their logarithm; both 0 for the usual size.
    both_ways : bool
        Whether the size may be negative too.
    at : float
        Virtual time at which it begins, s: what switching on would mend comes after it.
    """

    meaning: str
    targets: tuple[str, ...] = ("",)
    low: float = 0.0
    high: float = 0.0
    both_ways: bool = False
    at: float = 0.0


AFTER_SWITCHING_ON: Final = 30.0
"""Virtual time by which the lab is switched on, s."""

AILMENTS: Final[Mapping[str, Ailment]] = MappingProxyType(
    {
        "filter_drift": Ailment(
            meaning="a filter is off the scattered light", targets=("1a", "1b", "2a", "2b"),
            low=30e6, high=90e6, both_ways=True,
        ),
        "mode_hop": Ailment(
            meaning="a laser sits on another mode", targets=("pump", "read"), low=4e9, high=15e9,
            both_ways=True, at=AFTER_SWITCHING_ON,
        ),
        "latched_detector": Ailment(
            meaning="a detector is latched", targets=("1", "2"), at=AFTER_SWITCHING_ON
        ),
        "warm_cryostat": Ailment(meaning="the devices are warm", low=0.12, high=0.19),
        "splitting": Ailment(
            meaning="the combining coupler acts as a mirror", low=0.97, high=0.999
        ),
        "arm_transmission": Ailment(
            meaning="an arm loses light", targets=("A", "B"), low=0.3, high=0.6
        ),
        "laser_gain": Ailment(
            meaning="a laser gives more light than it says", targets=("pump", "read"), low=1.8,
            high=4.0,
        ),
        "polarisation_angle": Ailment(
            meaning="the arms' polarisations differ at the coupler", low=1.0, high=1.5
        ),
        "laser_noise": Ailment(
            meaning="a laser's phase noise falls on the cavity", targets=("read",), low=5e-6,
            high=3e-5,
        ),
        "mechanical_jitter_hz": Ailment(
            meaning="the mechanical frequencies jitter from trial to trial", low=2e6, high=6e6
        ),
        "heating_curvature": Ailment(
            meaning="absorption heats more than in proportion", low=2e12, high=2e13
        ),
        "modulator_sign": Ailment(meaning="the phase modulator's polarity is reversed"),
        "afterpulse": Ailment(meaning="a detector has afterpulses", targets=("1", "2"), low=0.01,
                              high=0.1),
        "recovery_time": Ailment(
            meaning="a detector is blind after a click", targets=("1", "2"), low=1e-7, high=1e-6
        ),
        "crosstalk": Ailment(
            meaning="a detector hears the other one", targets=("1", "2"), low=3e-3, high=3e-2
        ),
        "stray_light_hz": Ailment(
            meaning="stray light reaches a detector", targets=("1", "2"), low=200.0, high=3000.0
        ),
        "swapped_detectors": Ailment(meaning="the detectors' cables are exchanged"),
    }
)  # fmt: skip
"""Faults of the laboratory that are there from the start, by kind."""


def draw_fault(seed: int, kind: str | None = None) -> dict[str, object]:
    """Draw a fault, as `World.inject` takes it.

    Parameters
    ----------
    seed : int
        Same seed, same fault.
    kind : str, optional
        One of `AILMENTS`; by default drawn too.

    Raises
    ------
    ValueError
        If the kind is unknown.
    """
    if kind is not None and kind not in AILMENTS:
        message = f"`kind` must be one of {', '.join(AILMENTS)}, but is {kind!r}"
        raise ValueError(message)
    rng = np.random.default_rng((seed, 0x6578616D))
    chosen = str(rng.choice(list(AILMENTS)))
    ailment = AILMENTS[kind or chosen]
    fault: dict[str, object] = {"kind": kind or chosen}
    if target := str(rng.choice(ailment.targets)):
        fault["target"] = target
    if ailment.at:
        fault["at"] = ailment.at
    if ailment.high:
        size = exp(rng.uniform(log(ailment.low), log(ailment.high)))
        sign = rng.choice([-1.0, 1.0]) if ailment.both_ways else 1.0
        fault["value"] = float(sign * size)
    return fault


def seal(fault: Mapping[str, object], seed: int) -> str:
    """Return a fault as nobody reads it by the way: encoded, with a hash against changes."""
    text = json.dumps({"seed": seed, **fault}, sort_keys=True)
    return f"{b64encode(text.encode()[::-1]).decode()}:{sha256(text.encode()).hexdigest()}"


def unseal(sealed: str) -> dict[str, object]:
    """Return the fault of a seal.

    Raises
    ------
    ValueError
        If it is none, or was changed.
    """
    encoded, _, digest = sealed.partition(":")
    try:
        text = b64decode(encoded, validate=True)[::-1].decode()
    except ValueError:
        text = ""
    if not text or sha256(text.encode()).hexdigest() != digest:
        message = "the sealed fault must be as it was written, but its hash does not match"
        raise ValueError(message)
    plain = cast("dict[str, object]", json.loads(text))
    return {name: value for name, value in plain.items() if name != "seed"}


def said(fault: Mapping[str, object]) -> str:
    """Say in a line what a fault is."""
    kind = str(fault["kind"])
    target, value = fault.get("target", ""), fault.get("value")
    size = "" if value is None else f", to {value:.3g}" if kind not in _BY else f", by {value:.3g}"
    return f"{kind}{f' of {target}' if target else ''}{size}: {AILMENTS[kind].meaning}"


_BY: Final = ("filter_drift", "mode_hop")


class ExamWorld:
    """Factory of a virtual lab with a sealed fault."""

    @staticmethod
    def start(*, sealed: str, **options: Any) -> World:
        """Build the world and let the fault begin; else as `World.start`.

        Parameters
        ----------
        sealed : str
            By `seal`.
        **options
            As `World.start` takes them.
        """
        return World.start(faults=[unseal(sealed)], **options)
