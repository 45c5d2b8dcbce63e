"""Timing diagram of a sequence: AOM drives, EOM phase and gates against time."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from analysis.palette import COLORS, FAINT, OF_LASER
from labkit.sequence.pulses import PulseSequence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Times = NDArray[np.float64]


def timing_diagram(sequence: PulseSequence) -> "Figure":
    """Draw one row per laser, the EOM's phase in arm A, and the gates.

    The time axis is broken between the gated pulses and what comes after them (the lock pulse).
    """
    from matplotlib.figure import Figure

    gated = [p for p in sequence.pulses if p.gated] or list(sequence.pulses)
    late = [p for p in sequence.pulses if not p.gated]
    last = max([gated[-1].feet[1], *(gate.stop for gate in sequence.gates.gates)])
    windows = [(0.0, last * 1.05)]
    if late:
        length = late[-1].feet[1] - late[0].feet[0]
        windows.append((late[0].feet[0] - 0.2 * length, late[-1].feet[1] + 0.2 * length))
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    widths = [3, 1][: len(windows)]
    rows = ["pump", "read", "EOM phase", "gates"]
    panels = figure.subplots(
        len(rows), len(windows), sharex="col", squeeze=False, width_ratios=widths
    )
    for column, (start, stop) in enumerate(windows):
        time = np.linspace(start, stop, 4000)
        for row, name in enumerate(rows):
            axes = panels[row][column]
            axes.set_yticks([])
            axes.spines[["top", "right", "left"]].set_visible(False)
            if column == 0:
                axes.set_ylabel(name, rotation=0, ha="right", va="center")
            if name in OF_LASER:
                level = _light(sequence, name, time)
                axes.fill_between(time * 1e9, level, color=OF_LASER[name], alpha=0.7, lw=0)
                axes.set_ylim(0, 1.15)
            elif name == "gates":
                for gate in sequence.gates.gates:
                    axes.axvspan(gate.start * 1e9, gate.stop * 1e9, color=FAINT)
            else:
                axes.plot(time * 1e9, _phase(sequence, time), color=COLORS[2], lw=0.8)
                axes.set_ylim(-3.6, 3.6)
        panels[-1][column].set_xlim(start * 1e9, stop * 1e9)
    figure.supxlabel("time after the trigger (ns)", fontsize="medium")
    figure.suptitle(f"one trial of {sequence.period * 1e6:g} µs", fontsize=10)
    return figure


def _light(sequence: PulseSequence, laser: str, time: Times) -> Times:
    level = np.zeros_like(time)
    for p in sequence.pulses:
        if p.laser == laser:
            rise = np.clip((time - p.start) / p.edge + 0.5, 0, 1)
            fall = np.clip((time - p.stop) / p.edge + 0.5, 0, 1)
            level += p.level * (rise - fall)
    return level


def _phase(sequence: PulseSequence, time: Times) -> Times:
    phase = np.zeros_like(time)
    for p in sequence.pulses:
        during = (time >= p.feet[0]) & (time < p.feet[1])
        phase = np.where(during, p.modulation(time), phase)
    return phase
