from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.serrodyne import SegmentRules, serrodyne_clock, serrodyne_samples

V_PI, GAIN = 4.2, 10.0


def spectrum(volts, v_pi=V_PI, gain=GAIN):
    """Complex amplitudes of light after the modulator, by harmonics of the segment."""
    return np.fft.fft(np.exp(1j * pi * volts * gain / v_pi)) / len(volts)


@pytest.mark.parametrize(
    ("rules", "points", "periods", "rate"),
    [
        (SegmentRules(), 1120, 12, 4.2e9),
        (SegmentRules(max_rate=3.6e9), 320, 4, 3.6e9),
        (SegmentRules(min_points=384, max_rate=2.88e9), 384, 6, 2.88e9),
    ],
)
def test_known_segments_of_45_mhz(rules, points, periods, rate):
    clock = serrodyne_clock(45e6, rules)
    assert (clock.points, clock.periods, clock.sample_rate) == (points, periods, rate)


@given(st.integers(1, 9999).map(lambda digits: digits * 1e4), st.sampled_from([320, 384]))
def test_segment_is_legal_and_the_frequency_exact(shift, shortest):
    clock = serrodyne_clock(shift, SegmentRules(min_points=shortest))
    assert clock.points % 32 == 0
    assert clock.points >= shortest
    assert 10e6 <= clock.sample_rate <= 4.2e9
    assert float(f"{clock.sample_rate:.8g}") == clock.sample_rate
    assert clock.sample_rate * clock.periods / clock.points == pytest.approx(shift, rel=1e-15)


@pytest.mark.parametrize("shift", [45e6, -45e6])
def test_light_is_shifted_to_one_line(shift):
    clock = serrodyne_clock(shift)
    power = np.abs(spectrum(serrodyne_samples(shift, clock, v_pi=V_PI, gain=GAIN))) ** 2
    line = int(np.sign(shift)) * clock.periods
    assert power[line] > 0.999
    assert power[0] < 1e-3


def test_starting_phase_is_the_phase_of_the_shifted_light():
    clock = serrodyne_clock(45e6)
    lines = [
        spectrum(serrodyne_samples(45e6, clock, v_pi=V_PI, gain=GAIN, phase=phase))[clock.periods]
        for phase in (0.0, 1.0)
    ]
    assert np.angle(lines[1] / lines[0]) == pytest.approx(1.0, abs=1e-9)


def test_wrong_v_pi_leaves_carrier_as_the_sawtooth_series_says():
    clock = serrodyne_clock(45e6)
    volts = serrodyne_samples(45e6, clock, v_pi=V_PI, gain=GAIN)
    error = 0.1
    amplitudes = spectrum(volts, v_pi=V_PI / (1 + error))
    assert abs(amplitudes[clock.periods]) ** 2 == pytest.approx(np.sinc(error) ** 2, abs=1e-3)
    assert abs(amplitudes[0]) ** 2 == pytest.approx(np.sinc(1 + error) ** 2, abs=1e-3)


@given(st.floats(-10, 10), st.floats(0.5, 20), st.floats(0, 5e-9))
def test_drive_never_exceeds_two_v_pi(phase, v_pi, flyback):
    clock = serrodyne_clock(45e6)
    volts = serrodyne_samples(45e6, clock, v_pi=v_pi, gain=2.0, phase=phase, flyback=flyback)
    assert np.ptp(volts) <= v_pi * (1 + 1e-12)
    assert np.abs(volts).max() <= v_pi / 2 * (1 + 1e-12)


def test_flyback_costs_the_light_of_its_time():
    clock = serrodyne_clock(45e6)
    volts = serrodyne_samples(45e6, clock, v_pi=V_PI, gain=GAIN, flyback=2e-9)
    lost = 2e-9 * 45e6
    power = abs(spectrum(volts)[clock.periods]) ** 2
    assert power == pytest.approx((1 - lost) ** 2, abs=0.02)
    assert np.abs(np.diff(volts)).max() < 0.2 * np.ptp(volts)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: serrodyne_clock(0.0), "`shift_hz` must be up to"),
        (lambda: serrodyne_clock(45e6 / 7), "round it to 4 digits"),
        (
            lambda: serrodyne_samples(44e6, serrodyne_clock(45e6), v_pi=1, gain=1),
            "`clock` must be that of",
        ),
        (
            lambda: serrodyne_samples(45e6, serrodyne_clock(45e6), v_pi=0, gain=1),
            "`v_pi` must be",
        ),
        (
            lambda: serrodyne_samples(45e6, serrodyne_clock(45e6), v_pi=1, gain=1, flyback=1e-7),
            "`flyback` must be",
        ),
    ],
)
def test_impossible_serrodyne_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
