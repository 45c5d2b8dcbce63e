"""Every procedure on the virtual lab, against what its world really is.

The lab has ten times the light collection of the usual one, so that few trials suffice; all else,
and with it g², is as usual. Seeds are fixed; every tolerance states its σ.
"""

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from labkit.cli import run
from labkit.experiment import experiment_path, open_session, read_experiment, run_experiment
from labkit.monitoring import RunMonitor
from labkit.procedures import PROCEDURES
from labkit.procedures.balance import BalanceOptions, balance
from labkit.procedures.centring import centre
from labkit.procedures.delay_sweep import DelaySweepOptions, delay_sweep
from labkit.procedures.filters import FilterOptions, filters
from labkit.procedures.g2 import G2Options, g2_of_device
from labkit.procedures.lock import LockOptions, lock
from labkit.procedures.null_test import LaserLightOptions, NullTestOptions, null_test
from labkit.procedures.phase_sweep import PhaseSweepOptions, phase_sweep
from labkit.procedures.pump_probe import PumpProbeOptions, pump_probe
from labkit.procedures.session import LockLostError, Session, only
from labkit.procedures.splitting import SplittingOptions, splitting
from labkit.procedures.stray_light import StrayLightOptions, stray_light
from labkit.procedures.switch_on import SwitchOnOptions, switch_on
from labkit.procedures.thermometry import ThermometryOptions, thermometry
from labkit.procedures.witness import WitnessOptions, witness
from labkit.run import Goal, create_run, kept_sums, list_runs
from labkit.run.evidence import RunJudge
from labkit.run.journal import folded_sum
from labkit.run.progress import Watcher
from labkit.run.sole_use import is_in_use
from labkit.sequence import TimingError
from labkit.station.config import read_station_file
from labkit.station.lab import Lab
from labkit.station.opening import open_instruments
from simulation.lab.device import resting_phonons
from simulation.lab.world import World
from simulation.theory.dlcz import click_probabilities

BRIGHT = {"arm_output": [0.442, 0.316]}
SEQUENCE = read_experiment("autopilot").sequence
STRONG_PUMP = read_experiment("pump_probe").sequence


@contextmanager
def working_lab(folder, seed):
    file = read_station_file("virtual")
    parameters = {name: tuple(value) for name, value in BRIGHT.items()}
    with (
        World.start(seed=seed, parameters=parameters) as world,
        open_instruments(file, {**world.addresses, **world.objects}) as instruments,
    ):
        run = create_run(folder, "test", {}, "", gates=SEQUENCE.gates)
        session = Session(lab=Lab(file, instruments), folder=run)
        switch_on(session, SEQUENCE, SwitchOnOptions())
        yield world, session


@pytest.fixture
def bench(tmp_path):
    with working_lab(tmp_path, seed=5) as (world, session):
        yield world, session


def off_centre_hz(plant):
    """How far each filter is from the light it should pass."""
    found = {}
    for name, element in plant.light.filters.items():
        laser = {"pump": 0, "read": 1}.get(name)
        wanted = plant.parameters.resonance_hz[0]
        if laser is not None:
            wanted = plant.light.frequency_hz(laser)
        found[name] = element.centre_hz - wanted
    return found


def test_filters_find_the_light_again_after_drifts(bench):
    """One scan: σ about 1.5 MHz by counting, 1 MHz each by laser and filter drift; 4 σ."""
    world, session = bench
    for target, value in (("pump", 15e6), ("1a", -20e6), ("2b", 20e6)):
        world.inject({"kind": "filter_drift", "target": target, "value": value})
    filters(session, SEQUENCE, FilterOptions(points=9, trials=150_000, passes=2))
    assert max(abs(offset) for offset in off_centre_hz(world.plant).values()) < 8e6


def test_filters_that_have_drifted_are_centred_at_once(bench):
    """Eight settings in one block; the widths of one scan are known to 10 %: within 5 MHz."""
    world, session = bench
    filters(session, SEQUENCE, FilterOptions(points=9, trials=150_000, passes=1))
    for target, value in (("pump", 9e6), ("read", -9e6), ("1a", 8e6), ("1b", -6e6), ("2b", 9e6)):
        world.inject({"kind": "filter_drift", "target": target, "value": value})
    before = len(session.blocks)
    for _ in range(2):
        centre(session, SEQUENCE, trials=200_000)
    assert [len(block.parts) for block in session.blocks[before:]] == [8, 8]
    assert max(abs(offset) for offset in off_centre_hz(world.plant).values()) < 5e6


def test_filters_set_a_filter_back_that_shows_no_line(bench):
    _, session = bench
    device = session.lab.filters["1a"]
    device.voltage(7.0)
    with pytest.raises(ValueError, match="filter 1a"):
        filters(session, SEQUENCE, FilterOptions(only=("1a",), points=5, trials=10_000))
    assert float(device.voltage()) == pytest.approx(7.0)


def test_filter_that_the_station_does_not_have_is_refused(bench):
    _, session = bench
    with pytest.raises(ValueError, match=r"`only` must name some of pump, .*, but names 3a"):
        filters(session, SEQUENCE, FilterOptions(only=("3a",)))


def test_balance_makes_the_arms_equal_within_two_percent(bench):
    """Measured to 1 % (1 σ): the true imbalance is within 2 % and 3 σ."""
    world, session = bench
    session.lab.attenuators["B"].transmission(1.0)
    result = balance(session, SEQUENCE, BalanceOptions(trials=4_000_000, rounds=4, level=0.5))
    session.arm(SEQUENCE.with_pulse("pump", level=0.5))
    point = world.plant.operating_point()
    of = point.parameters
    stokes = [of.p_pump_A * (1 + of.n_0_A), of.p_pump_B * (1 + of.n_0_B)]
    a, b = np.multiply(stokes, BRIGHT["arm_output"]) * point.passage[0].sum(axis=1)
    assert abs(result.imbalance) <= 0.02
    assert result.sigma < 0.015
    assert abs(2 * (a - b) / (a + b)) < 0.02 + 3 * result.sigma


@pytest.mark.parametrize("phase", [0.0, 0.9])
def test_lock_holds_the_fringe_with_the_noise_the_world_has(bench, phase):
    """rms of 800 readings: σ of 2.5 %; at 0.9 rad the fringe is 38 % flatter."""
    world, session = bench
    result = lock(session, SEQUENCE, LockOptions(phase=phase, readings=800))
    sigma = world.plant.interferometer.sigma
    assert session.lab.phase_lock.lock_state() == "locked"
    assert result.phase_noise == pytest.approx(sigma, rel=0.2)
    assert result.contrast_loss == pytest.approx(2 * result.phase_noise**2, rel=0.05)
    assert result.fringe.period.value == pytest.approx(np.pi, rel=0.1)  # 2 rad/V


def test_lock_steps_the_phase_that_the_fringe_has_twice(bench):
    world, session = bench
    theta = []
    for phase in (0.0, 0.5):
        lock(session, SEQUENCE, LockOptions(phase=phase))
        world.clock.advance(0.1)
        point = world.plant.operating_point()
        theta.append(point.theta(world.plant.interferometer.phase))
    step = np.angle(np.exp(1j * (theta[1] - theta[0])))
    assert step == pytest.approx(1.0, abs=0.25)  # amplitude of the scanned fringe: 0.3 rad noise


@pytest.mark.parametrize(("knob", "value"), [("integral_rate", 1.0), ("gain", 20.0)])
def test_a_loop_too_weak_or_too_strong_is_no_lock(bench, knob, value):
    _, session = bench
    session.lab.instruments["lock"].parameters[knob](value)
    with pytest.raises(LockLostError, match="does not hold"):
        lock(session, SEQUENCE, LockOptions(attempts=1))
    assert session.lab.phase_lock.lock_state() == "off"


def test_without_a_lock_pulse_there_is_no_fringe_to_lock_to(bench):
    _, session = bench
    with pytest.raises(LockLostError, match="no fringe"):
        lock(session, SEQUENCE.without_pulse("lock"), LockOptions(attempts=2))


def test_laser_on_another_mode_is_named_where_there_is_no_fringe(bench):
    world, session = bench
    world.inject({"kind": "mode_hop", "target": "read", "value": 10e9})
    with pytest.raises(LockLostError, match=r"the read laser is \+10\.\d GHz from where it is set"):
        lock(session, SEQUENCE, LockOptions(attempts=1))


def test_laser_light_does_not_flood_one_detector_for_a_latched_one(bench):
    world, session = bench
    world.inject({"kind": "latched_detector", "target": "2"})
    with pytest.raises(RuntimeError, match=r"detector 2 sees no laser light .*: latched"):
        null_test(session, SEQUENCE, NullTestOptions(trials=1_000_000))


@pytest.mark.parametrize(("device", "number"), [("A", 0), ("B", 1)])
def test_thermometry_finds_the_phonons_of_the_pulse(bench, device, number):
    """Rest, and what the pulse heats at once (its energy from the pump's); 4 σ."""
    world, session = bench
    session.arm(SEQUENCE)
    expected = float(getattr(world.plant.operating_point().parameters, f"n_0_{device}"))
    assert expected > resting_phonons(number, 0.06, world.plant.parameters)
    options = ThermometryOptions(device=device, trials=8_000_000, rounds=4)
    result = thermometry(session, SEQUENCE, options)
    assert result.sigma < 0.007
    assert abs(result.n_th - expected) < 4 * result.sigma


@pytest.mark.parametrize(("device", "lifetime"), [("A", 4.0e-6), ("B", 5.8e-6)])
def test_pump_probe_finds_both_lifetimes(bench, device, lifetime):
    """σ of the fit about 3 % and 5 %, and as much again by drifting lasers: 15 % and 30 %."""
    _, session = bench
    options = PumpProbeOptions(device=device, trials=1_500_000, rounds=3)
    fit = pump_probe(session, STRONG_PUMP, options).fit
    assert fit.lifetime.value == pytest.approx(lifetime, rel=0.15)
    assert fit.bath_lifetime.value == pytest.approx(0.5e-6, rel=0.3)
    assert 0.04 < fit.n_final.value < 0.15


@pytest.mark.parametrize("device", ["A", "B"])
def test_g2_of_a_device_is_that_of_the_model(bench, device):
    """Inside the 99.99 % interval of the posterior (3.9 σ)."""
    world, session = bench
    session.arm(SEQUENCE)
    with only(session, device):
        point = world.plant.operating_point()
    model = float(click_probabilities(point.parameters, point.passage).g2.mean())
    result = g2_of_device(session, SEQUENCE, G2Options(device=device, trials=20_000_000))
    low, high = result.posterior.quantile([5e-5, 1 - 5e-5])
    assert low < model < high
    assert result.delay == pytest.approx(123e-9)


def test_phase_sweep_finds_the_optimum_and_the_period(bench):
    """4 σ; at the optimum the world's fringe phase θ is 0."""
    world, session = bench
    lock(session, SEQUENCE, LockOptions())
    result = phase_sweep(session, SEQUENCE, PhaseSweepOptions(trials=3_000_000))
    session.arm(SEQUENCE.with_read_phase(result.optimal_phase.value))
    point = world.plant.operating_point()
    theta = np.angle(np.exp(1j * point.theta(world.plant.interferometer.phase)))
    assert result.optimal_phase.sigma < 0.15
    assert abs(theta) < 4 * np.hypot(result.optimal_phase.sigma, 0.05)
    assert abs(result.period.value - 2 * np.pi) < 4 * result.period.sigma
    assert abs(result.visibility.value - 0.75) < 4 * result.visibility.sigma


def test_delay_sweep_refuses_its_last_window_before_the_first_is_measured(bench):
    """At 40 µs the read pulse lies beyond the tagger's range."""
    _, session = bench
    with pytest.raises(TimingError, match="T3 range"):
        delay_sweep(session, SEQUENCE, DelaySweepOptions(delays=(123e-9, 40e-6)))
    assert session.blocks == []


def test_delay_sweep_shows_the_22_ns_fringe_and_its_decay(bench):
    """Mismatch within 4 σ; correlations at 4 µs are below those at 123 ns by 2 σ."""
    _, session = bench
    options = DelaySweepOptions(
        delays=(123e-9, 0.5e-6, 4e-6), trials=4_000_000, bound_trials=5_000_000
    )
    result = delay_sweep(session, SEQUENCE, options)
    beat = result.delta_omega_hz
    assert beat.sigma < 30e3
    assert abs(beat.value - 45e6) < 4 * beat.sigma
    first, last = (result.windows[i][1].amplitude for i in (0, -1))
    assert first.value - last.value > 2 * np.hypot(first.sigma, last.sigma)
    assert result.bound[0] > result.bound[-1]
    assert result.diagnosis == ()


def _advised(sentence):
    """The shift that a sentence advises, MHz."""
    return float(sentence.split("shift it by ")[1].removesuffix(" MHz"))


def test_delay_sweep_tells_a_serrodyne_that_is_off_by_1_mhz(bench):
    """It hardly costs contrast in pulses of 40 ns; the mismatch is known to 30 kHz or better."""
    _, session = bench
    wrong = SEQUENCE.with_pulse("pump", shift_hz=-46e6).with_pulse("read", shift_hz=46e6)
    options = DelaySweepOptions(delays=(123e-9, 1e-6, 4e-6), trials=4_000_000, bound_trials=0)
    result = delay_sweep(session, wrong, options)
    assert abs(result.delta_omega_hz.value - 45e6) < 4 * result.delta_omega_hz.sigma < 120e3
    pump, read = result.diagnosis
    found = result.delta_omega_hz.value / 1e6
    assert pump.startswith("the sequence shifts pump by -46 MHz, but the devices differ by ")
    assert _advised(pump) == pytest.approx(-found, abs=0.006)  # four digits
    assert _advised(read) == pytest.approx(found, abs=0.006)
    assert pump in str(result)


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (lambda lab: lab.waveform_generator.set_output(1, on=False), "the EOM drive is off"),
        (lambda lab: lab.pulse_generator.set_output(2, on=False), "the read drive is off"),
    ],
)
def test_block_in_which_a_drive_stopped_is_left_out_and_the_next_is_loaded_anew(
    bench, stop, reason
):
    _, session = bench
    session.arm(SEQUENCE)
    stop(session.lab)
    block = session.measure(SEQUENCE, 20_000, {}, locked=False)
    assert (block.good, block.reason) == (False, reason)
    assert session.measure(SEQUENCE, 20_000, {}, locked=False).good


def test_block_in_which_a_laser_went_out_is_left_out(bench):
    _, session = bench
    session.arm(SEQUENCE)
    session.lab.lasers["read"].emission(False)
    block = session.measure(SEQUENCE, 20_000, {}, locked=False)
    assert (block.good, block.reason) == (False, "the read laser is off")


def test_generator_lost_within_a_block_is_noticed_at_its_end(bench):
    world, session = bench
    session.arm(SEQUENCE)
    session.lab.instruments["awg"].timeout(0.3)
    world.inject({"instrument": "awg", "kind": "silence", "count": None})
    block = session.measure(SEQUENCE, 20_000, {}, locked=False)
    assert not block.good
    assert block.reason.startswith("the EOM drive cannot be asked: awg")
    with pytest.raises(OSError, match="awg"):
        session.measure(SEQUENCE, 20_000, {}, locked=False)


WITNESS = WitnessOptions(goal=Goal(trials=6_000_000), block=2_000_000)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"kind": "lock_loss"}, "phase lock"),
        ({"kind": "latched_detector", "target": "1"}, "detector 1"),
        ({"kind": "filter_drift", "target": "2a", "value": 40e6}, "pump rate of detector 2"),
    ],
    ids=["unlocked", "latched", "drifted"],
)
def test_witness_leaves_a_bad_block_out_and_repairs_the_lab(bench, fault, reason):
    world, session = bench
    lock(session, SEQUENCE, LockOptions())
    world.inject({**fault, "at": world.clock.now() + 102.0})  # early in the second block
    result = witness(session, SEQUENCE, WITNESS)
    blocks = [b for b in session.folder.journal.read() if b.setting["procedure"] == "witness"]
    bad = [block for block in blocks if not block.good]
    assert result.left_out == len(bad) == 1
    assert reason in bad[0].reason
    assert result.evaluation.counts.trials.number == 6_000_000
    assert session.lab.phase_lock.lock_state() == "locked"
    assert not any(wire.latched for wire in world.plant.detectors)
    assert max(abs(offset) for offset in off_centre_hz(world.plant).values()) < 15e6


def test_witness_takes_theta_and_theta_plus_pi_in_turn(bench):
    _, session = bench
    lock(session, SEQUENCE, LockOptions())
    options = WitnessOptions(goal=Goal(trials=7_000_000), block=1_000_000)
    result = witness(session, SEQUENCE.with_read_phase(0.39), options)
    settings = [b.setting for b in session.blocks if b.setting["procedure"] == "witness"]
    assert [s["turn"] for s in settings] == ["theta", "pi", "pi", "theta"] * 2
    phases = {s["turn"]: s["delta_phi"] for s in settings}
    assert phases["theta"] == 0.39
    assert phases["pi"] == pytest.approx(0.39 - np.pi)
    assert result.evaluation.counts.trials.number == 7_000_000  # the last pair is half as long
    found = result.evaluation.verdict.conditions
    assert found["fixed_or_always"].value == "fixed"
    assert found["null_shuffled"].met
    assert found["fringe"].value > 3
    again = RunJudge(session.folder.path, options.goal).verdict(session.folder.journal.read())
    assert again.log_E == result.evaluation.verdict.log_E


def test_witness_as_published_takes_theta_alone(bench):
    _, session = bench
    lock(session, SEQUENCE, LockOptions())
    options = WitnessOptions(goal=Goal(trials=2_000_000), block=1_000_000, as_published=True)
    witness(session, SEQUENCE, options)
    found = [b.setting for b in session.blocks if b.setting["procedure"] == "witness"]
    assert [setting.get("turn") for setting in found] == [None, None]


def test_a_long_witness_keeps_sums_of_its_blocks_for_who_looks(bench, monkeypatch):
    monkeypatch.setattr("labkit.procedures.witness.KEEP_EVERY", 4)
    monkeypatch.setattr(kept_sums, "LONG", 4)
    _, session = bench
    lock(session, SEQUENCE, LockOptions())
    options = WitnessOptions(goal=Goal(trials=4_000_000), block=1_000_000)
    witness(session, SEQUENCE.with_read_phase(0.39), options)
    good = session.folder.main_blocks()
    kept = kept_sums.kept_sums(session.folder.path, good, {2, 4})
    assert kept[4].to_dict() == folded_sum(good[:4]).to_dict()
    assert kept[2].to_dict() == folded_sum(good[:2]).to_dict()


def test_a_goal_of_confidence_ends_by_the_always_valid_one(bench):
    _, session = bench
    lock(session, SEQUENCE, LockOptions())
    options = WitnessOptions(goal=Goal(confidence=0.2, seconds=60.0), block=1_000_000)
    result = witness(session, SEQUENCE.with_read_phase(0.39), options)
    assert result.reason == "the always-valid confidence reached 20 %"
    verdict = result.evaluation.verdict
    assert verdict.always_confidence >= 0.2
    assert verdict.conditions["fixed_or_always"].value == "always"


def test_blocks_longer_than_drifts_allow_fail_the_condition_of_the_verdict(bench):
    _, session = bench
    session.arm(SEQUENCE)
    lock(session, SEQUENCE, LockOptions())
    options = WitnessOptions(goal=Goal(trials=24_000_000), block=12_000_000)
    result = witness(session, SEQUENCE.with_read_phase(0.39), options)
    assert result.evaluation.verdict.conditions["blocks"].met is False
    assert result.evaluation.verdict.decision == "conditions not met"


def volts(session):
    return {place: float(device.voltage()) for place, device in session.lab.filters.items()}


def test_splitting_finds_coupler_and_balances(bench):
    """T = 0.5 within 4 of its errors; fluxes of scattered light as the arms have them, 4 errors.

    Leaked drive light, a third of the clicks and twice as much through A, is taken off.
    """
    world, session = bench
    options = SplittingOptions(
        trials=4_000_000, pump_trials=1_000_000, leak_trials=2_000_000, rounds=2
    )
    result = splitting(session, SEQUENCE, options)
    found = {one.name: one for one in result.conditions}
    coupler = found["splitting"]
    assert abs(coupler.value - 0.5) < 4 * (coupler.high - coupler.value) < 0.04
    session.arm(SEQUENCE)
    reads = []
    for device in "AB":
        with only(session, device):
            point = world.plant.operating_point()
        bare = replace(point.parameters, leak_read_1=0.0, leak_read_2=0.0, dark_1=0.0, dark_2=0.0)
        reads.append(click_probabilities(bare, point.passage).singles[2:].sum())
    expected = 2 * abs(reads[0] - reads[1]) / sum(reads)
    balance_ = found["read_balance"]
    assert abs(balance_.value - expected) < 4 * (balance_.high - balance_.value)
    assert found["device_ratio"].low <= found["device_ratio"].value <= found["device_ratio"].high
    assert {b.setting["light"] for b in session.blocks} == {"both", "pump", "leaks"}
    assert "splitting 0." in str(result)
    assert result.pictures().keys() == {"splitting"}


def test_null_test_shows_that_coherent_light_is_uncorrelated_and_sets_the_filters_back(bench):
    _, session = bench
    before = volts(session)
    result = null_test(session, SEQUENCE, NullTestOptions(accidentals=400, block=1_000_000))
    assert result.condition.met
    assert min(result.low[1], result.high[1]) >= 400
    assert volts(session) == pytest.approx(before)
    assert min(expected for _, expected in result.bright) > 10_000
    assert {b.setting["light"] for b in session.blocks} == {"look", "laser", "bright laser"}
    assert "laser light only" in str(result)


def test_glaring_laser_light_is_dimmed_and_shows_which_detector_remembers(tmp_path):
    """At the first position of the filters every trial would click: then all is accidental."""
    glaring = LaserLightOptions(start=0.25, step=0.05, pump_level=1.0, clicks=0.1)
    options = NullTestOptions(accidentals=400, block=1_000_000, light=glaring)
    with working_lab(tmp_path, seed=5) as (world, session):
        world.inject({"kind": "afterpulse", "target": "2", "value": 0.05})
        result = null_test(session, SEQUENCE, options)
    taken = [block for block in session.blocks if block.setting["light"] == "laser"]
    pump = taken[0].counts.singles[0] / taken[0].counts.trials.number
    assert 0.1 <= pump.min() <= 0.3
    assert taken[0].setting["pump_level"] < 1.0
    assert result.condition.met is False
    assert result.remarks[0].startswith("detector 2 has afterpulses, 0.0")


def test_null_test_says_if_no_light_comes(bench):
    _, session = bench
    far = LaserLightOptions(start=0.5, step=0.001)
    with pytest.raises(RuntimeError, match="clicks per trial and detector, but gives"):
        null_test(session, SEQUENCE, NullTestOptions(light=far))


def test_stray_light_is_the_leaks_and_dark_counts_of_the_world(bench):
    """Clicks beside the line and with closed arms, within 5 σ of leaks plus twice the darks."""
    world, session = bench
    before = volts(session)
    result = stray_light(session, SEQUENCE, StrayLightOptions(trials=1_000_000))
    assert volts(session) == pytest.approx(before)
    dark = np.array(world.plant.parameters.detector_dark_hz) * 68e-9 * 1e6
    assert np.all(np.array(result.pump) > 2 * dark)
    assert 0.9 < result.g2[0] < 1.1
    assert [b.setting["light"] for b in session.blocks].count("closed") == 1


def test_filters_name_swapped_detectors(bench):
    _, session = bench
    crossed = replace(SEQUENCE.detection, detectors={1: 1, 2: 0})
    options = FilterOptions(points=7, trials=150_000, only=("1a",), passes=1)
    with pytest.raises(ValueError, match="detector 2 sees it: the detectors' cables"):
        filters(session, replace(SEQUENCE, detection=crossed), options)


def test_balance_takes_its_steps_and_says_how_far_they_came(bench):
    _, session = bench
    few = BalanceOptions(trials=100_000, rounds=2, level=0.5, tolerance=1e-9, steps=2)
    message = r"must be balanced to 1e-07 % within 2 steps, but are at [+-]\d+\.\d\d %"
    with pytest.raises(RuntimeError, match=message):
        balance(session, SEQUENCE, few)
    tried = {tuple(b.setting[f"transmission_{arm}"] for arm in "AB") for b in session.blocks}
    assert len(tried) == 2


def test_balance_names_a_serrodyne_that_runs_backwards(bench):
    _, session = bench
    wrong = SEQUENCE.with_pulse("pump", shift_hz=45e6).with_pulse("read", shift_hz=-45e6)
    with pytest.raises(RuntimeError, match="the serrodyne runs backwards: arm A"):
        balance(session, wrong, BalanceOptions(trials=1_000_000, rounds=2))


def test_witness_gives_up_what_it_cannot_repair(bench):
    _, session = bench
    lock(session, SEQUENCE, LockOptions())
    session.lab.lasers["pump"].emission(False)
    options = replace(WITNESS, attempts=2, block=200_000)
    with pytest.raises(RuntimeError, match="2 times in a row blocks were bad"):
        witness(session, SEQUENCE, options)
    assert all(
        not block.good for block in session.blocks if block.setting["procedure"] == "witness"
    )


@pytest.mark.long
def test_autopilot_goes_from_cold_instruments_to_the_verdict(tmp_path, capsys):
    text = read_station_file("virtual").text
    station = tmp_path / "bright.yaml"
    bright = json.dumps({"seed": 5, "parameters": BRIGHT})
    assert "options: {seed: 1}" in text
    station.write_text(text.replace("options: {seed: 1}", f"options: {bright}"), encoding="utf-8")
    plan = replace(
        read_experiment("autopilot"),
        options={
            "filters": {"points": 7, "trials": 100_000, "passes": 1},
            "balance": {"trials": 4_000_000, "rounds": 4, "level": 0.5, "tolerance": 0.01},
            "splitting": {"trials": 4_000_000, "pump_trials": 1_000_000, "pump_level": 0.5},
            "stray_light": {"trials": 1_000_000},
            "null_test": {"accidentals": 300, "block": 1_000_000},
            "phase_sweep": {"points": 7, "trials": 2_000_000},
            "witness": {"goal": {"trials": 12_000_000}, "block": 3_000_000},
        },
    )
    finished = run_experiment(plan, station, tmp_path / "runs")
    manifest = finished.folder.manifest()
    assert manifest.status == "done"
    assert finished.result.witness.evaluation.witness.sym.mode < 1
    figures = {path.stem for path in (finished.folder.path / "figures").glob("*.png")}
    steps = {"filters", "lock", "balance", "splitting", "stray_light", "null_test", "phase_sweep"}
    assert figures >= steps | {"witness"}
    verdict = finished.result.evaluation.verdict
    assert not verdict.decision.startswith("conditions"), verdict.sentence
    sources = {name: one.source for name, one in verdict.conditions.items()}
    assert set(sources.values()) == {"this run", "calibration run"}
    assert verdict.conditions["fixed_or_always"].value == "fixed"
    assert run(["analyse", str(finished.folder.path), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["verdict"]
    assert again == json.loads((finished.folder.path / "result.json").read_text())["verdict"]
    page = (finished.folder.path / "report.html").read_text(encoding="utf-8")
    assert verdict.sentence in page
    assert "<td>done</td>" in page, "the report is made once the run has ended"
    watched = RunMonitor(finished.folder).snapshot().evaluation.verdict
    assert watched.sentence == verdict.sentence
    assert json.loads((finished.folder.path / "result.json").read_text())["steps"]["lock"]


@pytest.mark.parametrize("kind", PROCEDURES)
def test_every_procedure_has_an_experiment_file(kind):
    assert read_experiment(kind).kind == kind


def test_a_sequence_may_stand_in_a_file_of_its_own(tmp_path):
    folder = Path(experiment_path("autopilot")).parent
    (tmp_path / "s.yaml").write_text((folder / "sequences" / "virtual_lab.yaml").read_text())
    (tmp_path / "e.yaml").write_text("kind: lock\nsequence: s.yaml\n")
    assert read_experiment(tmp_path / "e.yaml").sequence == SEQUENCE
    (tmp_path / "e.yaml").write_text("kind: lock\nsequence: elsewhere\n")
    with pytest.raises(ValueError, match="name of a YAML file"):
        read_experiment(tmp_path / "e.yaml")


def test_a_spoilt_block_is_taken_again_and_not_counted(bench):
    """The tagger's FIFO runs over in the first one."""
    world, session = bench
    world.inject({"kind": "fifo_full"})
    counts = session.clicks(SEQUENCE, 2_000_000, {"procedure": "test"})
    assert [block.good for block in session.blocks] == [False, True]
    assert counts is session.blocks[-1].counts


def test_a_set_up_that_spoils_every_block_gives_no_counts(bench):
    world, session = bench
    world.inject({"kind": "dropped_events"})
    with pytest.raises(RuntimeError, match=r"block 2 is bad as the one before: .*; repair"):
        session.clicks(SEQUENCE, 2_000_000, {"procedure": "test"})


def test_procedures_run_by_hand_in_an_open_session(tmp_path):
    with open_session("virtual", tmp_path, SEQUENCE, watcher=Watcher()) as session:
        switch_on(session, SEQUENCE, SwitchOnOptions())
        result = lock(session, SEQUENCE, LockOptions())
        folder = session.folder
    assert result.phase_noise < 0.1
    assert 0 < result.to_dict()["phase_noise_sigma"] < 0.1 * result.phase_noise
    assert result.plot().axes
    manifest = folder.manifest()
    assert manifest.status == "done"
    assert manifest.drift["laser_pump.emission"][1] is True


def test_session_by_hand_that_the_user_stops_is_interrupted_and_watched(tmp_path):
    def work():
        with open_session("virtual", tmp_path, SEQUENCE, watcher=Watcher()) as session:
            assert is_in_use(session.folder.path)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    (folder,) = list_runs(tmp_path)
    assert folder.manifest().status == "interrupted"


class _Samples(list):
    def sample(self, seconds, readings):
        self.append(seconds)


@pytest.mark.parametrize(
    ("pace", "seen"), [(1.0, [10, 22, 34, 46]), (0.0, [0] * 5), (3.0, [60, 120])]
)
def test_a_slow_recording_is_looked_at_by_the_wall_but_not_a_virtual_one(
    tmp_path, monkeypatch, pace, seen
):
    """50 s of the wall: a real recording, one that hangs, and a virtual one that takes its time."""
    wall = [100.0]
    monkeypatch.setattr("labkit.procedures.session.monotonic", lambda: wall[0])
    lab = SimpleNamespace(check_interlocks=lambda **_: (), looked_after=lambda: None)
    run = create_run(tmp_path, "test", {}, "", gates=SEQUENCE.gates)
    session = Session(lab=lab, folder=run)

    def two_seconds(*_, **__):
        wall[0] += 2.0 if pace == 1.0 else 0.0
        return {}

    monkeypatch.setattr(Session, "monitors", two_seconds)
    samples = _Samples()
    watch = session._watch(600.0, samples, [])
    while (second := round(wall[0] - 100.0)) <= 50:
        watch(pace * second)
        wall[0] += 1.0
    assert samples == seen


def test_a_look_at_a_recording_asks_for_what_changes_by_itself_alone(bench, monkeypatch):
    """Temperatures; the declared loads change at the front panel only, and between blocks."""
    _, session = bench
    asked = []
    for name in ("afg", "fridge"):
        one = session.lab.instruments[name]
        monkeypatch.setattr(
            one, "ask_raw", lambda query, ask=one.ask_raw: asked.append(query) or ask(query)
        )
    session.lab.check_interlocks()
    assert {"OUTP1:IMP?;IMP?", "KRDG? 6", "KRDG? 2"} <= set(asked)
    asked.clear()
    session.lab.check_interlocks(brief=True)
    assert set(asked) == {"KRDG? 6", "KRDG? 2"}
