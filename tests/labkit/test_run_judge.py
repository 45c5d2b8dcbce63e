"""The judge of a growing run: a block is added to the always-valid test once, and never wrongly."""

from dataclasses import replace

import pytest

from analysis.witness.anytime import AnytimeTest
from labkit.run import Block
from labkit.run.evidence import RunJudge


@pytest.fixture
def taken(recorded):
    """Return a function that makes blocks at θ, θ + π, θ + π, θ, … of slightly different length."""
    _, counts = recorded

    def made(number):
        trials = replace(counts.trials, number=counts.trials.number + 1000 * number)
        turn = ("theta", "pi", "pi", "theta")[(number - 1) % 4]
        return Block(
            number=number, segment=f"tags/block_{number:06d}.ptu",
            counts=replace(counts, trials=trials),
            setting={"procedure": "witness", "turn": turn},
        )  # fmt: skip

    return made


@pytest.fixture
def added(monkeypatch):
    """Return the list of all blocks that have been added to a test."""
    seen, add = [], AnytimeTest.add

    def counted(test, cells):
        seen.append(cells)
        return add(test, cells)

    monkeypatch.setattr(AnytimeTest, "add", counted)
    return seen


def verdict_of(judge, blocks):
    return judge.verdict(blocks).to_dict()


def test_a_growing_run_adds_each_pair_once_and_has_the_same_verdict(taken, added):
    blocks = [taken(number) for number in range(1, 9)]
    judge = RunJudge(None, None)
    for length in (2, 4, 6, 7, 8):
        grown = verdict_of(judge, blocks[:length])
    assert len(added) == 4
    assert grown == verdict_of(RunJudge(None, None), blocks)


def test_a_block_left_out_later_pairs_the_others_anew(taken):
    blocks = [taken(number) for number in range(1, 9)]
    judge = RunJudge(None, None)
    before = verdict_of(judge, blocks), judge.test(blocks, 1.0).log_e_at(1.0)
    blocks[1] = replace(blocks[1], counts=blocks[1].held, good=False, reason="unlocked")
    fresh = RunJudge(None, None)
    after = verdict_of(judge, blocks), judge.test(blocks, 1.0).log_e_at(1.0)
    assert after == (verdict_of(fresh, blocks), fresh.test(blocks, 1.0).log_e_at(1.0))
    assert after != before


def test_a_block_counted_again_replaces_its_counts(taken):
    blocks = [taken(number) for number in range(1, 5)]
    judge = RunJudge(None, None)
    before = verdict_of(judge, blocks)
    blocks[3] = replace(blocks[3], counts=taken(400).counts)
    assert verdict_of(judge, blocks) == verdict_of(RunJudge(None, None), blocks) != before
