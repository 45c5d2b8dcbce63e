"""What procedures make of their clicks, on counts made up: no lab is needed."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest

from analysis.fits import FringeFit
from analysis.resonance import ResonanceFit
from analysis.separable_fit import Estimate
from labkit.experiment import read_experiment
from labkit.procedures import (
    balance,
    delay_sweep,
    mechanical_lines,
    optical_lines,
    pump_probe,
    thermometry,
)
from labkit.procedures.balance import BalanceResult

SEQUENCE = read_experiment("autopilot").sequence


def known(value, sigma=0.0):
    return Estimate(value=value, sigma=sigma)


def resonance(centre=0.0, sigma=1.0, width=8.8e8):
    return ResonanceFit(
        centre=known(centre, sigma), width=known(width, 2e6), height=known(1.0), offset=known(0.0)
    )


def without_lab(monkeypatch, module, *names):
    """Let a procedure change nothing."""
    for name in names:
        monkeypatch.setattr(module, name, lambda *_: nullcontext())


def test_mechanical_frequency_is_half_the_distance_of_the_lines_and_so_is_its_error():
    def scan(centre, sigma):
        return mechanical_lines.SidebandScan(
            frequency_hz=np.zeros(5), clicks=np.zeros(5), sigma=np.ones(5), origin_hz=193e12,
            fit=resonance(centre, sigma),
        )  # fmt: skip

    pump, read = scan(5.1e9, 3e5), scan(-5.1e9, 4e5)
    lines = mechanical_lines.MechanicalLines(scans={"pump": {"A": pump, "B": pump},
                                                    "read": {"A": read, "B": read}})  # fmt: skip
    assert lines.omega_m_hz["A"].value == pytest.approx(5.1e9)
    assert lines.omega_m_hz["A"].sigma == pytest.approx(2.5e5)


def a_session():
    """What a procedure tells its steps to."""
    return SimpleNamespace(say=print, steps=lambda _, items, what=None: iter(items), point=print)


def test_clicks_of_the_pump_are_per_light_that_passes_its_filter(monkeypatch):
    without_lab(monkeypatch, mechanical_lines, "only")
    monkeypatch.setattr(mechanical_lines, "_go", lambda *_: (193e12, 0.5))
    monkeypatch.setattr(mechanical_lines, "_clicks", lambda *_: (1e-3, 1e-4))
    session, options = a_session(), mechanical_lines.MechanicalOptions(points=5)
    points = mechanical_lines._points(session, SEQUENCE, {"pump": None}, options)
    np.testing.assert_allclose(points["pump", "A"], [[193e12, 2e-3, 2e-4]] * 5)


def test_reflected_light_is_per_light_sent(monkeypatch):
    without_lab(monkeypatch, optical_lines, "only")
    lab = SimpleNamespace(
        check_interlocks=lambda: None, laser_frequency=lambda _: 193e12,
        power_meter=SimpleNamespace(power=lambda: 4.0),
        reflection_meter=SimpleNamespace(power=lambda: 1.0),
    )  # fmt: skip
    follower, options = SimpleNamespace(go=lambda _: None), optical_lines.OpticalOptions()
    found = optical_lines._at(SimpleNamespace(lab=lab), follower, 0.0, options)
    assert found == {"A": (193e12, 0.25), "B": (193e12, 0.25)}


def test_error_of_the_quality_factor_is_that_of_the_width():
    line = optical_lines.OpticalLine(
        frequency_hz=np.zeros(5), reflection=np.ones(5), origin_hz=193e12, fit=resonance()
    )
    quality = line.quality_factor
    assert quality.sigma / quality.value == pytest.approx(2e6 / 8.8e8)


@pytest.mark.parametrize("n", [0.03, 0.5])
def test_thermometry_is_unbiased_and_knows_its_error(monkeypatch, n):
    """400 draws of counts ∝ n + 1 and n over a background; mean within 4 σ, spread within 15 %."""
    rng = np.random.default_rng(1)
    mean = {"stokes": 20_000 * (n + 1) + 500, "anti_stokes": 20_000 * n + 500, "background": 500}
    without_lab(monkeypatch, thermometry, "only", "off_the_line", "tune_if_due")
    monkeypatch.setattr(thermometry, "_clicks", lambda *call: int(rng.poisson(mean[call[-1]])))
    options = thermometry.ThermometryOptions(rounds=1)
    found = [thermometry.thermometry(a_session(), SEQUENCE, options) for _ in range(400)]
    values, sigma = [one.n_th for one in found], np.mean([one.sigma for one in found])
    assert abs(np.mean(values) - n) < 4 * sigma / 20
    assert np.std(values) == pytest.approx(sigma, rel=0.15)


def test_pump_probe_counts_phonons_and_divides_drifts_out(monkeypatch):
    """A probe that scatters n photons, and n₀ + 1 from the pump laser; light drifts by 20 %."""
    options = pump_probe.PumpProbeOptions()
    delays = np.array(options.delays)
    n_0, scale, drift = 0.1, 1e8, np.linspace(0.9, 1.1, len(delays))
    n = n_0 + 0.7 * np.exp(-delays / 4e-6) - 0.6 * np.exp(-delays / 0.5e-6)
    counts = scale * n * drift, 1e8 * drift, scale * n_0, scale * (n_0 + 1)
    monkeypatch.setattr(pump_probe, "_measure", lambda *_: counts)
    found = pump_probe.pump_probe(None, read_experiment("pump_probe").sequence, options)
    np.testing.assert_allclose(found.phonons, n, rtol=1e-9)
    assert found.alone == pytest.approx(n_0)
    assert found.fit.lifetime.value == pytest.approx(4e-6, rel=1e-3)


def test_fringe_that_turns_on_from_window_to_window_beats_faster():
    """45.2 MHz, fitted with a period of 45 MHz: 2π · 0.2 MHz more phase per s."""
    delays = np.array([0.1e-6, 1.1e-6, 2.1e-6])

    def fit(delay):
        return FringeFit(
            offset=known(4.0), amplitude=known(3.0), phase=known(2 * np.pi * 0.2e6 * delay, 0.1),
            period=known(1 / 45e6), visibility=None, maximum=0.0, chi2_reduced=1.0,
        )  # fmt: skip

    beat = delay_sweep._beat(delays, [fit(delay) for delay in delays], 45e6)
    assert beat.value == pytest.approx(45.2e6)
    assert beat.sigma == pytest.approx(0.1 / (2 * np.pi * np.sqrt(2) * 1e-6))


def test_bound_on_the_visibility_is_the_papers(monkeypatch):
    """V_max = C/(C + 2) with C = 7.1 − 1, the worse device's."""
    g2 = {"A": 7.1, "B": 9.6}
    monkeypatch.setattr(
        delay_sweep, "g2_of_device",
        lambda session, sequence, options: SimpleNamespace(
            posterior=SimpleNamespace(mode=g2[options.device])
        ),
    )  # fmt: skip
    assert delay_sweep._bound(None, SEQUENCE, 1) == pytest.approx(6.1 / 8.1)


@pytest.mark.parametrize(
    ("a", "b", "chance"),
    [(10_000, 10_000, 0.85), (10_000, 10_150, 0.5), (10_000, 10_600, 0.02)],
)
def test_chance_of_a_balance_to_end_within_its_tolerance(a, b, chance):
    """Of a step half done, 1.5 %: the other half adds a normal error of 1 % (σ) to what it is."""
    found = balance._Known(*balance._imbalance(a, b))
    assert balance._chance(found, found, 0.5, 0.015) == pytest.approx(chance, abs=0.03)
    assert balance._chance(found, found, 1.0, 0.015) == (abs(b - a) / b <= 0.015)


def test_earlier_steps_tell_how_a_step_will_end():
    """Seen half: 0 ± 1.4 %. If the arms are known to be off by 3 %, the whole will find 1.5 %."""
    found, known = balance._Known(0.0, 0.014), balance._Known(0.03, 0.003)
    assert balance._chance(found, known, 0.5, 0.015) == pytest.approx(0.5, abs=0.03)
    assert balance._chance(found, found, 0.5, 0.015) > 0.85


def test_a_balance_is_enough_where_its_interval_and_that_of_all_steps_lie_within():
    """The step alone within the verdict's 2 %, all together within the tolerance of 1.5 %."""
    together = balance._Known(0.004, 0.010)
    assert balance._is_enough(balance._Known(0.006, 0.013), together, 0.015)
    assert not balance._is_enough(balance._Known(0.008, 0.013), together, 0.015)
    assert not balance._is_enough(balance._Known(0.006, 0.013), balance._Known(0.006, 0.01), 0.015)


def steps(rates, settings, trials):
    return [
        balance._Step(
            open_a=open_a, open_b=open_b, rounds=((round(a * trials), round(b * trials)),),
            trials=trials,
        )
        for (a, b), (open_a, open_b) in zip(rates, settings, strict=True)
    ]  # fmt: skip


def test_steps_before_tell_the_present_imbalance():
    """Two steps of 1 %: +2 % found, corrected by 2 % to nothing, and nothing found again."""
    rates = [(1.02e-4, 1.0e-4), (1.01e-4, 1.01e-4), (1.4e-4, 1.0e-4)]
    settings = [(1.0, 1.0), (1.0, 1.02), (1.0, 2.0)]
    present = {"A": 1.0, "B": 1.02}
    known = balance._before(steps(rates, settings, 2 * 10**8), present)
    assert known.value == pytest.approx(0.0, abs=2e-4)
    assert known.sigma == pytest.approx(0.01 / 2**0.5, rel=0.02)
    assert balance._before([], {"A": 1.0, "B": 0.7}).sigma == float("inf")


def test_balance_takes_no_more_than_it_needs_and_leaves_the_arms_as_near(monkeypatch):
    """400 balances of arms that are 3 % apart, 0.93 % (σ) per whole step of 80 million trials.

    On the average 111 million trials (143 million if every step were taken to its end); the arms
    are left 0.96 ± 0.04 % apart (r.m.s.).
    """
    rng, spent, left = np.random.default_rng(11), [], []
    monkeypatch.setattr(balance, "tune_if_due", lambda *_: False)
    options = balance.BalanceOptions(trials=40_000_000, rounds=6, tolerance=0.015)
    for _ in range(400):
        arms = {arm: Adjusted() for arm in "AB"}
        monkeypatch.setattr(
            balance, "_alone",
            lambda session, sequence, arm, options, present, arms=arms: int(
                rng.poisson(3850.0 * arms[arm].value * (0.97 if arm == "A" else 1.0))
            ),
        )  # fmt: skip
        session = SimpleNamespace(
            lab=SimpleNamespace(attenuators=arms), say=lambda _: None,
            steps=lambda _, rounds: iter(rounds),
        )  # fmt: skip
        found = balance.balance(session, SEQUENCE, options)
        spent.append(2 * sum(found.trials))
        left.append(np.log(0.97 * arms["A"].value / arms["B"].value))
        assert abs(found.imbalance) <= 0.02
    assert np.mean(spent) == pytest.approx(111e6, abs=4 * 3e6)
    assert np.sqrt(np.mean(np.square(left))) == pytest.approx(0.0096, abs=4 * 4e-4)


class Adjusted:
    """An attenuator that does as it is told."""

    value = 1.0

    def transmission(self, value=None):
        self.value = self.value if value is None else value
        return self.value


def test_balance_corrects_by_all_steps_near_balance():
    """A/B with equal transmissions: 1.04, seen in two steps; the first one was far off."""
    rates = [(1.4e-4, 1.0e-4), (1.05e-4, 1.0e-4), (0.99e-4, 1.0e-4)]
    taken = steps(rates, [(1.0, 1.0), (1.0, 1.0), (1.0, 1.02)], 10**7)
    mean = balance._all_together(taken, taken[-1], 0.0)
    assert np.exp(mean.value) * 1.02 == pytest.approx((1.05 * 0.99 * 1.02) ** 0.5, rel=1e-3)
    alone = balance._all_together(taken[:1], taken[0], 0.0)
    assert np.exp(alone.value) == pytest.approx(1.4)
    drifting = balance._all_together(taken[1:], taken[-1], 0.05)
    assert drifting.sigma == pytest.approx(np.hypot(0.05, 0.0447) / 2**0.5, rel=0.02)


@pytest.mark.parametrize(("wander", "seen"), [(0.0, 0.0), (0.06, 0.06)])
def test_rounds_that_scatter_by_more_than_they_count_tell_of_a_drift(wander, seen):
    """48 rounds of 1 % (σ): what DerSimonian and Laird give is good to 11 % (1 σ)."""
    rng = np.random.default_rng(3)
    drift = np.exp(wander * rng.standard_normal(48))
    rounds = tuple((int(rng.poisson(20_000 * one)), int(rng.poisson(20_000))) for one in drift)
    step = balance._Step(open_a=1.0, open_b=1.0, rounds=rounds, trials=10**8)
    assert balance._drift([step]) == pytest.approx(seen, rel=0.33)
    assert balance._drift([]) == 0.0


def test_arms_that_drift_are_left_at_their_mean_and_the_night_goes_on(monkeypatch):
    """100 nights of arms that drift by 2 % in half an hour, each passed twice: 5.7 % of A/B.

    Steps of 0.9 % (σ) in 42 min. All end, 79 ± 4 as a verdict wants the arms; from the mean they
    are left 4.2 ± 0.3 % apart (r.m.s.). Without a look at the drift 37 were refused, and the
    others 4.1 % apart.
    """
    rng, left, found = np.random.default_rng(5), [], []
    monkeypatch.setattr(balance, "tune_if_due", lambda *_: False)
    options = balance.BalanceOptions(trials=25_000_000, rounds=6, tolerance=0.015)
    for _ in range(100):
        arms = {arm: Adjusted() for arm in "AB"}
        off = dict(zip("AB", 0.02 * rng.standard_normal(2), strict=True))

        def alone(session, sequence, arm, options, present, arms=arms, off=off):
            kept = np.exp(-208 / 1800)
            for one in off:
                off[one] = kept * off[one] + 0.02 * np.sqrt(1 - kept**2) * rng.standard_normal()
            passed = arms[arm].value * (0.6 if arm == "A" else 1.0) * np.exp(2 * off[arm])
            return int(rng.poisson(4000 * passed))

        monkeypatch.setattr(balance, "_alone", alone)
        session = SimpleNamespace(
            lab=SimpleNamespace(attenuators=arms), say=lambda _: None,
            steps=lambda _, rounds: iter(rounds),
        )  # fmt: skip
        found.append(balance.balance(session, SEQUENCE, options))
        left.append(np.log(0.6 * arms["A"].value / arms["B"].value))
    assert sum(abs(one.imbalance) <= 0.02 for one in found) == pytest.approx(79, abs=4 * 4)
    assert np.sqrt(np.mean(np.square(left))) == pytest.approx(0.042, abs=4 * 0.003)
    seen = [one for one in found if one.drift]
    assert len(seen) > 50
    assert " while they drift by " in str(seen[0])


@pytest.mark.parametrize(
    ("imbalance", "drift", "state"),
    [
        (0.005, 0.0, "arms balanced to +0.50 ± 1.00 %;"),
        (0.015, 0.03, "arms balanced to +1.50 ± 1.00 % while they drift by 3.0 %;"),
        (0.109, 0.03, "arms NOT balanced, but left at +10.90 ± 1.00 % while they drift by 3.0 %;"),
    ],
)
def test_arms_that_drift_away_are_not_called_balanced(imbalance, drift, state):
    result = BalanceResult(
        rates=((1.0, 1.0),), transmissions=((1.0, 0.7),), trials=(1000,),
        imbalance=imbalance, sigma=0.01, drift=drift,
    )  # fmt: skip
    assert str(result).startswith(state)
