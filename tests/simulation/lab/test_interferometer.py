from dataclasses import replace

import numpy as np
import pytest

from simulation.lab.interferometer import Interferometer, LockFringe
from simulation.lab.ports.phase_lock import LockSettings
from simulation.lab.servo import LoopGains, loop_behaviour
from simulation.lab.world_parameters import WorldParameters

STILL = WorldParameters(phase_drift=0.0, phase_drift_rate=0.0, lock_noise=0.0)
LOCK = LockSettings(engaged=True, gain=0.1, integral_rate=2e4)


def locked(parameters=STILL, settings=LOCK, seed=0, **fringe):
    own = Interferometer(parameters, np.random.default_rng(seed))
    own.look_at(LockFringe(**{"amplitude": 0.5, **fringe}))
    own.configure(settings)
    own.step(1.0)
    return own


def simulated(gains, acoustic, memory, sensor, n=200_000, seed=3):
    """Step the loop sample by sample."""
    rng = np.random.default_rng(seed)
    kicks = acoustic * np.sqrt(1 - memory**2) * rng.standard_normal(n)
    noise = sensor * rng.standard_normal(n)
    phase, a, total, last, out = 0.0, 0.0, 0.0, 0.0, np.empty(n)
    g, w, d = gains.proportional, gains.integral, gains.derivative
    for k in range(n):
        error = phase + noise[k]
        correction = g * error + w * (total + error) + d * (error - last)
        total, last = total + error, error
        a = memory * a + kicks[k]
        phase = a - correction
        out[k] = phase
    return out


@pytest.mark.parametrize(
    "gains", [(0.1, 0.1, 0.0), (0.2, 0.01, 0.05), (0.3, 0.0, 0.0), (0.0, 0.5, 0.0)]
)
def test_residual_noise_is_that_of_the_loop_sample_by_sample(gains):
    gains = LoopGains(proportional=gains[0], integral=gains[1], derivative=gains[2])
    solved = loop_behaviour(gains, acoustic=0.3, memory=0.99, sensor=0.02)
    assert solved.stable
    out = simulated(gains, 0.3, 0.99, 0.02)
    assert solved.noise == pytest.approx(out.std(), rel=0.05)


@pytest.mark.parametrize(("gains", "stable"), [((0.99, 0, 0), True), ((1.01, 0, 0), False)])
def test_unit_gain_per_sample_is_the_edge_of_stability(gains, stable):
    gains = LoopGains(proportional=gains[0], integral=gains[1], derivative=gains[2])
    assert loop_behaviour(gains, acoustic=0.1, memory=0.9, sensor=0.0).stable is stable


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sign", [1, -1])
def test_lock_falls_to_the_stable_zero_within_half_a_fringe(seed, sign):
    own = Interferometer(STILL, np.random.default_rng(seed))
    own.look_at(LockFringe(amplitude=0.5))
    before = own.phase
    own.configure(replace(LOCK, gain=0.1 * sign))
    own.step(1.0)
    assert np.sin(own.phase) == pytest.approx(0, abs=1e-9)
    assert np.cos(own.phase) == pytest.approx(sign)
    assert abs(own.phase - before) <= np.pi + 1e-9


def test_set_point_and_modulator_offset_set_the_phase():
    own = locked(settings=replace(LOCK, setpoint=0.25), offset=0.4)
    assert np.sin(own.phase - 0.4) == pytest.approx(0.5)


def test_lock_tracks_drift_until_its_limit():
    drifting = replace(STILL, phase_drift_rate=0.1)
    own = locked(drifting)
    start = own.phase
    own.step(20.0)
    assert own.phase == pytest.approx(start)
    assert own.limit == 0
    for _ in range(300):
        own.step(1.0)
        if own.limit:
            break
    assert own.limit == -1
    assert own.sigma == drifting.acoustic_noise


def test_set_point_beyond_the_fringe_drives_the_output_to_its_limit():
    own = locked(settings=replace(LOCK, setpoint=0.6))
    for _ in range(5):
        own.step(1.0)
    assert own.limit == 1


def test_proportional_lock_leaves_an_error():
    own = locked(settings=replace(LOCK, integral_rate=0.0, gain=0.5))
    assert own.output == pytest.approx(-0.5 * 0.5 * np.sin(own.phase), abs=1e-6)


def test_lost_lock_stays_lost_until_it_is_engaged_anew():
    own = locked()
    own.lose_lock()
    own.step(1.0)
    own.configure(replace(LOCK, setpoint=0.01))
    own.step(1.0)
    assert own.output == LOCK.high
    assert own.limit == 1
    own.configure(replace(LOCK, engaged=False, manual_output=0.0))
    own.configure(LOCK)
    own.step(1.0)
    assert own.limit == 0


def test_released_lock_goes_to_the_manual_output():
    own = locked()
    own.configure(LockSettings(engaged=False, manual_output=1.5))
    assert own.output == 1.5
    assert own.sigma > 0


def test_engaging_starts_from_the_present_output():
    own = Interferometer(STILL, np.random.default_rng(0))
    own.look_at(LockFringe(amplitude=0.5))
    own.configure(LockSettings(engaged=False, manual_output=2.0))
    before = own.phase
    own.configure(LOCK)
    assert own.output == 2.0
    own.step(1.0)
    assert abs(own.phase - before) <= np.pi


def test_reading_tells_error_and_noise():
    noisy = replace(STILL, lock_noise=0.01)
    own = locked(noisy, settings=replace(LOCK, setpoint=0.2))
    readings = np.array([own.read().measured for _ in range(2000)])
    assert readings.mean() == pytest.approx(0.2, abs=2e-3)
    slope = 0.5 * np.cos(np.arcsin(0.4))
    assert readings.std() == pytest.approx(np.hypot(0.01, slope * own.sigma), rel=0.1)


WANDERING = WorldParameters(phase_drift=0.05, phase_drift_rate=0.001)


@pytest.mark.parametrize(
    ("name", "parameters", "settings"),
    [
        ("locked", WANDERING, LOCK),
        ("beside the zero", WANDERING, replace(LOCK, setpoint=0.2)),
        ("other slope", WANDERING, replace(LOCK, gain=-0.1)),
        ("near its limits", WANDERING, replace(LOCK, low=-0.5, high=0.5)),
        ("jumps over fringes", replace(WANDERING, phase_drift=1.0), LOCK),
        ("no fringe there", WANDERING, replace(LOCK, setpoint=2.0)),
        ("no integrator", WANDERING, replace(LOCK, integral_rate=0.0, proportional=True)),
        ("too much gain", WANDERING, replace(LOCK, gain=1e3)),
        ("open", WANDERING, replace(LOCK, engaged=False)),
        ("slow", WANDERING, replace(LOCK, integral_rate=1.0)),
    ],
)
def test_many_steps_at_once_are_those_one_by_one(name, parameters, settings):
    one, all_ = (locked(parameters, settings, seed=4) for _ in range(2))
    for seconds in (1.0, 1.0, 0.5):
        expected = []
        for _ in range(120):
            one.step(seconds)
            expected.append((one.phase, one.sigma))
        found = np.column_stack(all_.steps(120, seconds))
        np.testing.assert_allclose(found, expected, atol=1e-8)
        assert all_.output == pytest.approx(one.output, abs=1e-8)
        assert (all_.limit, all_.read()) == (one.limit, one.read()) or settings.gain == 1e3


def test_a_lost_lock_is_not_held_by_many_steps():
    own = locked(WANDERING)
    own.lose_lock()
    phase, _ = own.steps(10, 1.0)
    assert own.limit == 1
    assert np.ptp(phase) > 0
    assert own.steps(0, 1.0)[0].shape == (0,)
