import numpy as np
import pytest

from simulation.lab.eom import phase_record
from simulation.lab.ports.drives import PhaseDrive
from simulation.lab.world_parameters import WorldParameters

WORLD = WorldParameters()


def test_amplifier_loses_an_offset_and_passes_a_step():
    rate, volts = 1e9, np.zeros(3000)
    volts[1000:] = 0.3
    record = phase_record(PhaseDrive(steps=((volts, 1),), sample_rate=rate), 0.0, 3e-6, WORLD)
    at = WORLD.awg_delay + 1e-6
    full = np.pi * 0.3 * WORLD.amplifier_gain / WORLD.eom_v_pi
    assert record.at(at - 5e-9) == 0
    assert record.at(at + 5e-9) == pytest.approx(full, rel=0.03)
    decay = np.exp(-2 * np.pi * WORLD.amplifier_low_hz * 1e-6)
    assert record.at(at + 1e-6) == pytest.approx(full * decay, rel=0.02)


def test_a_resting_level_never_reaches_the_modulator():
    drive = PhaseDrive(steps=((np.full(1000, 0.4), 1),), sample_rate=1e9)
    record = phase_record(drive, 0.0, 2e-6, WORLD)
    assert np.all(record.at(np.linspace(0, 2e-6, 50)) == 0)


def test_bias_electrode_works_without_waveform():
    record = phase_record(None, WORLD.eom_bias_v_pi / 2, 0.0, WORLD)
    assert record.at(1e-6) == pytest.approx(np.pi / 2)


def test_amplifier_clips():
    volts = np.where(np.arange(2000) % 20 < 10, 5.0, -5.0)
    record = phase_record(PhaseDrive(steps=((volts, 1),), sample_rate=1e9), 0.0, 2e-6, WORLD)
    limit = np.pi * WORLD.amplifier_limit / WORLD.eom_v_pi
    assert np.abs(record.phase).max() == pytest.approx(limit)


def test_loops_repeat_segments_in_order():
    one, two = np.zeros(100), np.full(100, 0.1)
    drive = PhaseDrive(steps=((one, 10), (two, 2), (one, 1)), sample_rate=1e9)
    record = phase_record(drive, 0.0, 1.4e-6, WORLD)
    inside = record.at(WORLD.awg_delay + np.array([0.9e-6, 1.02e-6, 1.18e-6, 1.22e-6]))
    assert inside[0] == 0
    assert np.all(inside[1:3] > 0.25)
    assert inside[3] < 0  # the offset that the amplifier lost
