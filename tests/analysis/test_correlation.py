import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from analysis.correlation import G2, GammaPosterior, autocorrelation, g2, pooled_g2
from analysis.published import RIEDINGER_2018

OPTIMAL = {"r1p1": (9, 108723, 111134), "r2p1": (130, 167427, 111134)}
TRIALS = 1_114_000_000

counts = st.integers(1, 10**6)


def test_value_is_coincidences_over_accidentals() -> None:
    pair = g2(*OPTIMAL["r2p1"], TRIALS)
    assert pair.accidentals == pytest.approx(167427 * 111134 / TRIALS, rel=1e-15)
    assert pair.value == pytest.approx(7.783, abs=5e-4)
    assert pair.heralding == pytest.approx(130 / 111134, rel=1e-15)


def test_interval_is_the_16_and_84_percent_quantile_of_a_gamma_distribution() -> None:
    pair = g2(*OPTIMAL["r1p1"], TRIALS)
    reference = stats.gamma(10, scale=1 / pair.accidentals)
    assert (pair.low, pair.high) == pytest.approx(tuple(reference.ppf([0.16, 0.84])), rel=1e-12)
    beta = stats.beta(10, 111134 - 9 + 1)
    assert pair.heralding_interval == pytest.approx(tuple(beta.ppf([0.16, 0.84])), rel=1e-10)


def test_no_coincidences_give_zero_with_a_one_sided_interval() -> None:
    pair = g2(0, 1000, 1000, 100_000)
    assert (pair.value, pair.low, pair.one_sided) == (0.0, 0.0, True)
    assert pair.cdf(pair.high) == pytest.approx(0.68, rel=1e-12)
    assert pair.heralding_interval[0] == 0.0


@given(events=st.integers(0, 3000), exposure=st.floats(1e-3, 1e4))
def test_posterior_density_is_normalised_and_peaks_at_the_estimate(
    events: int, exposure: float
) -> None:
    posterior = GammaPosterior(events=events, exposure=exposure)
    low, high = posterior.quantile([1e-14, 1 - 1e-14])
    g = np.linspace(low, high, 20_001)
    assert integrate.simpson(posterior.density(g), x=g) == pytest.approx(1.0, abs=1e-6)
    assert posterior.density(posterior.mode) >= posterior.density(g).max() * (1 - 1e-12)


@given(c=counts, n_a=counts, n_b=counts, factor=st.integers(2, 50))
def test_swapping_the_gates_changes_nothing(c: int, n_a: int, n_b: int, factor: int) -> None:
    c = min(c, n_a, n_b)
    trials = factor * 10**6
    one, other = g2(c, n_a, n_b, trials), g2(c, n_b, n_a, trials)
    assert (one.value, one.low, one.high) == (other.value, other.low, other.high)


def test_interval_covers_the_true_value_as_often_as_its_level_says() -> None:
    rng = np.random.default_rng(2018)
    exposure, n = 20.0, 4000
    truth = rng.uniform(0.5, 6.0, n)  # a flat prior, wide against each posterior
    seen = rng.poisson(truth * exposure)
    inside = [
        stats.gamma.cdf(t, c + 1, scale=1 / exposure) for t, c in zip(truth, seen, strict=True)
    ]
    covered = np.mean([(0.16 < p < 0.84) for p in inside])
    assert covered == pytest.approx(0.68, abs=4 * np.sqrt(0.68 * 0.32 / n))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 10, 10, 100), "`r1p1` must not be negative, but is -1"),
        ((1.5, 10, 10, 100), r"`r1p1` must be a whole number, but is 1\.5"),
        ((None, 10, 10, 100), "`r1p1` must be a whole number, but is None"),
        ((True, 10, 10, 100), "`r1p1` must be a whole number, but is True"),
        ((11, 10, 20, 100), "`r1p1` must not exceed `read 1` = 10, but is 11"),
        ((1, 101, 20, 100), "`read 1` must not exceed `trials` = 100, but is 101"),
        ((1, 10, 20, 0), "`trials` must be at least 1, but is 0"),
        ((0, 10, 0, 100), "`pump 1` must be at least 1 for g² to be defined, but is 0"),
    ],
)
def test_impossible_counts_are_refused_by_name(arguments: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        g2(*arguments, names=("r1p1", "read 1", "pump 1"))


def test_level_outside_0_and_1_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`level` must lie between 0 and 1, but is 68"):
        g2(1, 10, 10, 100, level=68)


def test_whole_floats_and_numpy_integers_are_counts() -> None:
    assert g2(np.int64(5), 100.0, 100, 1.949e9) == g2(5, 100, 100, 1_949_000_000)


def test_autocorrelation_of_thermal_light_is_two() -> None:
    rng = np.random.default_rng(5)
    trials = 2_000_000
    intensity = rng.exponential(0.02, trials)
    clicks = rng.random((2, trials)) < -np.expm1(-intensity / 2)
    result = autocorrelation(int((clicks[0] & clicks[1]).sum()), *clicks.sum(axis=1), trials)
    sigma = np.sqrt(result.coincidences) / result.accidentals
    assert result.value == pytest.approx(2.0 * (1 - 0.02), abs=4 * sigma)


def test_pooled_cross_pairs_give_the_published_g2_of_device_a() -> None:
    counts = RIEDINGER_2018["extended"].counts
    (p1, p2), (r1, r2), c = counts.pump, counts.read, counts.coincidences
    pairs = g2(c["r2p1"], r2, p1, counts.trials), g2(c["r1p2"], r1, p2, counts.trials)
    assert pooled_g2(pairs).mode - 1 == pytest.approx(6.45972, abs=5e-6)


def test_pooling_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="`estimates` must hold at least one"):
        pooled_g2([])


def test_prints_itself_in_one_line() -> None:
    text = str(g2(*OPTIMAL["r2p1"], TRIALS))
    assert text == "7.783  [7.162, 8.523]  130 coincidences, 16.70 accidental"
    assert isinstance(g2(*OPTIMAL["r2p1"], TRIALS), G2)


@pytest.mark.parametrize("trials", [1 << 63, 10**400])
def test_count_beyond_64_bits_is_refused_rather_than_divided_by(trials):
    with pytest.raises(ValueError, match="`trials` must be at most"):
        g2(1, 10, 10, trials)
