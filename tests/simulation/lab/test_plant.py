from dataclasses import replace

import numpy as np
import pytest

from analysis.tagfile.codec import Decoder
from analysis.tagfile.layouts import SYNC, TIMEHARP_260N_T2, TIMEHARP_260N_T3
from simulation.lab.clock import VirtualClock
from simulation.lab.device import heating, resting_phonons
from simulation.lab.emission import Arrival, FringePatterns
from simulation.lab.light_budget import uncorrelated_pulse, unpulsed_rate
from simulation.lab.plant import Plant
from simulation.lab.ports.drives import DrivePulse, PulseDrive
from simulation.lab.ports.phase_lock import LockSettings
from simulation.lab.ports.tagger import TaggerSettings, TriggerInput
from simulation.lab.scattering import through_filters
from simulation.lab.wiring import Wiring
from simulation.lab.world_parameters import WorldParameters
from simulation.theory.dlcz import click_probabilities, riedinger2018_matched
from tests.simulation.lab.paper_settings import PaperSettings

QUIET = WorldParameters(laser_drift_hz=0.0, filter_drift_hz=0.0, phase_drift=0.0)
BRIGHT = PaperSettings(pump_volts=0.8, read_volts=0.95)


def probabilities(lab):
    """Model at the plant's operating point and phase, lock noise included by quadrature."""
    point, own = lab.plant.operating_point(), lab.plant.interferometer
    shift = float(point.theta(own.phase) - point.theta(0.0))
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    spread = np.arccos(point.contrast) * np.array([[-1.0], [1.0]]) + 2 * own.sigma * nodes
    at = replace(point.parameters, delta_phi=point.parameters.delta_phi + shift + spread.ravel())
    patterns = click_probabilities(at, point.passage).patterns.reshape(2, len(nodes), 16)
    return np.einsum("ckp,k->p", patterns, weights) / (2 * weights.sum())


def test_expected_counts_are_those_of_the_paper(lab):
    lab.clock.advance(1.0)
    ours, paper = probabilities(lab), click_probabilities(riedinger2018_matched())
    bits = np.arange(16)
    singles = [ours[(bits & mask) > 0].sum() for mask in (8, 4, 2, 1)]
    pairs = [ours[(bits & mask) == mask].sum() for mask in (0b1010, 0b0110, 0b1001, 0b0101)]
    assert singles == pytest.approx(paper.singles, rel=0.025)
    published = np.array([9, 129, 130, 37])
    assert np.all(np.abs(1.114e9 * np.array(pairs) - published) < 2 * np.sqrt(published))


def test_parameters_are_those_of_the_paper(lab):
    ours, paper = lab.plant.operating_point().parameters, riedinger2018_matched()
    for name in ("p_pump_A", "p_pump_B", "p_read_A", "p_read_B", "leak_pump_1", "leak_pump_2"):
        assert getattr(ours, name) == pytest.approx(getattr(paper, name), rel=0.05), name
    assert ours.delay == pytest.approx(123e-9, abs=0.2e-9)
    assert lab.theta() == pytest.approx(0.1, abs=0.03)  # as `fringe_phase` of the preset


def test_clicks_follow_the_exact_model(make_lab):
    lab = make_lab(replace(QUIET, detector_dark_hz=(0.0, 0.0)))
    lab.set(BRIGHT)
    lab.clock.advance(1.0)
    expected, trials = probabilities(lab), 20_000_000
    clicks = lab.plant.live(trials)
    early = clicks.time < 660e-9
    in_pair = clicks.time < 1e-6
    code = np.zeros(trials, np.uint8)
    for detector, gate, bit in ((0, early, 8), (1, early, 4), (0, ~early, 2), (1, ~early, 1)):
        mine = in_pair & gate & (clicks.detector == detector)
        code[clicks.trial[mine]] |= bit
    counts = np.bincount(code, minlength=16)
    mean = trials * expected
    sigma = np.sqrt(mean) + 1
    assert np.all(np.abs(counts - mean)[1:] < 4.5 * sigma[1:])


def test_same_seed_same_records(make_lab):
    one, two, other = (make_lab(seed=seed).record(200) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, two)
    assert len(other) != len(one) or np.any(other != one)


def recorded_at_pace(lab, reader_comes_every):
    """Tags of 70 s; instruments are asked 30 times while the watcher is waited for."""
    tagger, found = lab.wiring.tagger, []
    tagger.start(TaggerSettings(mode="T3"), 70.0)

    def read():
        found.append(tagger.records(1 << 20))
        return len(found[-1])

    while tagger.elapsed() < 60.0:
        read()
    for number in range(30):
        lab.clock.advance(0.01)
        if number % reader_comes_every == 0:
            tagger.flags()
            read()
    while tagger.elapsed() < 70.0 or read():
        read()
    return np.concatenate(found)


def test_same_seed_same_records_at_any_pace_of_the_reader(make_lab):
    often, seldom = (recorded_at_pace(make_lab(seed=5), every) for every in (1, 7))
    assert len(often) > 400
    np.testing.assert_array_equal(often, seldom)


def test_recording_lasts_exactly_as_long_as_asked(lab):
    records = lab.record(2.5, TaggerSettings(mode="T2"))
    events = Decoder(TIMEHARP_260N_T2).decode(records)
    assert np.sum(events.channel == SYNC) == 50_000
    assert lab.wiring.tagger.elapsed() == pytest.approx(2.5)
    assert not lab.wiring.tagger.running()


def test_other_devices_latencies_become_part_of_the_recording(lab):
    tagger = lab.wiring.tagger
    tagger.start(TaggerSettings(mode="T2"), 10.0)
    for _ in range(1000):
        lab.clock.advance(1e-3 / 3)
    tagger.stop()
    records = [tagger.records(1 << 20)]
    syncs = np.sum(Decoder(TIMEHARP_260N_T2).decode(records[0]).channel == SYNC)
    assert syncs == pytest.approx(1000 / 3 * 20, abs=1)


def test_settings_act_from_the_moment_they_are_made(lab):
    tagger, detector = lab.wiring.tagger, 0
    tagger.start(TaggerSettings(mode="T3"), 200.0)
    lab.clock.advance(100.0)
    lab.wiring.laser["pump"].state = replace(lab.wiring.laser["pump"].state, emission=False)
    lab.clock.advance(100.0)
    events = Decoder(TIMEHARP_260N_T3).decode(tagger.records(1 << 20))
    in_gate = (events.channel == detector) & (events.dtime < 2700)
    pump = np.bincount(events.time[in_gate] // 2_000_000, minlength=2)  # trials of 100 s
    assert pump[0] > 100
    assert pump[1] < 20


def test_small_steps_of_time_keep_their_settings(lab):
    """Trials of one second at a time, drawn together: those with the pump on have its clicks."""
    tagger, pump = lab.wiring.tagger, lab.wiring.laser["pump"]
    tagger.start(TaggerSettings(mode="T3"), 200.0)
    for second in range(200):
        pump.state = replace(pump.state, emission=second % 100 < 50)
        lab.clock.advance(1.0)
    records = tagger.records(1 << 20)
    assert not tagger.running()
    events = Decoder(TIMEHARP_260N_T3).decode(records)
    in_gate = (events.channel == 0) & (events.dtime < 2700)
    on = np.bincount(events.time[in_gate] // 1_000_000, minlength=4)  # trials of 50 s
    assert np.all(on[[0, 2]] > 50)
    assert np.all(on[[1, 3]] < 10)


def test_slow_reader_overfills_the_fifo(lab):
    lab.wiring.tagger.start(TaggerSettings(mode="T2"), 1000.0)
    lab.clock.advance(150.0)
    assert lab.wiring.tagger.flags().fifo_full


def test_trigger_level_in_the_noise_overfills_the_fifo_at_once(lab):
    settings = TaggerSettings(mode="T2", inputs=(TriggerInput(level=0.0),) * 2)
    lab.wiring.tagger.start(settings, 3600.0)
    assert len(lab.wiring.tagger.records(1000)) == 1000
    assert lab.wiring.tagger.flags().fifo_full


def test_drifting_lab_stays_locked_and_loses_counts_slowly(make_lab):
    lab = make_lab(WorldParameters(), seed=3)
    before = lab.singles()
    lab.record(7200, TaggerSettings(mode="T3"))
    assert lab.wiring.lock.read().limit == 0
    assert lab.singles() == pytest.approx(before, rel=0.5)
    assert np.any(np.abs(lab.singles() / before - 1) > 1e-4)


def test_readings_come_through_the_ports(lab):
    assert lab.wiring.thermometer.temperature(6) == 0.06
    assert lab.wiring.thermometer.temperature(4) is None
    pump, read = (lab.wiring.wavemeter.wavelength(channel) for channel in (1, 2))
    apart_hz = 299792458 / pump - 299792458 / read
    assert apart_hz == pytest.approx(2 * 5.145e9, rel=1e-6)
    assert lab.wiring.power["pump"].power() == pytest.approx(10e-3, rel=1e-3)
    arm = lab.wiring.power["arm_a"].power()
    train = lab.plant.operating_point()
    assert train.parameters.p_pump_A > 0
    assert arm == pytest.approx(2e4 * (31e-15 + 240e-15 + 190e-15), rel=0.2)


@pytest.mark.parametrize(("device", "closed"), [(0, "attenuator_b"), (1, "attenuator_a")])
def test_reflected_light_is_missing_on_the_cavity_resonance(lab, device, closed):
    """What is left is the other arm's light at 45 dB, and the meter's noise of 50 pW."""
    lab.wiring.actuator[closed].apply(5.0)
    world, port, meter = lab.plant.parameters, lab.wiring.laser["pump"], lab.wiring.power
    lab.wiring.laser["read"].state = replace(port.state, emission=False)
    lab.wiring.aom_drive[1].drive = PulseDrive(
        shape=DrivePulse(delay=1e-6, width=20e-6, lead=50e-9, trail=50e-9, low=0.0, high=1.0)
    )
    element, seen = lab.plant.light.filters["pump"], []
    for detuning in (0.0, world.kappa / (4 * np.pi), 20e9):
        light_hz = world.resonance_hz[device] + detuning
        port.state = replace(port.state, wavelength=299792458 / light_hz)
        element.drift_hz += light_hz - element.centre_hz
        sent = meter[("arm_a", "arm_b")[device]].power()
        seen.append(meter["reflected"].power() / (0.5 * sent * world.arm_output[device]))
    assert seen == pytest.approx([0.0, 0.5, 1.0], abs=5e-3)


def test_leaked_drive_light_is_what_the_cavity_reflects(make_lab):
    off = 4 * (QUIET.kappa / (4 * np.pi * 5.145e9)) ** 2 / 4
    critical = make_lab(QUIET).plant.operating_point().parameters.leak_pump_1
    over = make_lab(replace(QUIET, coupling_ratio=1.0)).plant.operating_point().parameters
    assert critical / over.leak_pump_1 == pytest.approx(1 - off, rel=1e-3)


def test_light_between_the_pulses_is_reflected_light_too(lab):
    """On resonance, at critical coupling, nothing of it comes back (B: 9 MHz off, 4e-4)."""
    at_rest = lab.plant._conditions()
    res = QUIET.resonance_hz[0]
    tuned = replace(
        at_rest, laser_hz=(res, res), resting_scattering=np.zeros((2, 2, 2)),
        resting_power=np.full((2, 2), 1e-9),
    )  # fmt: skip
    rates = {
        ratio: unpulsed_rate(tuned, np.ones((2, 2, 2)), replace(QUIET, coupling_ratio=ratio))
        for ratio in (0.5, 1.0)
    }
    assert np.all(rates[0.5] < 1e-3 * rates[1.0])
    assert np.all(rates[1.0] > 1e6)


def test_stokes_light_of_a_pulse_outside_the_pair_grows_with_n_plus_1(lab):
    world, cold = QUIET, lab.plant._conditions()
    bright = np.ones((2, 2, 2))
    light = [through_filters(p, cold.laser_hz[p.laser], cold.filters, world) for p in cold.pulses]
    dark = [replace(pulse, leak=np.zeros((2, 2))) for pulse in light]
    a_only = [replace(pulse, passage=pulse.passage * [[1.0], [0.0]]) for pulse in dark]
    seen = [
        uncorrelated_pulse(replace(cold, temperature=kelvin), a_only, 0, bright, world).mean[0]
        for kelvin in (0.06, 1.0)
    ]
    n = [
        resting_phonons(0, kelvin, world) + heating(0, cold.trains[0], 0, world)
        for kelvin in (0.06, 1.0)
    ]
    assert seen[1] / seen[0] == pytest.approx((1 + n[1]) / (1 + n[0]), rel=1e-9)


def test_noise_of_the_lock_is_in_the_fringe_twice(lab, monkeypatch):
    """The pump's and the read pulse's: θ has 2 φ₀ in it, and so 2 σ."""
    lab.clock.advance(1.0)
    used, at = [], FringePatterns.at

    def spying(patterns, theta, sigma, contrast):
        used.append(float(sigma[0]))
        return at(patterns, theta, sigma, contrast)

    monkeypatch.setattr(FringePatterns, "at", spying)
    lab.plant.live(20_000)
    assert used == [pytest.approx(2 * lab.plant.interferometer.sigma)]


def test_world_is_blind_to_what_is_not_published():
    # a lab with nothing set: no light, no bias, no clicks
    wiring = Wiring()
    plant = Plant(VirtualClock(), wiring)
    assert np.all(plant.operating_point().click_rates(50e-6) == 0)
    assert len(plant.live(2_000_000).trial) == 0
    wiring.lock.configure(LockSettings(engaged=True, integral_rate=1e4))
    plant.clock.advance(1.0)
    assert wiring.lock.read().output == 0


def read_on(tagger):
    for _ in range(60):
        tagger.records(100_000)


@pytest.mark.parametrize(("seconds", "leash"), [(1450.0, 60.0), (150.0, 6.0)])
def test_time_waits_for_whoever_watches_a_recording_and_stands_while_he_looks(
    lab, monkeypatch, seconds, leash
):
    """Every minute, and a short recording 24 times and more."""
    for name in ("_PATIENCE", "_TRUST"):
        monkeypatch.setattr(f"simulation.lab.recorder.{name}", 1e9)
    tagger = lab.wiring.tagger
    tagger.start(TaggerSettings(mode="T3"), seconds)
    read_on(tagger)
    for look in range(1, 25):
        assert tagger.elapsed() == leash * look
        read_on(tagger)
        assert lab.clock.now() == leash * look  # he is looking, until he asks again
    assert [tagger.elapsed(), tagger.elapsed()] == [seconds, seconds]
    assert not tagger.running()


def test_time_stands_once_more_for_who_has_set_something(lab, monkeypatch):
    """So that he learns when it was; what he set acts from then on."""
    for name in ("_PATIENCE", "_TRUST"):
        monkeypatch.setattr(f"simulation.lab.recorder.{name}", 1e9)
    tagger = lab.wiring.tagger
    tagger.start(TaggerSettings(mode="T3"), 1800.0)
    assert tagger.elapsed() == 60.0
    lab.clock.advance(0.25)  # as a ramp takes it
    lab.wiring.actuator["filter_1a"].voltage += 0.1
    assert tagger.elapsed() == 60.25
    read_on(tagger)
    assert lab.clock.now() == 60.25
    assert [tagger.elapsed(), tagger.elapsed()] == [120.0, 180.0]


def test_who_watches_need_not_wait_for_the_reader_and_loses_no_record(make_lab, monkeypatch):
    for name in ("_PATIENCE", "_TRUST"):
        monkeypatch.setattr(f"simulation.lab.recorder.{name}", 1e9)
    found = []
    for reads in (True, False):
        tagger = make_lab(seed=5).wiring.tagger
        tagger.start(TaggerSettings(mode="T3"), 300.0)
        records = []
        while tagger.elapsed() < 300.0:
            records += [tagger.records(1 << 20)] if reads else []
        while len(more := tagger.records(1 << 20)):
            records.append(more)
        assert not tagger.flags().fifo_full
        found.append(np.concatenate(records))
    assert len(found[0]) > 1000
    np.testing.assert_array_equal(*found)


def test_a_recording_that_is_ended_early_has_its_beginning(lab):
    """Clicks of minutes are drawn together, but not those of the first one."""
    tagger = lab.wiring.tagger
    tagger.start(TaggerSettings(mode="T3"), 1800.0)
    assert tagger.elapsed() == 60.0
    assert len(tagger.records(1 << 20)) > 300


def test_time_stands_for_who_watches_until_the_reader_has_made_room(make_lab, monkeypatch):
    for name in ("_PATIENCE", "_TRUST"):
        monkeypatch.setattr(f"simulation.lab.recorder.{name}", 1e9)
    small = replace(QUIET, fifo_records=1 << 12)
    lab = make_lab(small)
    tagger = lab.wiring.tagger
    tagger.start(TaggerSettings(mode="T2"), 5.0)
    seen = [(tagger.elapsed(), lab.clock.now()) for _ in range(10)]
    assert seen[-1] == seen[-2]
    assert seen[-1][0] <= seen[-1][1] < 5.0
    assert not tagger.flags().fifo_full
    tagger.records(1 << 12)
    tagger.elapsed()
    assert lab.clock.now() > seen[-1][1]
    while tagger.elapsed() < 5.0:
        tagger.records(1 << 12)
    assert not tagger.flags().fifo_full


def test_time_stands_at_every_minute_also_for_who_looks_in_between(lab, monkeypatch):
    """An instrument that takes its time while somebody looks shifts no minute."""
    for name in ("_PATIENCE", "_TRUST"):
        monkeypatch.setattr(f"simulation.lab.recorder.{name}", 1e9)
    tagger = lab.wiring.tagger
    tagger.start(TaggerSettings(mode="T3"), 1800.0)
    for minute in range(1, 10):
        assert tagger.elapsed() == 60.0 * minute
        lab.clock.advance(17.3)
        read_on(tagger)
        assert lab.clock.now() == 60.0 * minute + 17.3


def test_the_same_seed_gives_the_same_tags_of_bright_light_whoever_looks_how_fast(
    make_lab, monkeypatch
):
    """In steps of seconds; nobody watches, or somebody every 7th or 60th time of a reader."""
    glaring = replace(QUIET, detector_dark_hz=(30_000.0, 30_000.0))
    found = []
    for every in (0, 7, 60):
        patience = 1e9 if every else 0.0
        for name in ("_PATIENCE", "_TRUST"):
            monkeypatch.setattr(f"simulation.lab.recorder.{name}", patience)
        tagger = make_lab(glaring, seed=4).wiring.tagger
        tagger.start(TaggerSettings(mode="T3"), 150.0)
        records, reads = [], 0
        while tagger.running() or len(records[-1]):
            records.append(tagger.records(20_000))
            reads += 1
            if every and reads % every == 0:
                tagger.elapsed()
        found.append(np.concatenate(records))
    assert len(found[0]) > 200_000
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_time_does_not_wait_for_somebody_who_has_gone(lab, monkeypatch):
    monkeypatch.setattr("simulation.lab.recorder._TRUST", 0.0)
    tagger = lab.wiring.tagger
    tagger.start(TaggerSettings(mode="T3"), 150.0)
    tagger.elapsed()
    read_on(tagger)
    assert not tagger.running()


def test_pulses_are_worked_out_once_for_what_is_loaded_again(lab):
    """The same drive in a new object, as after arming anew, is the same pulse train."""
    port = lab.wiring.aom_drive[1]
    train = lab.plant._train
    first, drive = train.pulses, port.drive
    port.drive = replace(drive, shape=replace(drive.shape, high=0.5 * drive.shape.high))
    assert train.pulses is not first
    port.drive = replace(drive, shape=replace(drive.shape))
    assert train.pulses is first


@pytest.mark.parametrize("bins", [1, 6, 160, 7000])
def test_many_arrivals_are_looked_up_as_few_are_searched(bins):
    rng = np.random.default_rng(bins)
    arrival = Arrival.of(0.0, np.maximum(rng.random(bins) - 0.3, 1e-12))
    chance = rng.random(50_000)
    edges = np.concatenate(
        [[0.0, 0.5, 1 - 2**-53], arrival.cumulative[:-1], np.arange(4096) / 4096]
    )
    chance[: len(edges)] = edges
    expected = np.searchsorted(arrival.cumulative, chance)
    np.testing.assert_array_equal(arrival._bins(chance), expected)
    np.testing.assert_array_equal(arrival._bins(chance[:100]), expected[:100])
