"""Arrival times inside gates."""

import numpy as np
import pytest
from scipy import stats

from analysis.gates import Gate, GateSet
from simulation.recordings.pulses import PhotonPulse, Timing, arrival_times, pulsed_timing

GATE = Gate(name="pump", start=0.0, stop=60e-9)


def sampled(pulse, jitter=0.0, number=20_000, seed=1):
    return arrival_times(np.random.default_rng(seed), pulse, GATE, jitter, number)


def test_a_sharp_pulse_is_uniform_over_its_duration():
    times = sampled(PhotonPulse(start=10e-9, duration=30e-9, edge=0.0))
    assert stats.kstest(times, stats.uniform(10e-9, 30e-9).cdf).pvalue > 1e-3


def test_jitter_of_a_very_short_pulse_has_the_width_asked_for():
    times = sampled(PhotonPulse(start=30e-9, duration=0.0, edge=0.0), jitter=2e-9)
    assert stats.kstest(times, stats.norm(30e-9, 2e-9).cdf).pvalue > 1e-3


def test_an_edge_rises_from_10_to_90_percent_in_its_time():
    times = sampled(PhotonPulse(start=20e-9, duration=25e-9, edge=6e-9), number=400_000)
    density, bins = np.histogram(times, bins=np.arange(10, 40, 0.5) * 1e-9)
    level = density / density[-10:].mean()
    early, late = (np.interp(fraction, level[:30], bins[:30]) for fraction in (0.1, 0.9))
    assert late - early == pytest.approx(6e-9, rel=0.1)


def test_times_stay_in_the_gate_and_keep_the_shape_there():
    times = sampled(PhotonPulse(start=40e-9, duration=40e-9, edge=0.0))
    assert np.all((times >= GATE.start) & (times < GATE.stop))
    assert stats.kstest(times, stats.uniform(40e-9, 20e-9).cdf).pvalue > 1e-3


def test_a_pulse_outside_its_gate_is_refused():
    with pytest.raises(ValueError, match="must overlap the gate 'pump'"):
        sampled(PhotonPulse(start=1e-6, duration=40e-9, edge=0.0), number=3)


def test_default_timing_is_that_of_the_paper():
    gates = pulsed_timing().gates
    assert [(gate.start, gate.stop) for gate in gates.gates] == [(0.0, 60e-9), (123e-9, 183e-9)]
    assert gates.period == 50e-6


def test_read_gate_follows_the_delay_on_the_grid_of_the_tagger():
    gate = pulsed_timing(delay=400.1e-9).gates.gates[1]
    assert (gate.start, gate.stop) == (400e-9, 460e-9)


def other_gates():
    return GateSet(period=50e-6, detectors={1: 0, 2: 1}, gates=(GATE,))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pulsed_timing(delay=50e-9), "gates must not overlap"),
        (lambda: pulsed_timing(dead_time=1e-4), r"`dead_time` must lie in \[0, 4.9817e-05\] s"),
        (lambda: PhotonPulse(start=0, duration=-1e-9, edge=0), "`duration` must be ≥ 0 s"),
        (lambda: PhotonPulse(start=np.inf, duration=0, edge=0), "`start` must be finite"),
        (
            lambda: Timing(gates=other_gates(), pump=None, read=None),
            "must have the gates pump, read in this order and the detectors 1, 2, but has pump",
        ),
    ],
)
def test_impossible_timing_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
