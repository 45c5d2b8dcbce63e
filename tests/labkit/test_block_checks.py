"""What a block's own record must show for it to count, one check at a time."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.counting import count
from analysis.counts import exact_trials
from analysis.gates import GateSet
from labkit.run import Block, BlockEvidence, BlockOutcome, Demands, problems_of, usual_rates
from labkit.run.evidence import BALANCE, SPLITTING, STRAY_LIGHT
from labkit.run.record import BlockPlan, BlockRecord
from labkit.run.references import calibrated_rates, since_balance, usual_bounds
from labkit.run.verification import evidence_of
from simulation.recordings.ptu import simulate_ptu
from simulation.theory.dlcz import riedinger2018

TRIALS = 2_000_000
"""100 s."""


@pytest.fixture(scope="module")
def segment(tmp_path_factory):
    path = tmp_path_factory.mktemp("tags") / "x.ptu"
    simulate_ptu(path, riedinger2018(), TRIALS, seed=5)
    return path


@pytest.fixture(scope="module")
def counts(segment):
    return count(segment)


def problems(counts, samples=(), monitors=None, stretches=None, **demands):
    held = {"locked": 1.0} if monitors is None else monitors
    plan = BlockPlan(setting={}, gates=counts.gates, demands=Demands(**demands), started="")
    record = BlockRecord(plan=plan, samples=list(samples), outcome=BlockOutcome(monitors=held))
    return problems_of(BlockEvidence(record=record, counts=counts, stretches=stretches))


def rates(counts, factor=1.0):
    found = factor * counts.singles / counts.trials.number
    return {gate: found[n].tolist() for n, gate in enumerate(counts.gates.names)}


def test_twenty_seconds_out_of_bounds_in_one_look_leave_a_block_out(counts):
    looks = [{"t": 60.0, "temperature": 0.05}, {"t": 120.0, "temperature": 0.19}]
    told = problems(counts, looks, bounds={"temperature": (0.0, 0.1)})
    assert told == ["temperature was 0.19 120 s after its start, not between 0 and 0.1"]
    assert problems(counts, looks[:1], bounds={"temperature": (0.0, 0.1)}) == []
    (told,) = problems(counts, [], {"temperature": 0.19}, bounds={"temperature": (0.0, 0.1)})
    assert told.startswith("temperature was 0.19 at its end")


def test_a_loop_that_was_loose_between_its_ends_is_told(counts):
    def looks(rms):
        return [{"t": 60.0 * n, "locked": 1.0, "phase_error": rms} for n in range(1, 9)]

    (told,) = problems(counts, looks(0.6), locked=True, phase_noise=0.3)
    assert "phase lock was loose within it: 0.6 rad rms of 8 looks" in told
    assert problems(counts, looks(0.3), locked=True, phase_noise=0.3) == []


def test_calibrated_rates_are_absolute_whatever_the_blocks_before_were_like(counts):
    assert problems(counts, rates=rates(counts), calibrated=rates(counts)) == []
    told = problems(counts, rates=rates(counts), calibrated=rates(counts, 3.0))
    assert len(told) == 4
    assert "pump rate of detector 1 differs from its calibration by -67 %" in told


def test_a_rate_with_few_clicks_is_compared_exactly(counts):
    """The error of a normal distribution would let 30 clicks of 120 pass."""
    few = replace(counts, singles=np.array([[30, 120], [120, 120]]))
    usual = {gate: [120 / TRIALS] * 2 for gate in counts.gates.names}
    sigmas = {gate: [120**0.5 / TRIALS / 1.4] * 2 for gate in counts.gates.names}
    assert problems(few, rates=usual, rate_sigmas=sigmas) == [
        "pump rate of detector 1 changed by -75 %"
    ]


def test_stretches_add_up_to_the_block_and_a_flash_leaves_it_out(segment, counts):
    plan = BlockPlan(setting={}, gates=counts.gates, demands=Demands(steady=True), started="")
    record = BlockRecord(plan=plan, samples=[], outcome=BlockOutcome(monitors={"locked": 1.0}))
    evidence = evidence_of(record, counts, segment)
    assert np.array_equal(evidence.stretches.sum(axis=0), counts.singles)
    assert len(evidence.stretches) == 10
    assert problems_of(evidence) == []
    flash = evidence.stretches.copy()
    flash[6:8] += 300
    (told,) = problems(counts, stretches=flash)
    assert "usual rate from 60 s to 80 s" in told


def test_stretches_of_t2_and_t3_recordings_are_the_same(tmp_path):
    from analysis.questions.stretches import clicks_in_stretches

    found = []
    for mode in ("T2", "T3"):
        path = tmp_path / f"{mode}.ptu"
        simulate_ptu(path, riedinger2018(), 400_000, seed=3, mode=mode)
        gates = GateSet.from_yaml(path.with_suffix(".gates.yaml"))
        found.append(clicks_in_stretches(path, gates, 400_000, 100_000))
    assert found[0].sum() > 0
    assert np.array_equal(*found)


def block(counts, number, singles, trials=TRIALS, **setting):
    own = replace(counts, singles=np.array(singles), trials=exact_trials(trials, "test"))
    return Block(number=number, segment=f"tags/{number}.ptu", counts=own, setting=setting)


def test_both_arms_together_give_what_each_gave_alone_less_what_is_in_both(counts):
    a, b, dark = [[30, 50], [20, 40]], [[31, 49], [22, 38]], [[1, 2], [1, 2]]
    blocks = [
        block(counts, 1, a, procedure=SPLITTING, light="both", arm="A"),
        block(counts, 2, [[999, 999], [0, 0]], procedure=BALANCE, arm="A"),
        block(counts, 3, a, procedure=SPLITTING, light="both", arm="A"),
        block(counts, 4, b, procedure=SPLITTING, light="both", arm="B"),
        block(counts, 5, dark, procedure=STRAY_LIGHT, light="closed"),
    ]
    found = calibrated_rates(since_balance(blocks), counts.gates)
    expected = np.array(a) + np.array(b) - np.array(dark)
    assert found.rates * TRIALS == pytest.approx(expected)
    sigmas = np.sqrt(np.array(a) + np.array(b) + np.array(dark))
    assert found.sigmas * TRIALS == pytest.approx(sigmas)
    assert calibrated_rates(since_balance(blocks[:3]), counts.gates) is None


def test_left_out_blocks_are_no_reference(counts):
    good = [block(counts, n, [[100, 100], [50, 50]]) for n in (1, 2, 3)]
    bad = replace(block(counts, 4, [[0, 0], [0, 0]]), good=False, reason="latched")
    found = usual_rates([*good, bad])
    assert found.rates * TRIALS == pytest.approx(np.array([[100, 100], [50, 50]]))
    assert usual_rates([bad]) is None


def test_a_cryostat_that_warms_up_is_compared_with_the_first_blocks(counts):
    blocks = [
        replace(block(counts, n, [[1, 1], [1, 1]]), monitors={"temperature": kelvin})
        for n, kelvin in enumerate((0.05, 0.06, 0.055, 0.19), 1)
    ]
    assert usual_bounds(blocks[:2], 0.2) == {}
    assert usual_bounds(blocks, 0.2)["temperature"] == pytest.approx((0.0, 0.08625))


@pytest.mark.parametrize(("scatter", "watched"), [(0.01, True), (0.3, False)])
def test_a_power_is_watched_if_its_meter_sees_it_well(counts, scatter, watched):
    blocks = [
        replace(block(counts, n, [[1, 1], [1, 1]]), monitors={"pump_power": 1e-3 * (1 + change)})
        for n, change in enumerate((scatter, 0.0, -scatter), 1)
    ]
    found = usual_bounds(blocks, 0.2)
    assert found == ({"pump_power": pytest.approx((0.75e-3, 1.25e-3))} if watched else {})
