"""A rate that changes too little for one block: blocks since the change are left out afterwards."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from analysis.counting import count
from analysis.counts import exact_trials
from labkit.procedures.witness import FIRST, WitnessOptions, _Course, check_rates
from labkit.run import Block, Goal
from labkit.run.evidence import BALANCE, FILTERS, SPLITTING, epochs
from simulation.recordings.ptu import simulate_ptu
from simulation.theory.dlcz import riedinger2018

TRIALS = 1_000_000
RATES = np.full((2, 2), 120)
FALLEN = np.array([[120, 120], [120, 60]])
SETTING = {"procedure": "witness", "delta_phi": 0.0, "delay": 1e-7}
OPTIONS = WitnessOptions(goal=Goal(trials=1e9), block=TRIALS, as_published=True)
KNOWN = replace(OPTIONS, rates={"pump": (1.2e-4, 1.2e-4), "read": (1.2e-4, 1.2e-4)})


@dataclass
class FakeSession:
    blocks: list[Block] = field(default_factory=list)
    folder: object = field(default_factory=lambda: SimpleNamespace(path=Path()))

    def leave_out(self, blocks):
        changed = {block.number: block for block in blocks}
        self.blocks = [changed.get(one.number, one) for one in self.blocks]

    @property
    def left_out(self):
        return [block.number for block in self.blocks if not block.good]


@pytest.fixture(scope="module")
def counts(tmp_path_factory):
    path = tmp_path_factory.mktemp("tags") / "x.ptu"
    simulate_ptu(path, riedinger2018(), 100_000, seed=5)
    return count(path)


@pytest.fixture
def taking(counts):
    """Give a session and what takes blocks with so many clicks."""
    session = FakeSession()

    def new(singles, **setting):
        own = replace(counts, singles=np.array(singles), trials=exact_trials(TRIALS, "test"))
        number = len(session.blocks) + 1
        block = Block(
            number=number, segment=f"tags/{number}.ptu", counts=own, setting=setting or SETTING
        )
        session.blocks.append(block)
        return block

    return session, new


def test_blocks_since_the_change_are_left_out_and_told(taking):
    session, new = taking
    course = _Course(session, KNOWN, SETTING)
    for _ in range(10):
        assert course.take(new(RATES)) == []
    changed: list[Block] = []
    while not changed:
        changed = course.take(new(FALLEN))
    assert session.left_out == [block.number for block in changed]
    assert session.left_out[0] in (10, 11)
    assert changed[0].reason.startswith("read rate of detector 2 has changed slowly, since block")
    assert [block.number for block in course.good] == list(range(1, session.left_out[0]))
    assert len(session.left_out) < 8


def test_a_kill_before_they_were_left_out_changes_nothing(taking):
    session, new = taking
    for singles in [RATES] * 10 + [FALLEN] * 8:
        new(singles)
    course = _Course(session, KNOWN, SETTING)
    assert session.left_out[0] == 11
    assert course.good[-1].number in (10, 18)


def test_without_a_calibration_the_first_blocks_are_the_reference(taking):
    session, new = taking
    course = _Course(session, OPTIONS, SETTING)
    for _ in range(FIRST + 4):
        assert course.take(new(RATES)) == []
    assert course.demands(SimpleNamespace(gates=session.blocks[0].gates)).calibrated == {}
    for _ in range(20):
        if course.take(new(FALLEN)):
            break
    assert min(session.left_out) > FIRST + 3


def test_calibration_since_the_last_balance_is_the_reference(taking):
    session, new = taking
    for arm in "AB":
        new(RATES // 2, procedure=SPLITTING, light="both", arm=arm)
    course = _Course(session, OPTIONS, SETTING)
    demands = course.demands(SimpleNamespace(gates=session.blocks[0].gates))
    assert demands.calibrated == {"pump": [1.2e-4, 1.2e-4], "read": [1.2e-4, 1.2e-4]}
    new(RATES, procedure=BALANCE, arm="A")
    after = _Course(session, OPTIONS, SETTING)
    assert after.demands(SimpleNamespace(gates=session.blocks[0].gates)).calibrated == {}


def test_filters_tuned_within_a_balance_do_not_end_it(taking):
    session, new = taking
    steps = ((0.7, "A"), (0.7, "B"), (0.68, "B"), None, (0.68, "A"))
    for step in steps:
        if step is None:
            new(RATES, procedure=FILTERS)
        else:
            at, arm = step
            new(RATES, procedure=BALANCE, arm=arm, transmission_A=1.0, transmission_B=at)
    new(RATES, procedure=SPLITTING, light="both", arm="A")
    (epoch,) = epochs(session.blocks)
    assert [b.setting["arm"] for b in epoch.balanced] == ["B", "A"]
    assert [b.setting["procedure"] for b in epoch.others] == [FILTERS, SPLITTING]
    new(RATES, procedure=BALANCE, arm="A", transmission_A=1.0, transmission_B=0.68)
    assert len(epochs(session.blocks)) == 2


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"pomp": (1e-4, 1e-4)}, "must name gates of pump, read, but names 'pomp'"),
        ({"pump": (1e-4,)}, "`rates` of pump must be one for each of 2 detectors, but are 1"),
    ],
)
def test_rates_that_do_not_fit_the_sequence_are_refused(counts, rates, message):
    with pytest.raises(ValueError, match=message):
        check_rates(replace(OPTIONS, rates=rates), counts.gates)


def test_a_change_that_stays_ends_the_run_after_so_many_attempts(taking):
    session, new = taking
    course = _Course(session, KNOWN, SETTING)
    for _ in range(60):
        course.take(new(FALLEN))
        if course.troubles >= OPTIONS.attempts:
            break
    assert course.troubles == OPTIONS.attempts
    assert course.good == []


def test_a_repaired_change_is_forgotten(taking):
    session, new = taking
    course = _Course(session, KNOWN, SETTING)
    while not course.take(new(FALLEN)):
        pass
    assert course.troubles == 1
    for _ in range(20):
        assert course.take(new(RATES)) == []
    assert course.troubles == 0
    assert session.left_out[-1] < 10
