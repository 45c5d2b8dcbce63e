"""A run against a posterior: where the lab has moved since, in standard deviations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from labkit.report.tables import ResultTable
from labkit.run import Block, RunFolder, main_setting
from labkit.run.journal import purpose_of
from simulation.inference.posterior import Posterior
from simulation.inference.setting import Setting
from simulation.theory.dlcz import pair_clicks

Real = NDArray[np.float64]

SINGLES = ("p1", "p2", "r1", "r2")
SEVERAL = 3.0
"""Standard deviations from which a number counts as moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A number of a run against what is expected.

    Attributes
    ----------
    name : str
        Clicks per trial of a gate and detector (``p1``), or g² of different (``crossed``) and of
        the same detectors (``same``).
    setting : str
        At which phase and delay.
    found, expected : float
    sigma : float
        Of their difference: counting noise and spread of the posterior.
    """

    name: str
    setting: str
    found: float
    expected: float
    sigma: float

    @property
    def sigmas(self) -> float:
        """Difference in standard deviations."""
        return (self.found - self.expected) / self.sigma

    @property
    def moved(self) -> bool:
        """Whether it lies off by more than `SEVERAL`."""
        return abs(self.sigmas) > SEVERAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """All numbers of a run that a posterior expects something of.

    Attributes
    ----------
    run : str
    shifts : tuple of Shift
    """

    run: str
    shifts: tuple[Shift, ...]

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        rows = [
            {
                "name": one.name, "setting": one.setting, "found": one.found,
                "expected": one.expected, "sigma": one.sigma, "sigmas": one.sigmas,
            }
            for one in self.shifts
        ]  # fmt: skip
        return {"run": self.run, "shifts": rows, "moved": [n.name for n in self.shifts if n.moved]}

    def table(self) -> ResultTable:
        """Return all shifts as a table of text."""
        rows = tuple(
            (
                one.setting, one.name, f"{one.found:.4g}", f"{one.expected:.4g} ± {one.sigma:.1g}",
                f"{one.sigmas:+.1f}", "moved" if one.moved else "",
            )
            for one in self.shifts
        )  # fmt: skip
        return ResultTable(
            title=f"{self.run} against the posterior (model; no witness)",
            head=("setting", "number", "found", "expected", "σ", ""),
            rows=rows,
        )


def compare_with(folder: RunFolder, posterior: Posterior) -> Moved:
    """Compare the blocks of a run's main setting with what a posterior expects of them.

    Every phase and delay of these blocks is one setting; the posterior's spread is among σ, the
    drifts from block to block are not: a shift of singles by a percent may be one.

    Parameters
    ----------
    folder : RunFolder
        Of a procedure with both arms open and the reference pulses: ``witness``, ``autopilot``,
        ``phase_sweep``, ``delay_sweep``.
    posterior : Posterior

    Raises
    ------
    ValueError
        If the run is a replay, has no such block, or its pulses have other levels than the
        posterior's.
    """
    folder.refuse_replay()
    _check_levels(folder, posterior)
    blocks = folder.journal.read()
    purpose = main_setting(blocks) if blocks else {}
    good = [b for b in blocks if b.good and _same_kind(b, purpose) and "delta_phi" in b.setting]
    if not good:
        message = (
            f"{folder.path}: must have good blocks at a phase of the read pulse (witness, "
            "phase_sweep, delay_sweep), but has none"
        )
        raise ValueError(message)
    sequence = folder.sequence()
    usual = posterior.reference.delay if sequence is None else float(sequence.delay)
    found: list[Shift] = []
    for (delay, phase), mine in _by_setting(good, usual).items():
        gates = tuple(gate.stop - gate.start for gate in mine[0].gates.gates)
        setting = replace(
            posterior.reference, delay=delay, delta_phi=phase, gates=(gates[0], gates[1])
        )
        name = f"Δφ {phase / np.pi:+.2f} π, {delay * 1e9:.0f} ns"
        found += _shifts(name, mine, posterior, setting)
    return Moved(run=folder.path.name, shifts=tuple(found))


def _same_kind(block: Block, purpose: dict[str, float | str]) -> bool:
    return purpose_of(block.setting).get("procedure") == purpose.get("procedure")


def _by_setting(good: Sequence[Block], usual: float) -> dict[tuple[float, float], list[Block]]:
    groups: dict[tuple[float, float], list[Block]] = {}
    for block in good:
        delay = float(block.setting.get("delay", usual))
        groups.setdefault((delay, float(block.setting["delta_phi"])), []).append(block)
    return groups


def _check_levels(folder: RunFolder, posterior: Posterior) -> None:
    sequence = folder.sequence()
    if sequence is None:
        return
    played = {p.name: float(p.level) for p in sequence.pulses if p.name in posterior.levels}
    other = {n: v for n, v in played.items() if abs(v - posterior.levels[n]) > 1e-6}
    if other:
        message = (
            f"{folder.path}: must have the pulses of the posterior, at levels {posterior.levels}, "
            f"but has {other}"
        )
        raise ValueError(message)


def _shifts(
    name: str, blocks: Sequence[Block], posterior: Posterior, setting: Setting
) -> Iterator[Shift]:
    trials = sum(block.trials for block in blocks)
    counts = [block.counts for block in blocks]
    clicked = np.sum([c.singles.reshape(4) for c in counts], axis=0)
    pairs = np.sum([c.pairs[2:, :2] for c in counts], axis=0)
    model = pair_clicks(posterior.parameters(setting))
    for place, cell in enumerate(SINGLES):
        rates = model.singles[..., place]
        noise = sqrt(float(np.mean(rates)) / trials)
        yield Shift(
            name=cell, setting=name, found=float(clicked[place] / trials),
            expected=float(np.mean(rates)), sigma=float(np.hypot(noise, np.std(rates))),
        )  # fmt: skip
    accidentals = clicked[2:, None] * clicked[None, :2] / trials
    for label, cells in (("crossed", ((0, 1), (1, 0))), ("same", ((0, 0), (1, 1)))):
        events, exposure = (sum(float(x[c]) for c in cells) for x in (pairs, accidentals))
        if exposure == 0:
            continue
        weights = [float(accidentals[c]) / exposure for c in cells]
        g2 = sum(w * model.g2[(..., *c)] for w, c in zip(weights, cells, strict=True))
        noise = sqrt(float(np.mean(g2)) / exposure)
        yield Shift(
            name=f"g² {label}", setting=name, found=events / exposure,
            expected=float(np.mean(g2)), sigma=float(np.hypot(noise, np.std(g2))),
        )  # fmt: skip
