"""A run against a posterior: what has moved, and the commands that go by a posterior's file."""

import json
from dataclasses import replace

import numpy as np
import pytest

from analysis.counting import count
from labkit.moved import compare_with
from labkit.run import Block
from simulation.inference.operation import values_of
from simulation.inference.posterior import Posterior, Sampler
from simulation.inference.setting import Setting
from simulation.recordings.ptu import simulate_ptu
from simulation.recordings.pulses import pulsed_timing
from simulation.theory.dlcz import riedinger2018

PAPER = riedinger2018()
GATES = pulsed_timing().gates
TRIALS = 60_000_000


@pytest.fixture(scope="module")
def posterior():
    """Known to 3 % in what matters, about the parameters that the recordings are made with."""
    best = values_of(PAPER)
    rng = np.random.default_rng(4)
    draws = {name: np.full(30, value) for name, value in best.items()}
    for name in ("n_0_A", "p_pump_B", "eta_2", "contrast"):
        spread = 0.03 if name != "contrast" else 0.01
        factor = np.exp(spread * rng.standard_normal(30))
        draws[name] = np.minimum(best[name] * factor, 1.0)
    return Posterior(
        draws=draws, prior={name: v.copy() for name, v in draws.items()}, best=best,
        free=("n_0_A", "p_pump_B", "eta_2", "contrast"), covariance=0.03**2 * np.eye(4),
        undetermined={}, deviance=1.0, p_value=0.5,
        sampler=Sampler(ess=30.0, draws=30, fallback=False, seed=4, seconds=0.1),
        preset="riedinger2018",
        reference=Setting(delay=123e-9, delta_phi=float(PAPER.delta_phi)), levels={},
        runs=("here",), observed={}, drift=0.05,
    )  # fmt: skip


def run_at(make_run, tmp_path, parameters, seed):
    """A run of one block, recorded with these parameters."""
    tags = tmp_path / f"{seed}.ptu"
    simulate_ptu(tags, parameters, TRIALS, seed=seed)
    run = make_run()
    setting = {"procedure": "witness", "delta_phi": float(PAPER.delta_phi), "delay": 123e-9}
    block = Block(
        number=1, segment="tags/none.ptu", counts=count(tags, GATES), setting=setting, good=True,
        started="2026-01-01T00:00:00+00:00", ended="2026-01-01T01:00:00+00:00",
    )  # fmt: skip
    run.folder.journal.append(block)
    run.folder.journal.judge(1, good=True)
    return run


def test_lab_that_has_not_moved_is_within_three_sigma(make_run, tmp_path, posterior):
    found = compare_with(run_at(make_run, tmp_path, PAPER, 11).folder, posterior)
    assert len(found.shifts) == 6
    assert not [one for one in found.shifts if abs(one.sigmas) > 4]
    assert not found.lab.moved


def test_arm_that_has_lost_light_is_found(make_run, tmp_path, posterior):
    darker = replace(PAPER, eta_A=0.4 * PAPER.eta_A)
    found = compare_with(run_at(make_run, tmp_path, darker, 12).folder, posterior)
    moved = {one.name for one in found.shifts if one.moved}
    assert {"p1", "r1"} <= moved
    assert found.lab.changes
    assert all(one.sigmas < 0 for one in found.shifts if one.name in ("p1", "p2", "r1", "r2"))


def test_command_prints_what_has_moved(make_run, tmp_path, posterior, labkit):
    path = tmp_path / "lab.nc"
    posterior.save(path)
    run = run_at(make_run, tmp_path, replace(PAPER, eta_A=0.6 * PAPER.eta_A), 13)
    code, out, _ = labkit("runs", "compare", run.folder.path, "--twin", path, "--json")
    assert code == 0
    (told,) = json.loads(out)["runs"]
    assert "p1" in told["moved"]
    assert told["lab"]["moved"]
    assert told["lab"]["changes"][0]["p_value"] < 1e-3
    code, out, _ = labkit("runs", "compare", run.folder.path, "--twin", path)
    assert code == 0
    assert "the lab has moved: " in out


def test_run_without_a_phase_or_with_other_pulses_is_refused(make_run, posterior):
    run = make_run()
    with pytest.raises(ValueError, match="must have good blocks at a phase"):
        compare_with(run.folder, posterior)
    other = replace(posterior, levels={"pump": 0.5})
    with pytest.raises(ValueError, match="must have the pulses of the posterior"):
        compare_with(run.folder, other)


def test_plan_and_budget_go_by_a_posterior(tmp_path, posterior, labkit):
    path = tmp_path / "lab.nc"
    posterior.save(path)
    code, out, _ = labkit("plan", "--posterior", path, "--confidence", "0.99", "--json")
    assert code == 0
    (plan,) = json.loads(out)["plans"]
    assert 1.4e9 < plan["trials"] < 2.4e9
    assert plan["spread"]["high"] > plan["trials"]
    code, out, _ = labkit("budget", "--posterior", path, "--json")
    assert code == 0
    found = json.loads(out)
    assert found["draws"] == 30
    cold = next(row for row in found["budget"] if row["cause"] == "initial_phonons")
    assert cold["cost"]["low"] < 0.142 < cold["cost"]["high"]
    code, _, error = labkit("plan", "--posterior", path, "--set", "n_0_A=0.1")
    assert code == 1
    assert "--set changes the paper's model" in error
