"""What counts say about the set-up: plain sentences about what is wrong, and where to look."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import acos, hypot, inf, pi, sqrt
from typing import TYPE_CHECKING

import numpy as np

from analysis.correlation import GammaPosterior, pooled_g2
from analysis.counts import Counts
from analysis.evaluation import Evaluation, g2_of_pairs
from analysis.separable_fit import Estimate
from analysis.witness import largest_separable

if TYPE_CHECKING:
    from labkit.run import Block
    from labkit.sequence import PulseSequence

CROSSED, SAME = ("r1p2", "r2p1"), ("r1p1", "r2p2")

MISMATCH_SIGMAS = 4.0
"""A frequency shift is wrong if it is so many standard deviations from the measured mismatch."""

SIGMAS = 3.0
"""A difference counts from so many standard deviations on."""

LEAST_CONTRAST = 0.5
"""Contrast below which it is worth a sentence: a phase off by 60°, or half the interference."""

LARGEST_BACKGROUND = 0.1
"""Part of a gate's clicks that background may be."""

LARGEST_CHANGE = 0.2
"""Relative change of a rate that is worth a sentence."""

LARGEST_SHIFT = 0.1
"""The same of both detectors' rates in one gate alone."""

MARGIN = 50e-9
"""Clicks nearer than this to a gate are its light, not background, s."""

_GROUPS = 8
"""The background is the median of so many stretches of the trial: a lock pulse fills one or two."""


def diagnose(
    evaluation: Evaluation,
    *,
    sequence: "PulseSequence | None" = None,
    monitors: Sequence[Mapping[str, float]] = (),
    reference: Counts | None = None,
) -> tuple[str, ...]:
    """Return what is wrong with a measurement, one sentence each; empty if nothing shows.

    Silence is no proof: statements need enough clicks, and most faults of the phase look alike in
    the counts of one setting.

    Parameters
    ----------
    evaluation : Evaluation
    sequence : PulseSequence, optional
        What was played; wrong frequency shifts are then named.
    monitors : sequence of mapping
        Of the blocks, as `labkit.run.Block.monitors`: ``locked`` (0 or 1), ``temperature`` (K).
    reference : Counts, optional
        Counts of the same sequence when all was well: changed rates are then named.

    Returns
    -------
    tuple of str
    """
    counts = evaluation.counts
    lit = _light(counts)
    found = [*_dark_cells(counts, lit), *_background(counts, lit), *_monitors(monitors)]
    if all(light.seen for light in lit.values()):
        found += _correlations(evaluation, sequence, monitors)
    if reference is not None:
        found += _changes(reference, counts)
    return tuple(found)


def diagnose_blocks(
    evaluation: Evaluation, blocks: "Sequence[Block]", sequence: "PulseSequence | None" = None
) -> tuple[str, ...]:
    """Return what is wrong with a run: `diagnose`, with rates of the last block against the first.

    Parameters
    ----------
    evaluation : Evaluation
        Of all blocks together.
    blocks : sequence of Block
        The blocks behind it.
    sequence : PulseSequence, optional
    """
    found = diagnose(evaluation, sequence=sequence, monitors=[block.monitors for block in blocks])
    if len(blocks) < 2:
        return found
    stuck = tuple(_without_phase(blocks))
    if stuck:  # what follows from no contrast is said by it
        found = tuple(text for text in found if not text.startswith("no contrast"))
    return (*found, *stuck, *_changes(blocks[0].counts, blocks[-1].counts))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Light:
    """Clicks of a cell, and how many of them background alone would give."""

    clicks: int
    background: float

    @property
    def seen(self) -> bool:
        """Whether there is light beyond the background."""
        return self.clicks - self.background > SIGMAS * sqrt(self.clicks + self.background)


def _light(counts: Counts) -> dict[tuple[str, int], _Light]:
    """Return clicks and background of every cell (gate, detector)."""
    gates = {gate.name: gate for gate in counts.gates.gates}
    density = {d: _background_density(counts, i) for i, d in enumerate(counts.gates.detectors)}
    return {
        (name, d): _Light(
            clicks=counts.single(name, d),
            background=density[d] * (gates[name].stop - gates[name].start),
        )
        for name, d in counts.gates.cells
    }


def _background_density(counts: Counts, row: int) -> float:
    """Return a detector's clicks per s of trial time far from the gates, or 0 if none is seen."""
    starts, stops = counts.bin_edges[:-1], counts.bin_edges[1:]
    far = counts.gate_of_bin < 0
    for gate in counts.gates.gates:
        far &= (stops <= gate.start - MARGIN) | (starts >= gate.stop + MARGIN)
    groups = [g for g in np.array_split(np.flatnonzero(far), _GROUPS) if len(g)]
    if not groups:
        return 0.0
    clicks = [counts.histogram[row, g].sum() / (stops[g] - starts[g]).sum() for g in groups]
    return float(np.median(clicks))


def _dark_cells(counts: Counts, lit: dict[tuple[str, int], _Light]) -> Iterator[str]:
    """Name detectors and gates without light; a whole gate or detector once."""
    dark = {cell for cell, light in lit.items() if not light.seen}
    if dark == lit.keys():
        yield (
            "no light in any gate: lasers, AOM drives, attenuators, detector bias, trigger levels, "
            "or the gates lie beside the pulses" + _elsewhere(counts)
        )
        return
    gates, detectors = counts.gates.names, counts.gates.detectors
    whole = {gate for gate in gates if all((gate, d) in dark for d in detectors)}
    silent = {d for d in detectors if all((gate, d) in dark for gate in gates)}
    for gate in gates:
        if gate in whole:
            yield (
                f"no light in the {gate} gate: its laser, AOM drive or prefilter, or the gate lies "
                "beside the pulse" + _elsewhere(counts)
            )
    for d in detectors:
        if d in silent:
            yield (
                f"detector {d} sees no light: latched or without bias, its filters, or its "
                "input's trigger level"
            )
    for gate, d in sorted(dark):
        if gate not in whole and d not in silent:
            yield f"detector {d} sees no light in the {gate} gate: its filters"


def _elsewhere(counts: Counts) -> str:
    """Return where clicks gather instead, if they do."""
    outside = counts.gate_of_bin < 0
    widths = np.diff(counts.bin_edges)
    clicks = counts.histogram.sum(axis=0)
    usual = np.median(clicks[outside] / widths[outside]) if np.any(outside) else 0.0
    excess = np.where(outside, clicks - usual * widths, 0.0)
    best = int(np.argmax(excess / np.sqrt(clicks + 1)))
    if excess[best] <= 2 * SIGMAS * sqrt(clicks[best] + 1):
        return ""
    return f"; clicks gather {counts.bin_edges[best] * 1e6:.3f} µs after the trigger"


def _background(counts: Counts, lit: dict[tuple[str, int], _Light]) -> Iterator[str]:
    for (gate, d), light in lit.items():
        part = light.background / max(light.clicks, 1)
        if light.seen and part > LARGEST_BACKGROUND:
            yield (
                f"{100 * part:.0f} % of the clicks of detector {d} in the {gate} gate are "
                "background: dark counts, a trigger level in the noise, or light between the pulses"
            )


def _monitors(monitors: Sequence[Mapping[str, float]]) -> Iterator[str]:
    unlocked = sum(m.get("locked", 1.0) < 1 for m in monitors)
    if unlocked:
        yield f"the phase lock was open after {unlocked} of {len(monitors)} blocks"
    kelvin = [m["temperature"] for m in monitors if "temperature" in m]
    if kelvin and max(kelvin) > 1.5 * min(kelvin):
        yield f"the temperature changed between {min(kelvin):.3g} and {max(kelvin):.3g} K"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pooled:
    """Pooled g² with its standard deviation."""

    value: float
    sigma: float

    @classmethod
    def of(cls, posterior: GammaPosterior) -> "_Pooled":
        return cls(value=posterior.mode, sigma=sqrt(posterior.events + 1) / posterior.exposure)

    def __str__(self) -> str:
        return f"{self.value:.2f} ± {self.sigma:.2f}"


def _correlations(
    evaluation: Evaluation,
    sequence: "PulseSequence | None",
    monitors: Sequence[Mapping[str, float]],
) -> Iterator[str]:
    g2 = evaluation.g2
    if not {*CROSSED, *SAME} <= g2.keys():
        return
    crossed, same, both = (
        _Pooled.of(pooled_g2([g2[pair] for pair in pairs]))
        for pairs in (CROSSED, SAME, CROSSED + SAME)
    )
    if both.value - SIGMAS * both.sigma < 1:
        if both.value + 2 * both.sigma < 3:
            yield (
                f"pump and read clicks are not correlated (g² = {both} over all pairs): read or "
                "pump laser off its sideband, delay beyond the lifetime, filters that pass drive "
                "light, or too much pump power"
            )
        return
    yield from _too_weak(crossed, same)
    contrast, sigma = _contrast(crossed, same)
    detail = f"g² = {crossed} between different detectors, {same} at the same one"
    if contrast + 2 * sigma >= LEAST_CONTRAST:
        return
    if contrast < -max(SIGMAS * sigma, LEAST_CONTRAST):
        yield (
            f"the same detector correlates more than different ones ({detail}): Δφ is off by about "
            "π; R_m uses the contrast of either sign. Afterpulses look the same: "
            "`labkit afterpulses` corrects for them"
        )
        return
    word = "no" if abs(contrast) < SIGMAS * sigma else f"low ({contrast:.2f} ± {sigma:.2f})"
    yield (
        f"{word} contrast between detectors ({detail}): "
        + ", or ".join(_causes(contrast, sequence, monitors))
    )


def _too_weak(crossed: _Pooled, same: _Pooled) -> Iterator[str]:
    """Say if even the stronger correlation is too weak for entanglement at any phase."""
    best = max((crossed, same), key=lambda one: one.value)
    other = min((crossed, same), key=lambda one: one.value)
    wanted = float(largest_separable(1.0))
    if max(best.value + SIGMAS * best.sigma, other.value + SIGMAS * other.sigma) < wanted:
        mean = (crossed.value + same.value) / 2
        if mean + SIGMAS * hypot(crossed.sigma, same.sigma) / 2 < (wanted + 1.0) / 2:
            yield (
                f"pump and read clicks correlate too weakly for entanglement (g² = {best} at best, "
                f"but at full contrast {wanted:.2f} is needed): too much power of the pump (more "
                "than one phonon at a time) or of either laser (heating), a warm device, or much "
                "background"
            )


def _contrast(crossed: _Pooled, same: _Pooled) -> tuple[float, float]:
    """Return (g_c − g_s)/(g_c + g_s − 2), which is V cos θ, and its standard deviation."""
    total = crossed.value + same.value - 2
    if total <= 0:
        return 0.0, inf
    sigma = hypot((same.value - 1) * crossed.sigma, (crossed.value - 1) * same.sigma)
    return (crossed.value - same.value) / total, 2 * sigma / total**2


def _causes(
    contrast: float, sequence: "PulseSequence | None", monitors: Sequence[Mapping[str, float]]
) -> Iterator[str]:
    """Give what can take the contrast away, the certain first."""
    shifts = _shifts(sequence)
    if shifts is not None and (shifts[0] == 0 or shifts[0] != -shifts[1]):
        pump, read = (f"{shift / 1e6 + 0.0:+g} MHz" for shift in shifts)
        yield f"the sequence's shifts of pump ({pump}) and read ({read}) are not opposite"
    if not monitors or any(m.get("locked", 1.0) < 1 for m in monitors):
        yield "the phase is not locked"
    yield "the serrodyne is off or wrong (sign, frequency, amplitude, trigger, waveform)"
    angle = acos(min(max(contrast, -1.0), 1.0)) / pi
    yield f"Δφ is off by about {angle:.1f} π (a phase sweep tells)"


def shift_remarks(sequence: "PulseSequence", mismatch_hz: Estimate) -> tuple[str, ...]:
    """Say which pulse is not shifted by the devices' mismatch, as far as it is known.

    A wrong shift need not cost contrast in short pulses, but turns the fringe within each.

    Parameters
    ----------
    sequence : PulseSequence
    mismatch_hz : Estimate
        (Ω_B − Ω_A)/2π as measured. The pump pulse of arm A must be shifted by minus this, the read
        pulse by plus this.
    """
    shifts = _shifts(sequence)
    if shifts is None:
        return ()
    measured = mismatch_hz.over(1e6)
    return tuple(
        f"the sequence shifts {name} by {shift / 1e6:+g} MHz, but the devices differ by {measured} "
        f"MHz: shift it by {sign * measured.value:+.4g} MHz"
        for name, sign, shift in zip(("pump", "read"), (-1, 1), shifts, strict=True)
        if abs(shift - sign * mismatch_hz.value) > MISMATCH_SIGMAS * mismatch_hz.sigma
    )


def _without_phase(blocks: "Sequence[Block]") -> Iterator[str]:
    """Say if θ and θ + π give the same contrast, so that nothing interferes."""
    found = []
    for turn in ("theta", "pi"):
        counts = [block.counts for block in blocks if block.setting.get("turn") == turn]
        if not counts:
            return
        g2 = g2_of_pairs(sum(counts[1:], counts[0]))
        if not {*CROSSED, *SAME} <= g2.keys():
            return
        crossed, same = (_Pooled.of(pooled_g2([g2[p] for p in ps])) for ps in (CROSSED, SAME))
        found.append(_contrast(crossed, same))
    (theta, sigma_theta), (turned, sigma_pi) = found
    mean, apart = (theta + turned) / 2, hypot(sigma_theta, sigma_pi)
    seen = abs(mean) >= max(SIGMAS * apart / 2, LEAST_CONTRAST / 2)
    if not seen or abs(theta - turned) > SIGMAS * apart:
        return
    which = "the same detector" if mean < 0 else "different detectors"
    yield (
        f"the phase does nothing: {which} correlate more at θ and at θ + π (contrast {theta:.2f} "
        f"and {turned:.2f} ± {apart:.2f}): the combining coupler does not let the arms "
        "interfere (each detector sees one device: a mirror or a wrong splitting, `labkit run "
        "splitting` tells; crossed polarisations), even if the lock finds its fringe"
    )


def _shifts(sequence: "PulseSequence | None") -> tuple[float, float] | None:
    names = set() if sequence is None else {pulse.name for pulse in sequence.pulses}
    if sequence is None or not {"pump", "read"} <= names:
        return None
    return sequence.pulse("pump").shift_hz, sequence.pulse("read").shift_hz


def _changes(before: Counts, after: Counts) -> Iterator[str]:
    """Name the rates that differ; two detectors that have exchanged theirs once."""
    if before.gates.names != after.gates.names or before.gates.detectors != after.gates.detectors:
        return
    if _exchanged(before, after):
        first, second = after.gates.detectors
        yield (
            f"detectors {first} and {second} have exchanged their rates: cables or channels are "
            "swapped; the symmetrised R_m stays, R_m of both heralds are exchanged"
        )
        return
    changed: dict[tuple[str, int], float] = {}
    changes: dict[tuple[str, int], tuple[float, float]] = {}
    for cell in after.gates.cells:
        old, new = before.single(*cell), after.single(*cell)
        usual = old * after.trials.number / before.trials.number
        change = (new - usual) / max(usual, 1.0)
        sigma = sqrt(new + usual * after.trials.number / before.trials.number + 1)
        changes[cell] = change, sigma / max(usual, 1.0)
        if abs(change) > LARGEST_CHANGE and abs(new - usual) > SIGMAS * sigma:
            changed[cell] = change
            yield f"the {cell[0]} rate of detector {cell[1]} has changed by {100 * change:+.0f} %"
    yield from _where(changed, after) if changed else _shifted(changes, after)


def _shifted(
    changes: Mapping[tuple[str, int], tuple[float, float]], counts: Counts
) -> Iterator[str]:
    """Name a gate whose rates have moved alike at both detectors, where no other gate's have.

    Arms, coupler and detectors act on all gates.
    """
    gates, detectors = counts.gates.names, counts.gates.detectors
    for gate in gates if len(gates) > 1 and len(detectors) > 1 else ():
        own = [changes[gate, d] for d in detectors]
        least = min(abs(change) for change, _ in own)
        others = max(abs(change) for (name, _), (change, _) in changes.items() if name != gate)
        sure = all(abs(change) > SIGMAS * sigma for change, sigma in own)
        alike = len({change > 0 for change, _ in own}) == 1
        if sure and alike and least > max(LARGEST_SHIFT, 2 * others):
            mean = sum(change for change, _ in own) / len(own)
            yield f"the {gate} rates of both detectors alone have changed by {100 * mean:+.0f} %"
            yield _one_gate(gate, more=mean > 0)


def _where(changed: Mapping[tuple[str, int], float], counts: Counts) -> Iterator[str]:
    """Say where to look if rates that belong together have changed the same way, no others."""
    gates, detectors = counts.gates.names, counts.gates.detectors
    if len({change > 0 for change in changed.values()}) != 1:
        return
    more = next(iter(changed.values())) > 0
    if changed.keys() == set(counts.gates.cells):
        yield "all rates have gone " + (
            "up: both lasers' power, or an arm that had lost light"
            if more
            else "down: an arm loses light (`labkit run splitting` tells), or both lasers' power"
        )
    for d in detectors if len(gates) > 1 else ():
        if changed.keys() == {(gate, d) for gate in gates}:
            yield f"both gates of detector {d} alone: " + (
                "stray light or dark counts, or its filters were off the line before"
                if more
                else "its filters off the line, its bias, or its fibre"
            )
    for gate in gates if len(detectors) > 1 else ():
        if changed.keys() == {(gate, d) for d in detectors}:
            yield _one_gate(gate, more=more)


def _one_gate(gate: str, *, more: bool) -> str:
    """Say where to look if one gate's light has changed at both detectors, and no other's."""
    return f"the {gate} gate of both detectors alone: " + (
        f"more power of the {gate} laser, more heating by it, leaked {gate} light, or its phase "
        "noise at the mechanical frequency"
        if more
        else f"less power of the {gate} laser: its mode, its AOM, its prefilter"
    )


def _exchanged(before: Counts, after: Counts) -> bool:
    """Whether detector 1 now counts as detector 2 did, and the other way round."""
    if len(after.gates.detectors) != 2:
        return False
    scale = after.trials.number / before.trials.number
    straight, crossed = before.singles * scale, before.singles[:, ::-1] * scale
    sigma = np.sqrt(after.singles + before.singles * scale**2 + before.singles[:, ::-1] * scale**2)
    apart = np.abs(straight - crossed) > SIGMAS * (sigma + 1)
    near = np.abs(after.singles - crossed) < np.maximum(
        0.5 * LARGEST_CHANGE * crossed, SIGMAS * (sigma + 1)
    )
    off = np.abs(after.singles - straight) > np.abs(after.singles - crossed)
    return bool(np.all(near) and np.all(apart) and np.all(off))
