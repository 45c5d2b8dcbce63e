from dataclasses import replace

import numpy as np
import pytest

from analysis.tagfile.codec import Decoder
from analysis.tagfile.layouts import TIMEHARP_260N_T3
from simulation.lab.plant_faults import CONSTANTS, PlantFault, mend, schedule
from simulation.lab.ports.phase_lock import LockSettings
from simulation.lab.ports.tagger import TaggerSettings

T3 = TaggerSettings(mode="T3")


def test_lock_loss_needs_a_new_lock(lab):
    schedule(lab.plant, PlantFault(kind="lock_loss", at=10.0))
    lab.clock.advance(9.0)
    assert lab.wiring.lock.read().limit == 0
    lab.clock.advance(2.0)
    assert lab.wiring.lock.read().limit == 1
    engaged = lab.wiring.lock.settings
    lab.wiring.lock.configure(LockSettings(engaged=False))
    lab.wiring.lock.configure(engaged)
    lab.clock.advance(1.0)
    assert lab.wiring.lock.read().limit == 0


def test_mode_hop_kills_the_rate_and_shows_on_the_wavemeter(lab):
    before, wavelength = lab.singles(), lab.wiring.wavemeter.wavelength(1)
    schedule(lab.plant, PlantFault(kind="mode_hop", target="pump", value=5e9))
    assert np.all(lab.singles()[:2] < 0.01 * before[:2])
    hop = 299792458 / lab.wiring.wavemeter.wavelength(1) - 299792458 / wavelength
    assert hop == pytest.approx(5e9, rel=1e-6)


def test_mode_hop_ends_when_the_laser_is_tuned(lab):
    before = lab.singles()
    schedule(lab.plant, PlantFault(kind="mode_hop", target="read"))
    port = lab.wiring.laser["read"]
    own = port.state
    port.state = replace(own, emission=False)
    lab.singles()
    assert lab.plant.light.hop_hz(1) == 0
    port.state = replace(own, power=own.power * (1 + 1e-9))
    assert lab.singles() == pytest.approx(before, rel=1e-3)


def test_filter_drift_darkens_one_detector(lab):
    before = lab.singles()
    schedule(lab.plant, PlantFault(kind="filter_drift", target="2a", value=60e6))
    after = lab.singles()
    assert after[1] < 0.3 * before[1]
    assert after[0] == pytest.approx(before[0], rel=1e-6)


def test_warm_cryostat_shows_and_spoils_the_correlations_for_a_while(lab):
    cold = lab.visibility()
    schedule(lab.plant, PlantFault(kind="warm_cryostat", at=5.0, duration=10.0))
    lab.clock.advance(6.0)
    assert lab.wiring.thermometer.temperature(6) == 0.5
    assert lab.visibility() < 0.6 * cold
    lab.clock.advance(10.0)
    assert lab.wiring.thermometer.temperature(6) == 0.06
    assert lab.visibility() == pytest.approx(cold, rel=0.01)


def test_latched_detector_is_delatched_by_its_bias(lab):
    schedule(lab.plant, PlantFault(kind="latched_detector", target="1"))
    assert lab.wiring.bias[1].is_latched()
    assert lab.wiring.tagger.rates(T3).inputs[0] == 0
    lab.wiring.bias[1].apply(0.0)
    lab.wiring.bias[1].apply(12e-6)
    assert not lab.wiring.bias[1].is_latched()


def test_full_fifo_is_flagged_once(lab):
    schedule(lab.plant, PlantFault(kind="fifo_full", at=20.0))
    lab.record(100.0)
    assert lab.wiring.tagger.flags().fifo_full
    lab.record(1.0)
    assert not lab.wiring.tagger.flags().fifo_full


def test_dropped_events_are_missing_and_flagged(lab):
    whole = Decoder(TIMEHARP_260N_T3).decode(lab.record(300.0))
    schedule(lab.plant, PlantFault(kind="dropped_events", value=0.8))
    thin = Decoder(TIMEHARP_260N_T3).decode(lab.record(300.0))
    assert len(thin) / len(whole) == pytest.approx(0.2, abs=0.05)
    assert lab.wiring.tagger.flags().dropped_events


def test_sync_loss_empties_t3_and_can_be_mended(lab):
    schedule(lab.plant, PlantFault(kind="sync_loss"))
    assert len(lab.record(10.0)) == 0
    assert lab.wiring.tagger.flags().sync_lost
    assert lab.wiring.tagger.rates(T3).sync == 0
    mend(lab.plant)
    assert len(lab.record(10.0)) > 0


@pytest.mark.parametrize("kind", CONSTANTS)
def test_constants_change_for_a_while(lab, kind):
    usual = lab.plant.constants
    schedule(lab.plant, PlantFault(kind=kind, at=5.0, duration=10.0))
    lab.clock.advance(4.0)
    assert lab.plant.constants == usual
    lab.clock.advance(2.0)
    changed = getattr(lab.plant.constants, kind)
    assert changed in (CONSTANTS[kind], (CONSTANTS[kind],) * 2)
    assert replace(lab.plant.constants, **{kind: getattr(usual, kind)}) == usual
    lab.plant.operating_point()
    lab.clock.advance(10.0)
    assert lab.plant.constants == usual


@pytest.mark.parametrize(
    ("kind", "target", "after"),
    [
        ("afterpulse", "2", (0.0, 0.3)),
        ("arm_transmission", "A", (0.3, 1.0)),
        ("laser_gain", "read", (1.0, 0.3)),
    ],
)
def test_one_of_a_pair_changes(lab, kind, target, after):
    schedule(lab.plant, PlantFault(kind=kind, target=target, value=0.3))
    assert getattr(lab.plant.constants, kind) == after


def test_coupler_becomes_a_mirror_in_the_middle_of_a_run(lab):
    before = lab.visibility()
    schedule(lab.plant, PlantFault(kind="splitting", at=5.0, duration=10.0))
    lab.clock.advance(6.0)
    assert lab.visibility() < 0.25 * before
    mend(lab.plant)
    assert lab.visibility() == pytest.approx(before, rel=1e-3)


def test_detectors_begin_to_lie_in_the_middle_of_a_recording(lab):
    schedule(lab.plant, PlantFault(kind="afterpulse", at=1000.0, value=1.0))
    trial = Decoder(TIMEHARP_260N_T3).decode(lab.record(2000.0)).time
    half = np.searchsorted(trial, 1000.0 / lab.plant.parameters.period)
    honest, lying = (np.sum(np.diff(part) == 0) for part in np.split(trial, [half]))
    assert lying > 20 * (honest + 1)


def test_trigger_changes_its_period_after_the_recording(lab):
    lab.wiring.tagger.start(T3, 20.0)
    schedule(lab.plant, PlantFault(kind="period", at=5.0, value=100e-6))
    lab.clock.advance(10.0)
    assert lab.wiring.tagger.rates(T3).sync == pytest.approx(20e3)
    lab.wiring.tagger.stop()
    lab.wiring.tagger.start(T3, 20.0)
    assert lab.wiring.tagger.rates(T3).sync == pytest.approx(10e3)


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({"kind": "afterpulse", "target": "A"}, "`target` of afterpulse must be one of 1, 2"),
        ({"kind": "earthquake"}, "`kind` must be one of lock_loss"),
        ({"kind": "mode_hop"}, "`target` of mode_hop must be one of pump, read"),
        ({"kind": "lock_loss", "duration": 3.0}, "belongs to warm_cryostat"),
        ({"kind": "sync_loss", "duration": -3.0}, "must be > 0 s"),
        ({"kind": "sync_loss", "when": 3.0}, "unknown when"),
        ({"at": 3.0}, "has no kind"),
    ],
)
def test_impossible_faults_are_refused(plain, said):
    with pytest.raises(ValueError, match=said):
        PlantFault.from_plain(plain)
