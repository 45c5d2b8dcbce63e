import numpy as np
import pytest

from simulation.lab.eom import phase_record, sideband_amplitudes
from simulation.lab.ports.drives import PhaseDrive
from simulation.lab.world_parameters import WorldParameters

WORLD = WorldParameters()
STEP = 0.05e-9
TIME = np.arange(4000) * STEP  # nine periods of 45 MHz
FLAT = np.ones(len(TIME))


def sawtooth(turns):
    return 2 * np.pi * (np.mod(turns, 1.0) - 0.5)


def test_ideal_sawtooth_shifts_all_light_and_carries_its_starting_phase():
    phase = sawtooth(45e6 * TIME + 0.5 + 0.1)
    c = sideband_amplitudes(phase, FLAT, STEP, 45e6, [-1, 0, 1, 2])
    assert abs(c[2]) ** 2 == pytest.approx(1.0, abs=1e-3)
    assert np.angle(c[2]) == pytest.approx(0.2 * np.pi, abs=0.01)
    assert np.all(np.abs(c[[0, 1, 3]]) ** 2 < 1e-4)


@pytest.mark.parametrize("excess", [-0.5, -0.1, 0.1])
def test_wrong_amplitude_leaves_carrier_and_images_of_sinc_size(excess):
    phase = (1 + excess) * sawtooth(45e6 * TIME)
    orders = np.arange(-2, 4)
    power = np.abs(sideband_amplitudes(phase, FLAT, STEP, 45e6, orders)) ** 2
    assert power == pytest.approx(np.sinc(1 + excess - orders) ** 2, abs=2e-3)


def test_fly_back_time_costs_efficiency():
    # a triangle's worth of the period goes the other way: |c_1| = 1 − f t_f to first order
    turns = np.mod(45e6 * TIME, 1.0)
    late = 0.02
    phase = 2 * np.pi * np.where(turns < 1 - late, turns / (1 - late), (1 - turns) / late)
    c = sideband_amplitudes(phase, FLAT, STEP, 45e6, [1])
    assert abs(c[0]) == pytest.approx(1 - late, abs=0.005)


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
