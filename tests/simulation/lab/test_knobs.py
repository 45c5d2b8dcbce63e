"""Every row of the table in docs/virtual_lab.md: a knob and what it does to the tags."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.tagfile.codec import Decoder
from analysis.tagfile.layouts import SYNC, TIMEHARP_260N_T2, TIMEHARP_260N_T3
from simulation.lab.ports.drives import DrivePulse, PulseDrive
from simulation.lab.ports.phase_lock import LockSettings
from simulation.lab.ports.tagger import TaggerSettings, TriggerInput
from tests.simulation.lab.paper_settings import PaperSettings, serrodyne_drive

PAPER = PaperSettings()


def t3(lab, seconds, settings=None):
    return Decoder(TIMEHARP_260N_T3).decode(lab.record(seconds, settings))


def clicks_near(events, start, stop):
    time = events.dtime * 250e-12
    return int(np.sum((time >= start) & (time < stop)))


def test_detuned_pump_laser_kills_the_pump_rate(lab):
    before = lab.singles()
    port = lab.wiring.laser["pump"]
    detuned = 1 / (1 / port.state.wavelength + 300e6 / 299792458)
    port.state = replace(port.state, wavelength=detuned)
    after = lab.singles()
    assert np.all(after[:2] < 0.01 * before[:2])
    assert np.all(after[2:] > 0.6 * before[2:])  # the pump's phonons are missing, no more


def test_laser_power_scales_both_scattering_and_leak(lab):
    before = lab.plant.operating_point().parameters
    port = lab.wiring.laser["pump"]
    port.state = replace(port.state, power=0.5 * port.state.power)
    after = lab.plant.operating_point().parameters
    assert after.p_pump_A == pytest.approx(before.p_pump_A / 2, rel=0.01)
    assert after.leak_pump_1 == pytest.approx(before.leak_pump_1 / 2, rel=0.01)


@pytest.mark.parametrize("laser", ["pump", "read"])
def test_laser_off_leaves_no_pair(lab, laser):
    port = lab.wiring.laser[laser]
    port.state = replace(port.state, emission=False)
    clicks = lab.singles()[:2] if laser == "pump" else lab.singles()[2:]
    assert np.all(clicks < 1e-9)


def test_aom_amplitude_sets_the_scattering_probability(lab):
    before = lab.plant.operating_point().parameters.p_pump_A
    lab.set(replace(PAPER, pump_volts=0.1))
    ratio = (np.sin(np.pi * 0.05) / np.sin(np.pi * PAPER.pump_volts / 2)) ** 2
    assert lab.plant.operating_point().parameters.p_pump_A == pytest.approx(
        before * ratio, rel=0.01
    )


def test_longer_pulse_scatters_more(lab):
    before = lab.plant.operating_point().parameters.p_pump_A
    lab.set(replace(PAPER, pulse_width=80e-9))
    ratio = lab.plant.operating_point().parameters.p_pump_A / before
    assert 2.0 < ratio < 2.2  # the AOM's rise shortens both


def test_drive_delay_moves_the_clicks(lab):
    later = replace(PAPER, pump_start=PAPER.pump_start + 1e-6, lock_start=7e-6)
    early, late = 590e-9, 590e-9 + 1e-6
    assert clicks_near(t3(lab, 100), early, early + 80e-9) > 300
    lab.set(later)
    events = t3(lab, 100)
    assert clicks_near(events, early, early + 80e-9) < 12
    assert clicks_near(events, late, late + 80e-9) > 300


def test_delay_between_the_pulses_turns_the_fringe_by_the_mechanical_beat(lab):
    # 45 MHz: 22.2 ns are a turn; ΔΩ τ is in θ, and the serrodyne keeps it stationary
    lab.set(replace(PAPER, delay=123e-9))
    first = lab.theta()
    lab.set(replace(PAPER, delay=123e-9 + 0.25 / 45e6))
    turned = (lab.theta() - first) % 2
    assert turned == pytest.approx(0.5, abs=0.05)


def test_aom_drive_off_leaves_only_dark_clicks(lab):
    for port in lab.wiring.aom_drive.values():
        port.drive = None
    rates = lab.plant.operating_point().click_rates(50e-6)
    assert rates == pytest.approx(lab.plant.parameters.detector_dark_hz, rel=0.02)


def test_generator_on_its_own_timer_has_no_pulses_in_step(lab):
    shape = DrivePulse(delay=0.3e-6, width=40e-9, lead=5e-9, trail=5e-9, low=0, high=0.2)
    lab.wiring.aom_drive[1].drive = PulseDrive(shape=shape, trigger="internal")
    assert lab.plant.operating_point().parameters.p_pump_A == 0
    assert np.all(lab.plant.operating_point().steady_rate > 5)


@pytest.mark.parametrize(("error_hz", "highest"), [(1e6, 0.999), (10e6, 0.75), (20e6, 0.4)])
def test_wrong_serrodyne_frequency_costs_contrast(lab, error_hz, highest):
    right = lab.visibility()
    lab.set(replace(PAPER, serrodyne_hz=45e6 + error_hz))
    assert lab.visibility() < highest * right


@pytest.mark.parametrize("sign", [-1, 0])
def test_wrong_sign_or_missing_serrodyne_makes_the_interference_vanish(lab, sign):
    lab.set(replace(PAPER, serrodyne_hz=sign * 45e6))
    assert lab.visibility() < 0.05


def test_missing_waveform_makes_the_interference_vanish(lab):
    assert lab.visibility() > 0.7
    lab.wiring.eom_drive[1].drive = None
    assert lab.visibility() < 0.05


def test_sawtooth_of_half_the_amplitude_shifts_less_light(lab):
    full, visible = lab.plant.operating_point().passage, lab.visibility()
    lab.set(replace(PAPER, serrodyne_volts=0.6))
    half = lab.plant.operating_point().passage
    # |c_1|² = sinc²(1/2) = 0.405 of it, the rest at other shifts, which the filters stop in part
    assert np.all((half[:, 0] / full[:, 0] > 0.4) & (half[:, 0] / full[:, 0] < 0.6))
    assert half[:, 1] == pytest.approx(full[:, 1], rel=1e-6)
    assert lab.visibility() < 0.95 * visible


def test_starting_phase_of_the_read_sawtooth_is_the_phase_offset(lab):
    lab.set(replace(PAPER, delta_phi=0.0))
    first = lab.theta()
    lab.set(replace(PAPER, delta_phi=0.5 * np.pi))
    assert (lab.theta() - first) % 2 == pytest.approx(0.5, abs=0.02)


def test_waveform_not_started_by_the_trigger_has_no_fringe(lab):
    drive = serrodyne_drive(PAPER, lab.plant.parameters)
    lab.wiring.eom_drive[1].drive = replace(drive, trigger="internal")
    assert lab.contrast() == 0


def test_eom_bias_turns_the_free_fringe_and_the_lock_takes_it_back(lab):
    locked = lab.theta()
    before = lab.wiring.lock.read().output
    lab.wiring.actuator["eom_bias"].apply(1.3)
    assert lab.theta() == pytest.approx(locked, abs=0.02)
    # φ follows the phase of the lock pulse in arm A: 1.3/6.5 π at 2 rad/V
    expected = before + 0.2 * np.pi / 2
    assert lab.wiring.lock.read().output == pytest.approx(expected, abs=0.01)
    lab.wiring.lock.configure(LockSettings(engaged=False, manual_output=expected))
    lab.wiring.actuator["eom_bias"].apply(0.0)
    assert (lab.theta() - locked) % 2 == pytest.approx(0.4, abs=0.02)


def test_attenuator_scales_the_drive_of_its_arm_only(lab):
    before = lab.plant.operating_point().parameters
    lab.wiring.actuator["attenuator_a"].apply(5.0 * np.sqrt(3.0103 / 45))
    after = lab.plant.operating_point().parameters
    assert after.p_pump_A == pytest.approx(before.p_pump_A / 2, rel=0.01)
    assert after.p_read_A == pytest.approx(before.p_read_A / 2, rel=0.03)
    assert after.p_pump_B == before.p_pump_B


def test_closed_attenuator_leaves_a_single_device(lab):
    both = lab.singles()
    lab.wiring.actuator["attenuator_b"].apply(5.0)
    alone = lab.singles()
    assert alone[:2] == pytest.approx(both[:2] / 2, rel=0.06)


def lock(**changes):
    return LockSettings(**{"engaged": True, "gain": 0.1, "integral_rate": 2e4, **changes})


def test_set_point_moves_the_fringe_twice(lab):
    first, amplitude = lab.theta(), lab.plant.interferometer.fringe.amplitude
    lab.wiring.lock.configure(lock(setpoint=0.5 * amplitude))
    assert (lab.theta() - first) % 2 == pytest.approx(2 / 6, abs=0.01)


def test_too_much_gain_unlocks(lab):
    assert lab.visibility() > 0.7
    lab.wiring.lock.configure(lock(gain=2.0))
    assert lab.visibility() < 0.01


def test_less_integral_gain_lets_more_noise_through(lab):
    good = lab.contrast()
    lab.wiring.lock.configure(lock(integral_rate=100.0))
    assert 0.5 < lab.contrast() < good - 0.05


def test_released_lock_lets_the_phase_go(make_lab):
    lab = make_lab(replace(make_lab().plant.parameters, phase_drift_rate=0.01))
    lab.wiring.lock.configure(LockSettings(engaged=False))
    before = lab.theta()
    lab.clock.advance(100.0)
    assert (lab.theta() - before) % 2 == pytest.approx(2 * 0.01 * 100.5 / np.pi, abs=0.01)
    assert lab.contrast() < 0.9


def test_output_limit_saturates_the_servo(lab):
    held = lab.plant.interferometer
    lab.contrast()
    reached = held.output
    lab.wiring.lock.configure(lock(low=reached + 0.3, high=reached + 0.6))
    lab.clock.advance(1.0)
    assert lab.wiring.lock.read().limit == -1
    assert held.sigma == lab.plant.parameters.acoustic_noise


def test_no_lock_pulse_no_error_signal(lab):
    lab.set(replace(PAPER, lock_volts=0.0))
    readings = [lab.wiring.lock.read().measured for _ in range(50)]
    assert np.std(readings) < 2 * lab.plant.parameters.lock_noise


def test_stretcher_voltage_moves_the_free_phase(lab):
    lab.wiring.lock.configure(LockSettings(engaged=False))
    before = lab.theta()
    lab.wiring.actuator["stretcher"].apply(0.25)
    assert (lab.theta() - before) % 2 == pytest.approx(2 * 2.0 * 0.25 / np.pi, abs=0.01)


@pytest.mark.parametrize(("name", "cells"), [("filter_1a", [0, 2]), ("filter_2b", [1, 3])])
def test_detuned_detection_filter_darkens_its_detector(lab, name, cells):
    before = lab.singles()
    port = lab.wiring.actuator[name]
    port.apply(port.voltage + 0.1)  # 150 MHz
    after = lab.singles()
    others = [cell for cell in range(4) if cell not in cells]
    assert after[cells[0]] < 0.1 * before[cells[0]]
    assert after[cells[1]] < 0.35 * before[cells[1]]  # leaked drive light stays
    assert after[others] == pytest.approx(before[others], rel=1e-3)


def test_detuned_prefilter_darkens_its_laser(lab):
    before = lab.wiring.power["pump"].power()
    port = lab.wiring.actuator["filter_pump"]
    port.apply(port.voltage + 0.1)
    assert lab.wiring.power["pump"].power() < 0.05 * before


def test_filter_approached_from_above_is_off_by_its_backlash(lab):
    filters, port = lab.plant.light.filters["1a"], lab.wiring.actuator["filter_1a"]
    rising, volts = filters.centre_hz, port.voltage
    port.apply(volts + 1)
    port.apply(volts)
    assert filters.centre_hz - rising == pytest.approx(0.02 * 1.5e9, rel=1e-6)


def test_filter_one_order_away_passes_as_well(lab):
    before = lab.singles()
    port = lab.wiring.actuator["filter_1a"]
    port.apply(port.voltage + 18 / 1.5)
    assert lab.singles() == pytest.approx(before, rel=1e-6)


def test_detector_bias_sets_efficiency_and_dark_counts(lab):
    before = lab.plant.operating_point()
    lab.wiring.bias[1].apply(8e-6)
    after = lab.plant.operating_point()
    assert after.parameters.eta_1 == pytest.approx(before.parameters.eta_1 / 2, rel=0.02)
    assert after.steady_rate[0] == pytest.approx(np.exp(-4) * before.steady_rate[0], abs=0.02)
    assert after.parameters.eta_2 == before.parameters.eta_2


def test_too_much_bias_latches_until_the_current_was_zero(lab):
    port = lab.wiring.bias[2]
    port.apply(17e-6)
    port.apply(12e-6)
    assert port.is_latched()
    assert np.all(lab.singles()[[1, 3]] == 0)
    port.apply(0.0)
    port.apply(12e-6)
    assert not port.is_latched()
    assert np.all(lab.singles()[[1, 3]] > 0)


@pytest.mark.parametrize(
    ("level", "low", "high"),
    [(0.1, 22, 40), (0.5, 0, 0), (0.3, 9, 25), (0.02, 1e5, np.inf)],
)
def test_trigger_level_decides_what_counts(lab, level, low, high):
    inputs = (TriggerInput(level=level), TriggerInput(level=level))
    rates = [sum(lab.wiring.tagger.rates(TaggerSettings(inputs=inputs)).inputs) for _ in range(20)]
    assert low <= np.mean(rates) <= high


def test_trigger_edge_and_offset_move_the_clicks(lab):
    def centre(trigger):
        settings = TaggerSettings(mode="T3", inputs=(trigger, TriggerInput(enabled=False)))
        time = t3(lab, 200, settings).dtime * 250e-12
        return time[(time > 550e-9) & (time < 680e-9)].mean()

    usual = centre(TriggerInput())
    assert centre(TriggerInput(offset=20e-9)) - usual == pytest.approx(20e-9, abs=1.5e-9)
    falling = 15e-9 * np.log(0.3 / 0.1)
    assert centre(TriggerInput(rising=False)) - usual == pytest.approx(falling, abs=1.5e-9)


def test_disabled_input_is_silent(lab):
    settings = TaggerSettings(mode="T3", inputs=(TriggerInput(enabled=False), TriggerInput()))
    assert set(t3(lab, 50, settings).channel) == {1}


def test_binning_stretches_the_window_over_the_trial(lab):
    narrow = t3(lab, 50).dtime.max() * 250e-12
    wide = t3(lab, 50, TaggerSettings(mode="T3", binning=3)).dtime.max() * 2e-9
    assert narrow < 8.2e-6
    assert 45e-6 < wide < 50e-6


def test_t3_offset_moves_the_window(lab):
    shifted = t3(lab, 50, TaggerSettings(mode="T3", t3_offset=500e-9))
    assert clicks_near(shifted, 90e-9, 170e-9) > 150


def test_sync_level_above_the_trigger_pulse_loses_the_trials(lab):
    deaf = TaggerSettings(mode="T3", sync=TriggerInput(level=0.9))
    assert lab.wiring.tagger.rates(deaf).sync == 0
    assert len(lab.record(5, deaf)) == 0
    assert lab.wiring.tagger.flags().sync_lost


def test_sync_divider_thins_the_sync_records(lab):
    records = lab.record(1.0, TaggerSettings(mode="T2", sync_divider=4))
    events = Decoder(TIMEHARP_260N_T2).decode(records)
    syncs = events.time[events.channel == SYNC]
    assert len(syncs) == 5000
    assert set(np.diff(syncs)) == {4 * 200_000}


def test_every_row_of_the_table_is_checked_here():
    text = (Path(__file__).parents[3] / "docs" / "virtual_lab.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)` \|", text.partition("## Ways to lie")[0]))
    here = {name for name in globals() if name.startswith("test_")}
    assert named == here - {"test_every_row_of_the_table_is_checked_here"}
