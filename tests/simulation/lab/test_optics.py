import numpy as np
import pytest

from simulation.lab.optics import (
    STEP,
    TunableFilterState,
    aom_transmission,
    attenuator_transmission,
    filter_amplitude,
    light_pulses,
    resting_transmission,
)
from simulation.lab.ports.drives import DrivePulse, DriveSamples, PulseDrive
from simulation.lab.world_parameters import WorldParameters

WORLD = WorldParameters()


def drive(**changes):
    shape = {
        "delay": 1e-6, "width": 100e-9, "lead": 5e-9, "trail": 5e-9, "low": 0.0, "high": 0.1,
        **changes,
    }  # fmt: skip
    return PulseDrive(shape=DrivePulse(**shape))


def test_filter_is_an_airy_comb():
    offset = np.linspace(-30e9, 30e9, 1001)
    power = np.abs(filter_amplitude(offset, 50e6, 18e9)) ** 2
    finesse = (2 * 18e9 / (np.pi * 50e6)) ** 2
    assert power == pytest.approx(1 / (1 + finesse * np.sin(np.pi * offset / 18e9) ** 2), rel=1e-9)
    assert abs(filter_amplitude(25e6, 50e6, 18e9)) ** 2 == pytest.approx(0.5, rel=1e-4)
    assert abs(filter_amplitude(36e9, 50e6, 18e9)) == pytest.approx(1.0)


def test_two_filters_stop_a_drive_on_a_mechanical_sideband_by_90_db():
    power = np.abs(filter_amplitude(5.1e9, 50e6, 18e9)) ** 4
    assert -10 * np.log10(power) == pytest.approx(90, abs=1)


def test_filter_piezo_has_a_play():
    piezo = TunableFilterState(
        resonance_hz=0.0, volts=5.0, hz_per_volt=1e9, backlash=0.1, width_hz=50e6, fsr_hz=18e9
    )
    piezo.apply(5.0)
    rising = piezo.centre_hz
    assert rising == pytest.approx(0.0, abs=1.0)
    piezo.apply(4.95)  # within the play nothing moves
    assert piezo.centre_hz == rising
    piezo.apply(4.5)
    assert piezo.centre_hz == pytest.approx(-0.4e9)
    piezo.apply(5.0)
    assert piezo.centre_hz == pytest.approx(0.0, abs=1.0)


def test_aom_follows_a_squared_sine():
    efficiency = aom_transmission([0, 0.5, 1.0], WORLD) - WORLD.aom_extinction
    assert efficiency == pytest.approx(WORLD.aom_efficiency * np.array([0, 0.5, 1.0]))


def test_attenuator_is_open_at_0_v_and_never_less_than_closed():
    assert attenuator_transmission(0.0, WORLD) == 1
    closed = 10 ** (-WORLD.attenuator_db / 10)
    for volts in (5.0, 7.0, -7.0):
        assert attenuator_transmission(volts, WORLD) == pytest.approx(closed)


def test_pulse_has_the_drive_s_width_and_the_acoustic_delay():
    (pulse,) = light_pulses(drive(width=200e-9), WORLD)
    assert pulse.centre == pytest.approx(1e-6 + 100e-9 + WORLD.aom_delay, abs=0.2e-9)
    top = aom_transmission(0.1, WORLD) - WORLD.aom_extinction
    assert pulse.duration == pytest.approx(200e-9 * top, rel=0.03)


def test_sampled_waveform_makes_the_same_light_as_the_pulse_it_draws():
    time = np.arange(-200, 400) * 1e-9
    volts = 0.1 * ((time >= 0) & (time < 100e-9))
    samples = DriveSamples(samples=volts, sample_rate=1e9, delay=1e-6 - 200e-9)
    (sampled,) = light_pulses(PulseDrive(shape=samples), WORLD)
    (drawn,) = light_pulses(drive(lead=0.0, trail=0.0), WORLD)
    assert sampled.centre == pytest.approx(drawn.centre, abs=STEP)
    assert sampled.duration == pytest.approx(drawn.duration, rel=1e-2)


def test_two_pulses_in_one_waveform_are_two_pulses():
    volts = np.zeros(3000)
    volts[500:600] = volts[2500:2540] = 0.2
    pulses = light_pulses(PulseDrive(shape=DriveSamples(samples=volts, sample_rate=1e9)), WORLD)
    assert [round(pulse.centre * 1e9) for pulse in pulses] == [650, 2620]


@pytest.mark.parametrize("trigger", ["internal", "none"])
def test_drive_that_is_not_triggered_makes_no_pulse_in_step(trigger):
    assert light_pulses(PulseDrive(shape=drive().shape, trigger=trigger), WORLD) == ()


def test_drive_that_does_not_rest_at_zero_lets_light_through():
    assert resting_transmission(None, WORLD) == WORLD.aom_extinction
    assert resting_transmission(drive(low=0.05), WORLD) == pytest.approx(
        float(aom_transmission(0.05, WORLD))
    )


def test_power_of_a_filter_is_the_square_of_its_field():
    """Within its line, half way to the next order and beyond: to 1e-9 of the peak."""
    element = TunableFilterState(
        resonance_hz=2e14, volts=5.0, hz_per_volt=1.5e9, backlash=0.02, width_hz=50e6, fsr_hz=18e9
    )
    element.apply(5.01)
    for offset in (0.0, 3e6, -25e6, 1e9, 9e9, 18e9, -36.02e9):
        light = element.centre_hz + offset
        field = float(np.abs(element.amplitude(light)) ** 2)
        assert element.transmission(light) == pytest.approx(field, rel=1e-9, abs=1e-9)
