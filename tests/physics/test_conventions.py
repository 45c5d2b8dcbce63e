"""Words that theory, sequence and virtual lab share: the sign of Δφ and ΔΩτ, and what jitter is."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.tagfile import Decoder, PtuFile
from simulation.theory.dlcz import fringe_phase, riedinger2018

JITTER = 5e-9


CHANGES = ((0.3 * np.pi, 0.0), (-0.4 * np.pi, 0.0), (0.0, 3e-9), (0.2 * np.pi, -4e-9))


def test_a_programmed_phase_and_delay_shift_the_fringe_as_theory_says(bright):
    """From θ = 0: the filters' group delays may differ by a hundredth of a turn, no sign may."""
    old, theory = bright.sequence, replace(riedinger2018(), delta_phi=0.0)
    for turn, later in CHANGES:
        new = old.with_read_phase(old.pulse("read").phase + turn).with_delay(old.delay + later)
        bright.session.arm(new)
        changed = replace(theory, delta_phi=turn, delay=theory.delay + later)
        expected = float(fringe_phase(changed) - fringe_phase(theory)) / np.pi
        assert bright.theta() == pytest.approx(expected, abs=0.01), (turn, later)


def arrivals(lab, path):
    """Seconds after the trigger of all clicks of a recording, dark ones among them."""
    lab.record(path, 4_000_000)
    file = PtuFile(path)
    decoder = Decoder(file.layout)
    bins = np.concatenate([decoder.decode(block).dtime for block in file.blocks()])
    return bins * file.resolution


def test_jitter_is_a_standard_deviation_and_gates_hold_99_percent_of_the_light(
    tmp_path, dry_lab, quiet
):
    """The variance of a pulse's clicks grows by σ², known to 5 % from 1e4 clicks."""
    spread = {}
    for jitter in (0.0, JITTER):
        folder = tmp_path / f"{jitter}"
        folder.mkdir()
        with dry_lab(folder, parameters=quiet | {"jitter": jitter}) as lab:
            lab.at_best_phase()
            detection = replace(lab.sequence.detection, jitter=jitter)
            gates = replace(lab.sequence, detection=detection).gates.gates
            time = arrivals(lab, folder / "tags.ptu")
        middle = np.mean([gate.stop + gate.start for gate in gates]) / 2
        pump = time[(time > gates[0].start - 50e-9) & (time < middle)]
        spread[jitter] = np.var(pump)
        light = np.concatenate([pump, time[(time >= middle) & (time < gates[1].stop + 50e-9)]])
        held = sum(np.sum((light >= gate.start) & (light < gate.stop)) for gate in gates)
        assert len(light) > 10_000
        if jitter:
            assert held / len(light) >= 0.99
    assert spread[JITTER] - spread[0.0] == pytest.approx(JITTER**2, rel=0.1)
