"""A run against a posterior: where the lab has moved since, in standard deviations, and by what."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from labkit.campaign import read_campaign
from labkit.report.tables import ResultTable
from labkit.run import RunFolder
from simulation.inference.data import Record
from simulation.inference.model import CELLS
from simulation.inference.moved import LabMoved, what_moved
from simulation.inference.posterior import Posterior
from simulation.theory.dlcz import pair_clicks, riedinger2018

CLEARLY = 0.1
"""Energy relative to the reference's from which an arm counts as open."""

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
        Of their difference: counting noise, spread of the posterior, and for singles the drift
        that it allowed for.
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
    """All numbers of a run that a posterior expects something of, and what has moved.

    Attributes
    ----------
    run : str
    shifts : tuple of Shift
        Of the settings with both arms open and both pulses.
    lab : LabMoved
        By all that inference reads of the run.
    """

    run: str
    shifts: tuple[Shift, ...]
    lab: LabMoved

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        rows = [
            {
                "name": one.name, "setting": one.setting, "found": one.found,
                "expected": one.expected, "sigma": one.sigma, "sigmas": one.sigmas,
            }
            for one in self.shifts
        ]  # fmt: skip
        return {
            "run": self.run, "shifts": rows, "moved": [n.name for n in self.shifts if n.moved],
            "lab": self.lab.to_dict(),
        }  # fmt: skip

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


def compare_with(
    folder: RunFolder, posterior: Posterior, tell: Callable[[str], object] = lambda _: None
) -> Moved:
    """Compare what inference reads of a run with what a posterior expects of it.

    Every phase and delay with both arms open is one setting; σ holds counting noise, the
    posterior's spread, and the drift that the posterior allowed for.

    Parameters
    ----------
    folder : RunFolder
        With the reference pulses: ``autopilot``, ``witness``, ``phase_sweep``, ``delay_sweep``.
    posterior : Posterior
    tell : callable, optional
        Told the progress.

    Raises
    ------
    ValueError
        If the run is a replay, has no such block, or its pulses have other levels than the
        posterior's.
    """
    folder.refuse_replay()
    _check_levels(folder, posterior)
    _check_blocks(folder)
    campaign, _ = read_campaign([folder.path], riedinger2018(), arms=posterior.arms)
    campaign = replace(campaign, reference=posterior.reference)
    open_ones = [r for r in campaign.records if r.kind == "light" and np.all(_open(r))]
    return Moved(
        run=folder.path.name,
        shifts=tuple(shift for record in open_ones for shift in _shifts(record, posterior)),
        lab=what_moved(campaign, posterior, tell=tell),
    )


def _open(record: Record) -> tuple[bool, ...]:
    at = record.setting
    lit = (energy > CLEARLY for energy in (*at.e_pump, *at.e_read))
    return (*lit, at.on_line, bool(np.all(np.isfinite(record.coincidences))))


def _check_blocks(folder: RunFolder) -> None:
    if not any(block.good and "delta_phi" in block.setting for block in folder.journal.read()):
        message = (
            f"{folder.path}: must have good blocks at a phase of the read pulse (witness, "
            "phase_sweep, delay_sweep), but has none"
        )
        raise ValueError(message)


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


def _shifts(record: Record, posterior: Posterior) -> Iterator[Shift]:
    at, trials, clicked, pairs = (
        record.setting, record.trials, record.singles, record.coincidences
    )  # fmt: skip
    name = f"{record.data_set} Δφ {at.delta_phi / np.pi:+.2f} π, {at.delay * 1e9:.0f} ns"
    model = pair_clicks(posterior.parameters(at))
    for place, cell in enumerate(CELLS):
        rates = model.singles[..., place]
        mean = float(np.mean(rates))
        sigma = np.sqrt(mean / trials + np.var(rates) + (posterior.drift * mean) ** 2)
        yield Shift(
            name=cell, setting=name, found=float(clicked[place] / trials), expected=mean,
            sigma=float(sigma),
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
