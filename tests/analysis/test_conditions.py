"""Conditions of the witness and the bound of imperfect set-ups."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.counts_file import WitnessCounts
from analysis.published import RIEDINGER_2018
from analysis.witness import conditions
from analysis.witness.cells import Cells, cells_of
from analysis.witness.laser_light import fault_limits, null_laser_only, remembering_detectors
from analysis.witness.separable import (
    blindness_cancels,
    largest_separable,
    separable_bound,
    symmetrised_witness,
)

RUN = RIEDINGER_2018["optimal"].counts
SHORT = 10_000_000, (1000, 1000), (10_000, 10_000)


def counts(
    trials: int, pump: tuple[int, int], read: tuple[int, int], pairs: tuple[int, ...] = (0,) * 4
) -> WitnessCounts:
    names = ("r1p1", "r2p1", "r1p2", "r2p2")
    return WitnessCounts(
        trials=trials, pump=pump, read=read, coincidences=dict(zip(names, pairs, strict=True))
    )


def coherent(
    factor: dict[str, float], *, pump: int = 100_000, read: int = 100_000
) -> WitnessCounts:
    """Laser-only counts of 10⁷ trials, each pair at `factor` times its accidentals."""
    expected = pump * read / 1e7
    names = ("r1p1", "r2p1", "r1p2", "r2p2")
    pairs = tuple(round(expected * factor.get(pair, 1.0)) for pair in names)
    return counts(10_000_000, (pump, pump), (read, read), pairs)


def test_a_herald_that_correlates_alike_at_theta_plus_pi_is_undecided() -> None:
    """Herald 1 would lower the mean alone; a swapped fringe is undecided, too: `fringe` fails."""
    size = (10**9, (10**6, 10**6), (10**6, 10**6))
    theta = counts(*size, pairs=(1000, 6000, 6000, 1000))
    for pairs in ((9000, 1000, 1000, 1000), (1000, 6000, 6000, 1000)):
        found = conditions.crossed_exceeds_same(cells_of(theta, counts(*size, pairs=pairs)))
        assert found.met is None
        assert "at θ + π differ by less than 3 sigma" in found.problem
    honest = counts(*size, pairs=(6000, 1000, 1000, 6000))
    assert conditions.crossed_exceeds_same(cells_of(theta, honest)).met is True


def test_bound_has_the_reference_value() -> None:
    found = separable_bound(read_difference=0.1, pump_difference=0.02, device_ratio=1.5)
    assert found == pytest.approx(0.993747, abs=5e-7)
    assert separable_bound(read_difference=0.1) == pytest.approx(1 / 1.05)
    assert separable_bound(read_difference=0.1, device_ratio=1.5, alternated=True) == 1 / 1.05
    assert separable_bound(read_difference=0.0, device_ratio=3.0) == 1.0
    less = separable_bound(read_difference=0.0, device_ratio=1.0, blindness=0.1, crosstalk=0.2)
    assert less == pytest.approx(1 - 0.7 * 0.1 - 0.24 * 0.2)


@pytest.mark.parametrize(("s", "turn"), [(1.0, True), (1.2, True), (3.0, True), (1.2, False)])
def test_jitter_and_gains_lower_r_on_the_boundary_by_no_more_than_the_bound(
    s: float, turn: bool
) -> None:
    """Jitter v multiplies low and high cells by 1 + v, a gain of crossed ones the high cells."""
    c = float(largest_separable(s))
    for v in (1e-4, 0.03, 0.2):
        fault = {"jitter" if turn else "gain": v}
        bound = separable_bound(read_difference=0.0, alternated=turn, same=s, **fault)
        found = float(symmetrised_witness(s * (1 + v) if turn else s, c * (1 + v)))
        assert bound <= found < 1.0
        if v == 1e-4:
            assert 1.0 - bound == pytest.approx(1.0 - found, rel=1e-3)


@given(d=st.floats(0.0, 1.5), kappa=st.floats(1.0, 5.0), dp=st.floats(0.0, 0.3))
def test_the_bound_is_the_minimum_over_the_differences(d: float, kappa: float, dp: float) -> None:
    rho = kappa * (1 + dp / 2) / (1 - dp / 2)
    h = ((1 + rho) + math.sqrt((1 + rho) ** 2 + 4 * rho)) / (2 * rho)
    q = (rho - 1) * h / (1 + (1 + rho) * h)
    grid = np.linspace(0.0, d, 4001)
    least = ((1 - q * grid / 2) / (1 - grid**2 / 4)).min()
    found = separable_bound(read_difference=d, pump_difference=dp, device_ratio=kappa)
    assert found == pytest.approx(least, abs=1e-6)
    assert found >= 1 / (1 + d / 2) - 1e-12


@given(s=st.floats(1.0, 8.0), blind=st.floats(0.0, 0.12))
def test_undetected_blindness_never_lowers_a_separable_r_below_the_bound(
    s: float, blind: float
) -> None:
    """At s = 1.2 the loss is 0.7 b; at s = 4 it is 1.3 b, and the bound follows."""
    blind = min(blind, 1.0 - 1.0 / s)  # below g² = 1 the floor holds
    c = float(largest_separable(s))
    bound = separable_bound(read_difference=0.0, device_ratio=1.0, blindness=blind, same=s)
    assert float(symmetrised_witness(s * (1 - blind), c)) >= bound - 1e-12


@given(s=st.floats(1.0, 8.0), extra=st.floats(0.0, 1.0))
def test_undetected_crosstalk_never_lowers_a_separable_r_below_the_bound(
    s: float, extra: float
) -> None:
    c = float(largest_separable(s)) + extra
    bound = separable_bound(read_difference=0.0, device_ratio=1.0, crosstalk=extra)
    assert float(symmetrised_witness(s, c)) >= bound - 0.003 * extra - 1e-12


def test_a_herald_whose_detectors_correlate_alike_leaves_the_order_undecided() -> None:
    """By chance crossed > same there in half of the cases; herald 1 alone must not decide."""
    plain = (10**9, (10**5, 10**5), (10**5, 10**5))  # 10 accidentals in each cell
    lucky = conditions.crossed_exceeds_same(cells_of(counts(*plain, pairs=(10, 300, 13, 10))))
    assert lucky.met is None
    assert lucky.problem == "crossed and same of herald 2 differ by less than 3 sigma"
    unlucky = conditions.crossed_exceeds_same(cells_of(counts(*plain, pairs=(10, 300, 9, 10))))
    assert unlucky.met is False
    assert conditions.crossed_exceeds_same(cells_of(RUN)).met is True


def test_light_that_is_not_scattered_is_taken_off_the_read_fluxes() -> None:
    """A 1000 + 500, B 900 + 100 clicks of scattered and of leaked light per 10⁷ trials: 2/19."""
    a, b = (counts(10**7, (1, 1), read) for read in ((750, 750), (500, 500)))
    dark = tuple(counts(10**6, (1, 1), read) for read in ((25, 25), (5, 5)))
    found = conditions.flux_difference("read_balance", "read", a, b, dark)
    assert found.value == pytest.approx(2 * 100 / 1900)
    sigma_a, sigma_b = math.sqrt(1500 + 50 * 100), math.sqrt(1000 + 10 * 100)
    error = 4 * math.hypot(900 * sigma_a, 1000 * sigma_b) / 1900**2
    assert found.high == pytest.approx(found.value + error)
    plain = conditions.flux_difference("read_balance", "read", a, b)
    assert plain.value == pytest.approx(2 * 500 / 2500)


@given(
    theta=st.floats(1.0, 8.0), difference=st.floats(0.0, 0.5), ratio=st.floats(1.0, 3.0),
    part=st.floats(0.3, 1.0),
)  # fmt: skip
def test_uncorrelated_light_only_raises_r_above_the_bound_of_scattered_fluxes(
    theta: float, difference: float, ratio: float, part: float
) -> None:
    """Separable devices with scattered fluxes 1 ± d/2; `part` of all clicks is scattered light."""
    x = np.array([1.0, ratio]) * theta
    a, b = np.sqrt(x * (1 + np.array([1.0, -1.0]) * difference / 2))
    s, c = 1 + part * (a - b) ** 2 / 4, 1 + part * (a + b) ** 2 / 4
    if 4 * (1 + x.sum() / 2) / x.prod() >= 1.0:
        bound = separable_bound(read_difference=difference, device_ratio=ratio)
        assert float(symmetrised_witness(s, c)) >= bound - 1e-9


def blinded(theta: float, pi: float, blind: tuple[float, float]) -> Cells:
    """Cells of 10⁹ accidentals, separable at θ with mean g² `theta` of low cells, at θ + π `pi`."""
    lost = 1.0 - np.array(blind)
    low = np.array([theta * lost, [pi, pi]]).T
    high = np.array([[float(largest_separable(theta))] * 2, float(largest_separable(pi)) * lost]).T
    many = np.full((2, 2), 1e9)
    return Cells(low=low * 1e9, high=high * 1e9, low_accidentals=many, high_accidentals=many)


@given(
    theta=st.floats(1.0, 40.0), pi=st.floats(1.0, 40.0),
    blind=st.tuples(st.floats(0.0, 0.5), st.floats(0.0, 0.5)),
)  # fmt: skip
def test_blindness_cancels_only_where_it_cannot_lower_a_separable_r(
    theta: float, pi: float, blind: tuple[float, float]
) -> None:
    cells = blinded(theta, pi, blind)
    if blindness_cancels(cells)[0]:
        assert float(symmetrised_witness(cells.s, cells.c)) >= 1.0 - 1e-4


def test_noise_at_one_phase_makes_blindness_dangerous_and_the_bound_knows() -> None:
    """g² (8, 18) at θ and (1, 5.8) at θ + π, each separable: with b = 0.3 the mean has R < 1."""
    cells = blinded(8.0, 1.0, (0.3, 0.3))
    found = float(symmetrised_witness(cells.s, cells.c))
    assert found < 0.99
    assert blindness_cancels(cells) == (False, True)
    assert found >= separable_bound(read_difference=0.0, alternated=True, blindness=0.3)
    assert blindness_cancels(blinded(1.2, 1.2, (0.3, 0.3))) == (True, True)


def test_few_counts_do_not_show_that_blindness_cancels() -> None:
    turned = counts(*SHORT, pairs=(6, 1, 1, 6))
    few = cells_of(counts(*SHORT, pairs=(1, 6, 6, 1)), turned)
    assert blindness_cancels(few) == (False, False)
    assert blindness_cancels(cells_of(RUN)) == (False, False)  # at θ alone nothing cancels


@pytest.mark.parametrize(
    "wrong",
    [
        {"read_difference": 2.0},
        {"pump_difference": -0.1},
        {"device_ratio": 0.9},
        {"blindness": -1.0},
    ],
)
def test_a_bound_of_impossible_values_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        separable_bound(**{"read_difference": 0.1, **wrong})


def test_crossed_must_exceed_same_for_each_herald_alone() -> None:
    assert conditions.crossed_exceeds_same(cells_of(RUN)).met is True
    swapped = counts(RUN.trials, RUN.pump, RUN.read, (130, 9, 129, 37))
    failed = conditions.crossed_exceeds_same(cells_of(swapped))
    assert (failed.met, failed.problem) == (False, "crossed <= same")
    alone = counts(RUN.trials, RUN.pump, RUN.read, (9, 130, 0, 0))
    undecided = conditions.crossed_exceeds_same(cells_of(alone))
    assert undecided.met is None
    assert undecided.problem == "herald 2 has no coincidence"
    assert not undecided.missing


def test_single_arms_give_the_splitter_whatever_the_detectors_efficiency() -> None:
    """T = 0.6 in the arms' ratio, detector 2 three times as efficient."""
    a = counts(10**9, (60_000, 120_000), (60_000, 120_000))
    b = counts(10**9, (40_000, 180_000), (40_000, 180_000))
    found = conditions.splitting(a, b)
    assert found.value == pytest.approx(0.6, abs=1e-9)
    assert found.met is False
    even = conditions.splitting(a, a)
    assert even.value == 0.5
    assert even.met is True
    weak = counts(10**9, (60, 120), (60, 120))
    assert conditions.splitting(weak, weak).met is False  # the error counts


def test_balance_background_and_device_ratio_from_calibration_runs() -> None:
    a = counts(10**9, (50_000, 51_000), (50_000, 50_000), (30, 30, 30, 30))
    b = counts(10**9, (50_000, 50_000), (45_000, 45_000), (20, 20, 20, 20))
    pump = conditions.flux_difference("pump_balance", "pump", a, b)
    assert pump.value == pytest.approx(1_000 / 100_500)
    assert pump.met is True
    read = conditions.flux_difference("read_balance", "read", a, b)
    assert read.value == pytest.approx(10_000 / 95_000)
    assert conditions.background(b, a).met is False
    dim = counts(10**9, (5_000, 5_000), (9_000, 9_000))
    share = conditions.background(dim, a)
    assert (share.met, share.value) == (True, pytest.approx(9 / 50))
    ratio = conditions.device_ratio(a, b).value
    expected = (120 / (101_000 * 100_000 / 1e9) - 1) / (80 / (100_000 * 90_000 / 1e9) - 1)
    assert ratio == pytest.approx(expected)


def test_theta_and_pi_must_differ_by_three_sigma() -> None:
    turned = counts(RUN.trials, RUN.pump, RUN.read, (130, 9, 37, 129))
    assert conditions.fringe_of_turn(cells_of(RUN, turned)).met is True
    same = conditions.fringe_of_turn(cells_of(RUN, RUN))
    assert (same.value, same.met) == (0.0, False)
    assert same.problem == "no fringe (theta and theta+pi agree)"


@pytest.mark.parametrize(
    ("share", "met"), [(0.05, None), (0.3, False), (1.0, False)], ids=["1 h", "8 h", "26 h"]
)
def test_a_fringe_is_denied_only_by_data_that_could_show_one(
    share: float, met: bool | None
) -> None:
    """The paper's rates and no fringe: a twentieth of the night tells nothing, a third does."""
    singles = [round(share * n) for n in (*RUN.pump, *RUN.read)]
    flat = [round(share * n) for n in (80, 60, 60, 80)]
    part = counts(round(share * RUN.trials), singles[:2], singles[2:], flat)
    found = conditions.fringe_of_turn(cells_of(part, part))
    assert found.met is met
    assert bool(found.problem)


@pytest.mark.parametrize(("contrast", "wanted"), [(0.0, 0.001), (0.76, 1.0)])
def test_first_harmonic_of_a_scan(contrast: float, wanted: float) -> None:
    """8 phases of 1.4e8 trials at the paper's rates; 400 scans: σ of 0.1 % is 0.16 %."""
    rng = np.random.default_rng(4)
    phases = np.arange(8) * np.pi / 4
    expected = np.full(8, 10.0)
    found = []
    for _ in range(400):
        same = rng.poisson(expected * 4.6 * (1 - contrast * np.cos(phases)))
        crossed = rng.poisson(expected * 4.6 * (1 + contrast * np.cos(phases)))
        one = conditions.fringe_of_scan(phases, same, expected, crossed, expected)
        found.append(one.met)
    assert np.mean(found) == pytest.approx(wanted, abs=0.007)


def test_a_scan_with_another_period_is_no_fringe() -> None:
    phases, expected = np.arange(8) * np.pi / 4, np.full(8, 100.0)
    arrays = (100 * (3 - np.cos(phases)), expected, 100 * (3 + np.cos(phases)), expected)
    good = conditions.fringe_of_scan(phases, *arrays, period_pi=1.95, period_error_pi=0.1)
    assert good.met is True
    for period, error in ((1.0, 0.1), (2.0, 3.0)):  # also one that says nothing
        bad = conditions.fringe_of_scan(phases, *arrays, period_pi=period, period_error_pi=error)
        assert (bad.met, bad.problem) == (False, "fringe period is not 2 pi")


@given(count=st.integers(0, 300), expected=st.floats(0.01, 300.0))
def test_two_sided_poisson_p(count: int, expected: float) -> None:
    tails = stats.poisson.cdf(count, expected), stats.poisson.sf(count - 1, expected)
    exact = min(1.0, 2 * min(tails))
    assert conditions.poisson_p(count, expected) == pytest.approx(exact, rel=1e-6, abs=1e-12)


def test_laser_only_light_must_be_uncorrelated_in_every_cell() -> None:
    assert null_laser_only(coherent({})).met is True
    more = null_laser_only(coherent({"r2p1": 1.3, "r1p2": 1.3}))
    assert (more.met, more.problem) == (False, "laser-only g2 > 1")
    less = null_laser_only(coherent({"r1p1": 0.8, "r2p2": 0.8}))
    assert (less.met, less.problem) == (False, "laser-only g2 < 1")
    # what one detector loses another one gains: the sums are right, the cells are not
    balanced = null_laser_only(coherent({"r1p1": 0.8, "r2p2": 1.2}))
    assert balanced.met is False
    weak = null_laser_only(coherent({}, pump=1000, read=1000))
    assert (weak.met, weak.problem) == (None, "laser-only run expects fewer than 10 accidentals")


def test_glaring_laser_light_tells_nothing() -> None:
    """Detectors that click in every trial have g² = 1 whatever they remember."""
    glaring = null_laser_only(coherent({}, pump=9_500_000))
    assert glaring.met is None
    assert "too bright to tell" in glaring.problem


def test_cells_of_laser_light_say_which_detector_remembers_what() -> None:
    assert remembering_detectors(coherent({}), coherent({})) == ()
    (after,) = remembering_detectors(coherent({"r2p2": 1.5}), coherent({}))
    assert after.startswith("detector 2 has afterpulses, ")
    (blind,) = remembering_detectors(coherent({}), coherent({"r1p1": 0.6}))
    assert blind.startswith("detector 1 is blind to 40 % after a click")
    (heard,) = remembering_detectors(coherent({"r1p2": 1.5}), coherent({}))
    assert heard.startswith("crosstalk: detector 1 hears detector 2, ")
    (missed,) = remembering_detectors(coherent({"r1p2": 0.6}))
    assert missed.startswith("detector 1 misses 40 % after clicks of 2")
    small = coherent({"r1p1": 0.97})
    assert remembering_detectors(coherent({}), small) == (), "too small a loss to fail"
    assert len(remembering_detectors(small)) == (null_laser_only(small).met is False)


def test_light_that_changes_all_cells_alike_is_no_detector() -> None:
    jitter = coherent(dict.fromkeys(("r1p1", "r2p2", "r1p2", "r2p1"), 1.3))
    assert null_laser_only(jitter).met is False
    assert remembering_detectors(jitter, jitter) == ()


MANY = counts(10_000_000, (100_000, 100_000), (100_000, 100_000))
"""A run as bright as `coherent`."""


def test_limits_of_a_laser_only_run_shrink_with_its_counts() -> None:
    few, many = (fault_limits(coherent({}, pump=pump), MANY) for pump in (10_000, 100_000))
    for name in ("crosstalk", "gain", "jitter"):
        assert 0.0 < getattr(many, name) < getattr(few, name) < 0.2
    exact = stats.chi2.ppf(0.95, 2 * 2001) / 2 / 2000 - 1
    assert many.crosstalk == pytest.approx(exact, rel=1e-9)


def test_a_brighter_read_pulse_hides_crosstalk_and_its_limit_is_scaled_back() -> None:
    """Crosstalk comes per pump click: tenfold read light makes it tenfold smaller beside Λ."""
    run = counts(10_000_000, (100_000, 100_000), (10_000, 10_000))
    bright, like = fault_limits(coherent({}), run), fault_limits(coherent({}), MANY)
    assert bright.crosstalk == pytest.approx(10 * like.crosstalk)


def test_a_dim_laser_only_run_does_not_tell_blind_detectors_and_afterpulses_from_neither() -> None:
    """g² = (1 - b) + a/ρ: with b = a = 1 light as dim as the run's shows 1 as without them."""
    assert fault_limits(coherent({}), MANY).blindness == 1.0
    dim = counts(10_000_000, (100_000, 100_000), (1000, 1000))
    bright = fault_limits(coherent({}), dim, largest_low=(1.2, 1.2))  # 100 times brighter
    exact = 1 - stats.chi2.ppf(0.05, 2 * 1000) / 2 / 1000
    assert bright.blindness == pytest.approx(exact + 1.2 / 100, rel=1e-9)


def test_one_blind_detector_counts_in_full() -> None:
    """Pooled counts of a bright detector would hide the other: the mean over heralds does not."""
    bright = coherent({"r1p1": 0.96}, read=5_000_000)
    assert fault_limits(coherent({}), MANY, bright=bright).blindness > 0.04
    more = coherent({"r2p1": 1.03}, read=5_000_000)
    assert fault_limits(coherent({}), MANY, bright=more).gain > 0.03


@given(
    b=st.floats(0.0, 1.0), cross=st.floats(0.0, 1.0), a=st.floats(0.0, 1.2), x=st.floats(0.0, 1.2)
)
def test_two_brightnesses_tell_blindness_from_afterpulses(
    b: float, cross: float, a: float, x: float
) -> None:
    """Expected counts of faults m + a/ρ at ρ = 1 and 50; the limits hold the true faults."""
    own, other = ("r1p1", "r2p2"), ("r2p1", "r1p2")
    dim, bright = (
        coherent(
            dict.fromkeys(own, 1 - b + a / rho) | dict.fromkeys(other, 1 - cross + x / rho),
            read=100_000 * rho,
        )
        for rho in (1, 50)
    )
    found = fault_limits(dim, MANY, bright=bright, largest_low=(5.0, 5.0))
    assert b <= found.blindness < b + 0.02
    assert cross <= found.cross_blindness < cross + 0.02
    assert x - cross <= found.crosstalk + 1e-9
    assert fault_limits(bright, MANY, bright=dim, largest_low=(5.0, 5.0)) == found


def test_small_changes_of_bright_laser_light_lower_the_bound_and_large_ones_fail() -> None:
    dim = coherent({})
    for lost, met in ((0.0, True), (0.03, True), (0.08, False)):
        bright = coherent({"r1p1": 1 - lost, "r2p2": 1 - lost}, read=5_000_000)
        assert null_laser_only(dim, bright).met is met


def test_shifted_trials_must_be_uncorrelated() -> None:
    assert conditions.null_shuffled([(3660, 3656.0), (3640, 3656.0)]).met is True
    drifted = conditions.null_shuffled([(3660, 3656.0), (3900, 3656.0)])
    assert (drifted.met, drifted.problem) == (False, "shifted trials g2 > 1")
    assert conditions.null_shuffled([]).missing
