"""Deliberate faults through the instruments: no entanglement, or a sentence that says why.

All in the bright world of `conftest.BRIGHT` (20 times the paper's collection, no drift), where 40
million trials hold some 3000 coincidences: g² of pooled pairs is known to about 3 %.
"""

import json
from dataclasses import replace

import numpy as np
import pytest

from analysis.evaluation import evaluate
from labkit.cli import run
from labkit.procedures.repair import repair
from labkit.procedures.session import LockLostError
from labkit.procedures.witness import WitnessOptions, witness
from labkit.report import headline, write_report
from labkit.report.diagnostics import diagnose
from labkit.run import EmptyBlockError, Goal
from simulation.theory.dlcz import measurable_witness

pytestmark = pytest.mark.long

TRIALS = 40_000_000


def outcome(lab, sequence=None, *, trials=TRIALS, **options):
    """Evaluation and diagnosis of a block, as a run gives them."""
    chosen = sequence or lab.sequence
    block = lab.measure(trials, chosen, locked=False)
    found = evaluate(block.counts)
    return found, diagnose(found, sequence=chosen, monitors=[block.monitors], **options)


def shifted(lab, hz):
    return lab.sequence.with_pulse("pump", shift_hz=-hz).with_pulse("read", shift_hz=hz)


def no_entanglement(found, sigmas=4):
    """g² of crossed and same pairs agree within 4 σ of their coincidences; R_m is not below 1."""
    crossed, same = (
        sum(found.g2[p].coincidences for p in pairs) / sum(found.g2[p].accidentals for p in pairs)
        for pairs in (("r1p2", "r2p1"), ("r1p1", "r2p2"))
    )
    counted = [
        sum(found.g2[p].coincidences for p in ps) for ps in (("r1p2", "r2p1"), ("r1p1", "r2p2"))
    ]
    sigma = np.hypot(crossed / np.sqrt(counted[0]), same / np.sqrt(counted[1]))
    return abs(crossed - same) < sigmas * sigma and found.witness.sym.confidence(1.0) < 0.01


def agrees_with_the_model(lab, found, sigmas=4):
    """R_m of both heralds within 4 σ of the plant's expectation (σ from 2000 draws of it)."""
    singles, pairs = lab.expected(TRIALS)
    rng = np.random.default_rng(1)

    def ratio(own_pairs, own_singles):
        g2 = TRIALS * own_pairs / (own_singles[..., 2:, None] * own_singles[..., None, :2])
        return measurable_witness(g2)

    spread = ratio(rng.poisson(pairs, (2000, 2, 2)), singles).std(axis=0)
    mine = np.array([found.witness.detector[j].plugin for j in (1, 2)])
    return np.all(np.abs(mine - ratio(pairs, singles)) < sigmas * spread)


def test_healthy_lab_is_entangled_and_gets_no_remark(bright):
    found, remarks = outcome(bright)
    assert remarks == ()
    assert found.witness.sym.high < 0.8
    assert agrees_with_the_model(bright, found)


@pytest.mark.parametrize("hz", [0.0, -45e6], ids=["off", "wrong sign"])
def test_serrodyne_off_or_of_the_wrong_sign_gives_no_entanglement(bright, hz):
    found, remarks = outcome(bright, shifted(bright, hz))
    assert no_entanglement(found)
    assert len(remarks) == 1
    assert remarks[0].startswith("no contrast between detectors")
    assert "serrodyne is off or wrong" in remarks[0]
    assert "not locked" not in remarks[0]
    assert ("not opposite" in remarks[0]) == (hz == 0)


def test_missing_waveform_gives_no_entanglement(bright):
    lab = bright.lab
    lab.waveform_generator.set_output(lab.channel("eom_drive"), on=False)
    found, remarks = outcome(bright)
    assert no_entanglement(found)
    assert "serrodyne is off or wrong" in remarks[0]


def test_serrodyne_off_by_1_mhz_costs_less_than_a_percent(bright):
    """The waveform starts anew with every trial: 1 MHz is 7° at the ends of a 40 ns pulse."""
    before = bright.world.plant.operating_point().contrast
    found, remarks = outcome(bright, shifted(bright, 46e6))
    assert 0.99 < bright.world.plant.operating_point().contrast / before < 1
    assert agrees_with_the_model(bright, found)
    assert remarks == ()


def test_serrodyne_off_by_20_mhz_is_told(bright):
    found, remarks = outcome(bright, shifted(bright, 65e6))
    assert agrees_with_the_model(bright, found)
    assert found.witness.sym.confidence(1.0) < 0.5
    assert "contrast between detectors" in remarks[0]


def test_unequal_shifts_are_told_from_the_sequence(bright):
    """1 % of A's read photons pass and interfere: pairs differ by 4 σ, as the model says."""
    sequence = bright.sequence.with_pulse("read", shift_hz=-45e6)
    found, remarks = outcome(bright, sequence)
    assert agrees_with_the_model(bright, found)
    assert found.witness.sym.confidence(1.0) < 0.01
    assert "shifts of pump (-45 MHz) and read (-45 MHz) are not opposite" in remarks[0]


def test_unlocked_phase_gives_no_entanglement_and_a_bad_block(tmp_path, dry_lab, quiet):
    with dry_lab(tmp_path, parameters=quiet | {"phase_drift_rate": 0.1}) as lab:
        lab.at_best_phase()
        lab.lab.phase_lock.release()
        block = lab.measure(TRIALS)
        found = evaluate(block.counts)
    assert not block.good
    assert "phase lock" in block.reason
    assert no_entanglement(found)
    remarks = diagnose(found, monitors=[block.monitors])
    assert remarks[0] == "the phase lock was open after 1 of 1 blocks"
    assert "the phase is not locked" in remarks[1]


@pytest.mark.parametrize("turn", [-0.5, 0.5])
def test_phase_off_by_a_quarter_turn_gives_no_entanglement(bright, turn):
    best = bright.sequence.pulse("read").phase
    found, remarks = outcome(bright, bright.sequence.with_read_phase(best + turn * np.pi))
    assert no_entanglement(found)
    assert "Δφ is off by about 0.5 π" in remarks[0]


def test_phase_off_by_half_a_turn_exchanges_crossed_and_same_but_not_the_witness(bright):
    right, _ = outcome(bright)
    best = bright.sequence.pulse("read").phase
    found, remarks = outcome(bright, bright.sequence.with_read_phase(best + np.pi))
    assert "Δφ is off by about π;" in remarks[0]
    sigma = np.hypot(*(0.5 * (w.sym.high - w.sym.low) for w in (right.witness, found.witness)))
    assert abs(found.witness.sym.mode - right.witness.sym.mode) < 4 * sigma


def test_too_much_pump_power_is_told_by_correlations_that_are_too_weak(bright):
    """At 5 times the power p and the heat are 5 times as large: g² at the best phase is below 4."""
    strong = bright.sequence.with_pulse("pump", level=0.53)
    found, remarks = outcome(bright, strong, trials=8_000_000)
    weak = [text for text in remarks if "correlate too weakly for entanglement" in text]
    assert len(weak) == 1
    assert "too much power of the pump" in weak[0]
    assert found.witness.sym.low > 1
    assert not any("too weakly" in text for text in outcome(bright, trials=8_000_000)[1])


def test_swapped_detectors_leave_the_witness_and_are_told_by_their_rates(bright):
    """r1p2 and r2p1 change places: a full swap cannot be seen in one measurement alone."""
    right = bright.measure(TRIALS)
    detection = bright.sequence.detection
    crossed = replace(detection, detectors={1: 1, 2: 0})
    swapped = replace(bright.sequence, detection=crossed)
    found, remarks = outcome(bright, swapped, reference=right.counts)
    assert [r for r in remarks if "have exchanged their rates" in r] == list(remarks)
    before = evaluate(right.counts)
    for old, new in (("r1p2", "r2p1"), ("r1p1", "r2p2")):
        sigma = np.sqrt(before.g2[old].coincidences)
        assert abs(found.g2[new].coincidences - before.g2[old].coincidences) < 6 * sigma
    assert diagnose(found) == ()


def test_read_laser_off_is_told(bright):
    bright.lab.lasers["read"].emission(False)
    found, remarks = outcome(bright)
    assert found.witness is None or "sym" in found.cautions  # nine dark clicks prove nothing
    assert found.verdict is None or found.verdict.decision != "entangled"
    assert "entangled" not in headline(found)
    assert remarks[0].startswith("no light in the read gate")


def test_read_laser_beside_its_prefilter_is_told(bright):
    """250 MHz: 1 % of its light is left, too little for the lock pulse."""
    before = bright.measure(TRIALS).counts
    laser = bright.lab.lasers["read"]
    laser.wavelength(laser.wavelength() + 2e-12)
    _, remarks = outcome(bright, reference=before)
    assert remarks[0] == "the phase lock was open after 1 of 1 blocks"
    assert any(r.startswith("the read rate of detector 1 has changed by -") for r in remarks)
    assert not any("pump rate" in r for r in remarks)


def test_filters_that_pass_drive_light_only_are_told(bright):
    """At θ = 0 only pairs of different detectors correlate: one detector's filters take all."""
    place = bright.lab.filters["2a"]
    place.voltage(place.voltage() + 0.5)
    _, remarks = outcome(bright)
    assert remarks[0].startswith("pump and read clicks are not correlated")
    assert "filters that pass drive light" in remarks[0]


def test_latched_detector_is_told(bright):
    bright.world.inject({"kind": "latched_detector", "target": "1"})
    _, remarks = outcome(bright)
    assert remarks[0].startswith("detector 1 sees no light: latched")


def test_trigger_level_in_the_noise_is_told(bright):
    bright.lab.instruments["timeharp"].input1.trigger_level(0.048)
    _, remarks = outcome(bright, trials=TRIALS // 10)
    assert any("detector 1 in the pump gate are background" in r for r in remarks)


def test_lost_trigger_is_told_and_the_next_block_can_be_taken(bright):
    trigger = bright.lab.instruments["timeharp"].sync
    trigger.trigger_level(0.9)
    with pytest.raises(EmptyBlockError, match="check the tagger's trigger"):
        bright.measure(1000)
    trigger.trigger_level(0.4)
    assert bright.measure(1_000_000).good


def test_oscillating_loop_spoils_the_block_and_is_not_taken_for_a_lock(bright):
    """The servo itself sees no limit; the error's rms is that of a phase that is anywhere."""
    bright.lab.instruments["lock"].gain(2.0)
    block = bright.measure(1_000_000)
    assert not block.good
    assert "the phase lock is loose" in block.reason
    with pytest.raises(LockLostError, match="servo's gains"):
        repair(bright.session, bright.sequence, block)


def test_pulses_beside_the_gates_are_told(bright):
    afg = bright.lab.instruments["afg"]
    afg.ch1.trigger_delay(afg.ch1.trigger_delay() - 150e-9)
    _, remarks = outcome(bright)
    assert "no light in the pump gate" in remarks[0]
    assert "clicks gather 0.4" in remarks[0]


def test_changed_rate_is_told_against_a_reference(bright):
    before = bright.measure(TRIALS).counts
    place = bright.lab.filters["2a"]
    place.voltage(place.voltage() + 0.02)
    _, remarks = outcome(bright, reference=before)
    assert any("the pump rate of detector 2 has changed by -" in r for r in remarks)
    assert not any("detector 1" in r for r in remarks)


def test_a_witness_run_with_the_serrodyne_off_says_so_in_result_and_report(bright, tmp_path):
    sequence = shifted(bright, 0.0)
    options = WitnessOptions(goal=Goal(trials=8e6), block=4_000_000)
    result = witness(bright.session, sequence, options)
    assert result.blocks == 2
    assert "shifts of pump (+0 MHz) and read (+0 MHz)" in result.to_dict()["diagnosis"][0]
    page = write_report(result.evaluation, tmp_path, remarks=result.diagnosis)
    assert "no contrast between detectors" in page.read_text(encoding="utf-8")


def test_analyse_tells_of_a_run_folder_what_its_journal_knows(bright, capsys):
    bright.lab.phase_lock.release()
    bright.measure(TRIALS, shifted(bright, 0.0), locked=False)
    assert run(["analyse", str(bright.session.folder.path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["diagnosis"]
    assert told[0] == "the phase lock was open after 1 of 1 blocks"
    assert "serrodyne is off or wrong" in told[1]
