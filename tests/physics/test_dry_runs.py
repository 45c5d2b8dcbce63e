"""Physics closes the loop: 200 seeded dry runs through the drivers, against the model.

All instruments are set once through their drivers; then every run records and counts with new
random numbers. What differs from the paper's experiment, so that a run takes no more than a
fraction of a second: the world has no drift and collects 20 times more of the scattered light
(`BRIGHT`), and a run has 4 million trials instead of 1.114e9.
"""

import numpy as np
import pytest

from analysis.evaluation import evaluate
from simulation.theory.dlcz import measurable_witness

pytestmark = pytest.mark.long

RUNS, TRIALS = 200, 4_000_000


@pytest.fixture(scope="module")
def dry_runs(tmp_path_factory, dry_lab):
    """Expected singles and pairs, and the counts of all runs."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch, dry_lab(folder) as lab:
        patch.setattr("simulation.lab.recorder._PATIENCE", 0.0)  # nobody watches these recordings
        lab.at_best_phase()
        singles, pairs = lab.expected(TRIALS)
        found = []
        for seed in range(RUNS):
            lab.world.plant.reseed(seed)
            found.append(lab.record(folder / f"{seed}.ptu", TRIALS))
        return singles, pairs, found


def ratio(pairs, singles):
    """R_m(1), R_m(2) of pairs [..., read, pump] and singles p1, p2, r1, r2."""
    g2 = TRIALS * pairs / (singles[..., 2:, None] * singles[..., None, :2])
    return measurable_witness(g2)


def counted(found):
    """Singles, shape (runs, 4), and pairs, shape (runs, 2, 2)."""
    singles = np.array([counts.singles.reshape(4) for counts in found])
    return singles, np.array([counts.pairs[2:, :2] for counts in found])


def test_counts_of_200_runs_pull_with_mean_0_and_unit_variance(dry_runs):
    """8 counts in each of 200 runs: mean within 4 σ of 0, variance within 4 σ of 1."""
    singles, pairs, found = dry_runs
    own_singles, own_pairs = counted(found)
    pulls = np.hstack(
        [
            (own_singles - singles) / np.sqrt(singles),
            ((own_pairs - pairs) / np.sqrt(pairs)).reshape(RUNS, 4),
        ]
    )
    assert np.all(np.abs(pulls.mean(axis=0)) < 4 / np.sqrt(RUNS))
    # the excess of a Poisson count's fourth moment, 1/mean, widens the variance's own spread
    spread = np.sqrt((2 + 1 / np.append(singles, pairs)) / RUNS)
    assert np.all(np.abs(pulls.var(axis=0) - 1) < 4 * spread)


def test_witness_of_all_runs_together_is_the_models(dry_runs):
    """800 million trials: R_m within 4 σ, σ from the coincidences (about 1.5 %)."""
    singles, pairs, found = dry_runs
    own_singles, own_pairs = (x.mean(axis=0) for x in counted(found))
    rng = np.random.default_rng(1)
    luck = rng.poisson(RUNS * pairs, (2000, 2, 2)) / RUNS
    sigma = ratio(luck, singles).std(axis=0)
    assert np.all(np.abs(ratio(own_pairs, own_singles) - ratio(pairs, singles)) < 4 * sigma)
    assert np.all(ratio(pairs, singles) < 0.8)


@pytest.mark.parametrize("herald", [1, 2])
def test_witness_is_distributed_as_the_model_says(dry_runs, herald):
    """Kolmogorov-Smirnov of 200 R_m against 20 000 drawn from the expected counts: p > 1e-4."""
    from scipy.stats import ks_2samp

    singles, pairs, found = dry_runs
    own_singles, own_pairs = counted(found)
    rng = np.random.default_rng(herald)
    model = ratio(rng.poisson(pairs, (20_000, 2, 2)), rng.poisson(singles, (20_000, 4)))
    mine = ratio(own_pairs, own_singles)
    assert ks_2samp(mine[:, herald - 1], model[:, herald - 1]).pvalue > 1e-4


def test_68_percent_interval_covers_the_models_witness_in_68_percent_of_runs(dry_runs):
    """2 × 200 intervals cover in 272 ± 9.3; demanded within 4 σ."""
    singles, pairs, found = dry_runs
    truth = ratio(pairs, singles)
    posteriors = [evaluate(counts).witness.detector for counts in found]
    covered = sum(
        run[herald].low < truth[herald - 1] < run[herald].high
        for run in posteriors
        for herald in (1, 2)
    )
    assert abs(covered - 0.68 * 2 * RUNS) < 4 * np.sqrt(2 * RUNS * 0.68 * 0.32)


def test_symmetrised_witness_sees_the_entanglement_the_model_has(dry_runs):
    """Every run has R_m < 1 with more than 90 %, and its mode is the mean of both within 10 %."""
    singles, pairs, found = dry_runs
    expected = ratio(pairs, singles)
    modes = [evaluate(counts).witness.sym for counts in found[:20]]
    assert min(sym.confidence(1.0) for sym in modes) > 0.9
    assert np.mean([sym.mode for sym in modes]) == pytest.approx(expected.mean(), rel=0.1)
