"""Every row of the table of lies in docs/virtual_lab.md: a constant and its effect on the tags."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import constants

from analysis.tagfile.codec import Decoder
from analysis.tagfile.layouts import TIMEHARP_260N_T3
from simulation.lab.plant_faults import PlantFault, schedule
from simulation.lab.ports.tagger import TaggerSettings
from simulation.lab.slow_drifts import SlowDrifts
from simulation.theory.dlcz import click_probabilities
from tests.simulation.lab.conftest import QUIET
from tests.simulation.lab.paper_settings import PaperSettings

PAPER = PaperSettings()
BRIGHT = PaperSettings(pump_volts=0.8, read_volts=0.95)
DARKLESS = replace(QUIET, detector_dark_hz=(0.0, 0.0))
SHUT = 5.0


def t3(lab, seconds):
    return Decoder(TIMEHARP_260N_T3).decode(lab.record(seconds))


def parameters(lab):
    return lab.plant.operating_point().parameters


def lags(clicks, *, same_detector):
    """Times between neighbouring clicks of a trial, of the same or of different detectors."""
    order = np.lexsort((clicks.time, clicks.trial))
    trial, time, detector = (x[order] for x in (clicks.trial, clicks.time, clicks.detector))
    chosen = (np.diff(trial) == 0) & ((np.diff(detector) == 0) == same_detector)
    return np.diff(time)[chosen]


def pairs(clicks, pump, read):
    """Trials in which detector `pump` clicked in the pump's time and `read` in the read's."""
    early = clicks.time < 660e-9
    found = [clicks.trial[early & (clicks.detector == pump)]]
    found.append(clicks.trial[~early & (clicks.time < 760e-9) & (clicks.detector == read)])
    return len(np.intersect1d(*found))


def test_afterpulses_follow_clicks_of_their_own_detector(make_lab):
    honest = make_lab(DARKLESS).plant.live(20_000_000)
    lying = make_lab(replace(DARKLESS, afterpulse=(0.2, 0.2))).plant.live(20_000_000)
    grown = len(lying.trial) / len(honest.trial)
    assert grown == pytest.approx(1.2, abs=5 * 0.4 / len(honest.trial) ** 0.5)
    between = lags(lying, same_detector=True)
    assert between.min() > 40e-9
    assert between.mean() == pytest.approx(50e-9 + 100e-9, rel=0.1)
    assert len(lags(lying, same_detector=False)) < 0.05 * len(between)


def test_recovering_detectors_miss_reads_after_their_own_pump_click(make_lab):
    lab, trials = make_lab(replace(DARKLESS, recovery_time=(200e-9, 200e-9))), 4_000_000
    lab.set(BRIGHT)
    patterns = lab.plant.operating_point().patterns
    lying, point = lab.plant.live(trials), lab.plant.operating_point()
    expected = (
        trials
        * patterns.at(np.array([lab.theta() * np.pi]), np.array([lab.noise()]), point.contrast)[0]
    )
    bits = np.arange(16)
    for pump, read, kept in ((0, 0, True), (0, 1, False), (1, 0, False), (1, 1, True)):
        mask = (8 >> pump) | (2 >> read)
        number = expected[(bits & mask) == mask].sum()
        # 123 ns from pump to read, 50 ns of them dead: e^(-73/200) = 0.69 are missed
        part = 1 - np.exp(-73 / 200) if kept else 1.0
        assert pairs(lying, pump, read) == pytest.approx(part * number, abs=5 * number**0.5 + 3)


def test_crosstalk_clicks_the_other_detector(make_lab):
    lying = make_lab(replace(DARKLESS, crosstalk=(0.1, 0.3))).plant.live(20_000_000)
    own = np.bincount(make_lab(DARKLESS).plant.live(20_000_000).detector, minlength=2)
    across = lags(lying, same_detector=False)
    near = np.sum(np.abs(across - 120e-9) < 0.1e-9)
    expected = 0.1 * own[1] + 0.3 * own[0]
    assert near == pytest.approx(expected, abs=5 * expected**0.5)


def test_tagger_rates_include_false_clicks(make_lab):
    def rate(**lies):
        tagger = make_lab(replace(QUIET, **lies)).wiring.tagger
        return np.sum([sum(tagger.rates(TaggerSettings()).inputs) for _ in range(300)])

    assert rate(afterpulse=(0.5, 0.5)) == pytest.approx(1.5 * rate(), rel=0.15)


def test_stray_light_makes_dark_counts_that_depend_on_the_filters(make_lab):
    dark, lit = make_lab(), make_lab(replace(QUIET, stray_light_hz=(20.0, 40.0)))

    def added():
        return lit.plant.operating_point().steady_rate - dark.plant.operating_point().steady_rate

    assert added() == pytest.approx([20.0, 40.0], rel=0.01)
    for lab in (lit, dark):
        lab.wiring.actuator["filter_1a"].apply(lab.wiring.actuator["filter_1a"].voltage + 0.1)
    assert added()[0] < 0.6
    assert added()[1] == pytest.approx(40.0, rel=0.01)


def test_swapped_cables_exchange_the_detectors(make_lab):
    clicks = [
        np.bincount(t3(make_lab(replace(QUIET, swapped_detectors=swap)), 300).channel, minlength=2)
        for swap in (False, True)
    ]
    assert clicks[0][1] > 1.2 * clicks[0][0]
    np.testing.assert_array_equal(clicks[1], clicks[0][::-1])


@pytest.mark.parametrize("read_splitting", [None, 0.35])
def test_single_arms_show_the_splitting_at_pump_and_read(make_lab, read_splitting):
    lab = make_lab(replace(QUIET, splitting=0.6, read_splitting=read_splitting))
    odds = []
    for closed in ("attenuator_b", "attenuator_a"):
        lab.set(PAPER)
        lab.wiring.actuator[closed].apply(SHUT)
        singles = lab.singles(leaks=False)  # the detectors' filters let them pass unlike
        odds.append(singles[::2] / singles[1::2])
    # detectors' efficiencies drop out: (T/(1 - T))² = odds of A over odds of B
    root = np.sqrt(odds[0] / odds[1])
    part = root / (1 + root)
    assert part == pytest.approx([0.6, read_splitting or 0.6], abs=2e-3)


def test_coupler_that_is_a_mirror_has_no_fringe_though_the_lock_finds_one(make_lab):
    honest, mirror = make_lab(), make_lab(replace(QUIET, splitting=0.99))
    assert mirror.visibility() < 0.2 < 0.7 < honest.visibility()
    fringes = [lab.plant.interferometer.fringe.amplitude for lab in (honest, mirror)]
    assert fringes[1] == pytest.approx(fringes[0], rel=1e-9)
    point = mirror.plant.operating_point()
    g = click_probabilities(point.parameters, point.passage).g2
    assert np.diag(g).min() > 4 * max(g[0, 1], g[1, 0])  # the paper's warning


def test_polarisation_mismatch_costs_contrast(make_lab):
    honest, lying = make_lab(), make_lab(replace(QUIET, polarisation_angle=0.5))
    assert lying.contrast() / honest.contrast() == pytest.approx(np.cos(0.5) ** 2, rel=1e-9)
    crossed = make_lab(replace(QUIET, polarisation_angle=np.pi / 2))
    assert crossed.visibility() < 1e-6


def test_polarisation_drift_walks_away(make_lab):
    lab = make_lab(replace(QUIET, polarisation_drift=0.02))
    first = lab.plant.operating_point().contrast
    lab.clock.advance(3600.0)
    assert lab.plant.parameters.polarisation_angle != 0
    turned = np.cos(lab.plant.parameters.polarisation_angle) ** 2
    assert lab.plant.operating_point().contrast == pytest.approx(first * turned, rel=0.01)


def test_arm_transmission_weakens_drive_and_photons(make_lab):
    lab = make_lab(replace(QUIET, arm_transmission=(0.5, 1.0)))
    honest, lying = parameters(make_lab()), parameters(lab)
    assert lying.p_pump_A == pytest.approx(honest.p_pump_A / 2, rel=0.01)
    assert lying.eta_A == pytest.approx(honest.eta_A / 2)
    assert (lying.p_pump_B, lying.eta_B) == (honest.p_pump_B, honest.eta_B)


def test_slow_drifts_have_their_spread_and_return(make_lab):
    world = replace(QUIET, arm_drift=0.02, power_drift=0.05, splitting_drift=0.01)
    drifts = SlowDrifts(np.random.default_rng(1))
    seen = []
    for _ in range(4000):
        assert drifts.step(2 * world.slow_drift_time, world)
        now = drifts.applied(world)
        seen.append((*now.arm_transmission, *now.laser_gain, now.splitting))
    spread = np.std(seen, axis=0)
    # σ of a standard deviation of 4000 nearly independent values: 1.2 %
    assert spread == pytest.approx([0.02, 0.02, 0.05, 0.05, 0.01], rel=0.06)
    assert np.mean(seen, axis=0) == pytest.approx([1, 1, 1, 1, 0.5], abs=5e-3)
    lab = make_lab(world)
    before = lab.singles()
    lab.clock.advance(7200.0)
    assert np.abs(lab.singles() / before - 1).max() > 5e-3


def test_laser_gain_is_power_that_the_laser_does_not_report(make_lab):
    honest, lying = make_lab(), make_lab(replace(QUIET, laser_gain=(3.0, 1.0)))
    assert parameters(lying).p_pump_A == pytest.approx(3 * parameters(honest).p_pump_A, rel=0.02)
    assert parameters(lying).n_0_A > parameters(honest).n_0_A + 0.005  # heats
    power = [lab.wiring.power["pump"].power() for lab in (honest, lying)]
    assert power[1] == pytest.approx(3 * power[0], rel=1e-3)
    assert lying.wiring.laser["pump"].state.power == honest.wiring.laser["pump"].state.power


def test_laser_noise_leaks_unless_the_prefilter_stops_it(make_lab):
    def leak(**changes):
        return parameters(make_lab(replace(QUIET, **changes))).leak_read_1

    noise = (1e-5, 1e-5)
    added = leak(laser_noise=noise) - leak()
    assert added == pytest.approx(leak(laser_noise=(0.0, 2e-5)) / 2 - leak() / 2, rel=1e-6)
    assert 0.1 * leak() < added < leak()
    wide = (6e9, 6e9, *QUIET.filter_width_hz[2:])
    assert leak(laser_noise=noise, filter_width_hz=wide) > 1e3 * added


def test_mechanical_jitter_blurs_the_fringe_with_the_delay(make_lab):
    def kept(delay):
        labs = make_lab(), make_lab(replace(QUIET, mechanical_jitter_hz=(3e5, 4e5)))
        for lab in labs:
            lab.set(replace(PAPER, delay=delay))
        return labs[1].contrast() / labs[0].contrast()

    for delay in (123e-9, 400e-9):
        blur = 2 * np.pi * 5e5 * delay
        assert kept(delay) == pytest.approx(np.exp(-(blur**2) / 2), rel=0.01)


def test_unequal_paths_turn_the_fringe_with_the_lasers(make_lab):
    def turned(path_mismatch):
        lab = make_lab(replace(QUIET, path_mismatch=path_mismatch))
        before = lab.theta()
        schedule(lab.plant, PlantFault(kind="mode_hop", target="pump", value=4e6))
        return (lab.theta() - before + 1) % 2 - 1

    expected = 2 * 10.0 / constants.c * 4e6
    assert turned(10.0) - turned(0.0) == pytest.approx(expected, rel=0.02)


def test_heating_curvature_heats_more_than_in_proportion(make_lab):
    honest, lying = make_lab(), make_lab(replace(QUIET, heating_curvature=2e12))
    added = [parameters(lab).n_heat_A for lab in (honest, lying)]
    assert 1.2 < added[1] / added[0] < 2.0
    assert parameters(lying).p_read_A == parameters(honest).p_read_A


def test_modulator_of_reversed_polarity_runs_the_serrodyne_backwards(make_lab):
    lab = make_lab(replace(QUIET, modulator_sign=-1.0))
    assert lab.visibility() < 0.05
    lab.set(replace(PAPER, serrodyne_hz=-45e6))
    assert lab.visibility() > 0.7


def test_period_of_the_trigger_sets_rates_and_what_the_last_trial_left(make_lab):
    slow, fast = make_lab(DARKLESS), make_lab(replace(DARKLESS, period=20e-6))
    before, after = (
        lab.plant.operating_point().click_rates(lab.plant.parameters.period) for lab in (slow, fast)
    )
    assert np.all(after > 2.5 * before)
    assert np.all(after < 3 * before)  # more than in proportion: it is warmer
    assert parameters(fast).n_0_A > parameters(slow).n_0_A + 1e-3
    assert fast.wiring.tagger.rates(TaggerSettings()).sync == pytest.approx(5e4)


def test_light_of_detuned_lasers_is_uncorrelated(lab):
    """Both lasers 1.5 GHz off their sidebands, prefilters along: what is left is drive light."""
    before = lab.singles()
    for name, side in (("pump", 1), ("read", -1)):
        port, element = lab.wiring.laser[name], lab.wiring.actuator[f"filter_{name}"]
        hz = constants.c / port.state.wavelength + side * 1.5e9
        port.state = replace(port.state, wavelength=constants.c / hz, power=10e-3)
        element.apply(element.voltage + side * 1.5e9 / 1.5e9)
    point = lab.plant.operating_point()
    own = click_probabilities(point.parameters, point.passage)
    assert np.all(own.singles < 0.5 * before)
    assert np.all(own.singles > 1e-6)
    assert own.g2 == pytest.approx(np.ones((2, 2)), abs=0.02)


def test_every_row_of_the_table_of_lies_is_checked_here():
    text = (Path(__file__).parents[3] / "docs" / "virtual_lab.md").read_text(encoding="utf-8")
    rows = text.partition("## Ways to lie")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(test_\w+)` \|", rows))
    here = {name for name in globals() if name.startswith("test_")}
    assert named == here - {"test_every_row_of_the_table_of_lies_is_checked_here"}
