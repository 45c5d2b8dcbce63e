"""Golden facts of compiled waveforms: demodulated frequency, phase and sidebands of each pulse."""

from dataclasses import replace

import numpy as np
import pytest

from labkit.compiler import Calibration, compile_sequence
from labkit.compiler.programs import DRIVE_SAMPLE_RATE
from labkit.sequence import Hardware, TimingError
from labkit.sequence.pulses import riedinger2018_sequence

HARDWARE = Hardware()
CALIBRATION = Calibration(aom_full=1.0, v_pi=5.0, amplifier_gain=8.0, aom_delay=0.0, eom_delay=0.0)


def optical_phase(programs, pulse, calibration=CALIBRATION):
    """Phase (rad) and time (s) of the EOM during a pulse's full width."""
    modulator = programs.modulator
    volts = modulator.waveform()
    time = np.arange(len(volts)) / modulator.sample_rate + calibration.eom_delay
    during = (time >= pulse.start) & (time < pulse.stop)
    return time[during], np.pi * volts[during] * calibration.amplifier_gain / calibration.v_pi


def demodulated(time, phase, pulse):
    """Frequency (Hz), phase at the pulse's start (rad) of exp(iφ), by unwrapping."""
    line = np.polyfit(time - pulse.start, np.unwrap(phase, period=2 * np.pi), 1)
    return line[0] / (2 * np.pi), (line[1] + np.pi) % (2 * np.pi) - np.pi


@pytest.mark.parametrize("delta_phi", [0.0, 0.2 * np.pi, -0.7 * np.pi])
@pytest.mark.parametrize("delay", [123e-9, 500e-9, 3e-6])
def test_each_pulse_gets_its_frequency_and_phase(delta_phi, delay):
    sequence = riedinger2018_sequence(delay=delay, delta_phi=delta_phi)
    programs = compile_sequence(sequence, HARDWARE, CALIBRATION)
    for name, frequency, phase in (("pump", -45e6, 0.0), ("read", 45e6, -delta_phi)):
        pulse = sequence.pulse(name)
        found = demodulated(*optical_phase(programs, pulse), pulse)
        assert found[0] == pytest.approx(frequency, rel=1e-9)
        assert found[1] == pytest.approx(phase, abs=1e-9)


def test_largest_spurious_sideband_of_the_sampled_sawtooth_is_at_minus_38_db():
    """80 held samples per 2π: the nearest image, 79 lines away, has 1/79² of the power.

    All light outside the shifted line is (π/80)²/3 = -32.9 dB (phase error uniform in ±π/80).
    """
    sequence = riedinger2018_sequence().with_pulse("read", duration=20 / 45e6, start=600e-9)
    programs = compile_sequence(sequence, replace(HARDWARE, largest_duty=1.0), CALIBRATION)
    _, phase = optical_phase(programs, sequence.pulse("read"))
    held = np.exp(1j * np.repeat(phase, 32))  # the converter holds each sample
    power = np.sort(np.abs(np.fft.fft(held)) ** 2 / len(held) ** 2)
    assert 10 * np.log10(power[-2] / power[-1]) == pytest.approx(-37.9, abs=0.2)
    assert 10 * np.log10(1 - power[-1]) == pytest.approx(-32.9, abs=0.1)


def test_swing_is_two_v_pi_at_the_modulator():
    programs = compile_sequence(riedinger2018_sequence(), HARDWARE, CALIBRATION)
    volts = programs.modulator.waveform() * CALIBRATION.amplifier_gain
    assert np.ptp(volts) == pytest.approx(2 * CALIBRATION.v_pi, rel=0.02)


@pytest.mark.parametrize("delay", [123e-9, 130e-9, 401e-9, 2.345e-6])
def test_segments_obey_the_generators_memory_rules(delay):
    programs = compile_sequence(riedinger2018_sequence(delay=delay), HARDWARE, CALIBRATION)
    modulator = programs.modulator
    assert all(len(segment) % 32 == 0 for segment in modulator.segments)
    assert all(len(segment) >= 320 for segment in modulator.segments)
    assert len(modulator.steps) >= 3
    assert np.all(modulator.segments[0] == 0)


def test_modulator_rests_at_zero_during_the_lock_pulse():
    sequence = riedinger2018_sequence()
    programs = compile_sequence(sequence, HARDWARE, CALIBRATION)
    lock = sequence.pulse("lock")
    played = programs.modulator.waveform()
    begins = int(lock.feet[0] * HARDWARE.awg_sample_rate)
    assert not played[begins:].any()  # after the last step the output rests at the idle level


def test_path_delays_move_the_programs_not_the_light():
    slow = replace(CALIBRATION, aom_delay=5e-9, eom_delay=1e-9)
    sequence = riedinger2018_sequence(delta_phi=1.0)
    programs = compile_sequence(sequence, HARDWARE, slow)
    assert programs.drives["pump"].pulses[0].start == pytest.approx(395e-9)
    pulse = sequence.pulse("read")
    assert demodulated(*optical_phase(programs, pulse, slow), pulse)[1] == pytest.approx(-1.0)


def test_single_pulse_is_programmed_as_a_pulse_and_two_as_samples():
    drives = compile_sequence(riedinger2018_sequence(), HARDWARE, CALIBRATION).drives
    assert drives["pump"].samples is None
    samples = drives["read"].samples
    time = np.arange(len(samples)) / DRIVE_SAMPLE_RATE
    assert samples[(time > 540e-9) & (time < 545e-9)] == pytest.approx(1.0)
    assert samples[(time > 5.8e-6) & (time < 6.0e-6)] == pytest.approx(1.0)
    assert samples[0] == samples[-1] == 0


def test_edges_have_the_stated_rise_time():
    samples = (
        compile_sequence(
            riedinger2018_sequence().with_pulse("lock", edge=100e-9), HARDWARE, CALIBRATION
        )
        .drives["read"]
        .samples
    )
    lock = samples[5000:5900]
    t10, t90 = np.interp([0.1, 0.9], lock, np.arange(len(lock)))
    assert t90 - t10 == pytest.approx(100, abs=1)


def test_light_that_would_have_to_start_before_the_trigger_is_refused():
    slow = replace(CALIBRATION, aom_delay=500e-9)
    with pytest.raises(TimingError, match="'pump': must begin at least the AOM path's delay"):
        compile_sequence(riedinger2018_sequence(), HARDWARE, slow)


@pytest.mark.parametrize("name", ["aom_full", "v_pi", "amplifier_gain"])
def test_calibration_refuses_what_is_not_positive(name):
    with pytest.raises(ValueError, match=f"`{name}` must be > 0"):
        replace(CALIBRATION, **{name: 0.0})
