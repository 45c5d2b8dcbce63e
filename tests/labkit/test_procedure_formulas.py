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
    assert balance._chance(a, b, 0.5, 0.015) == pytest.approx(chance, abs=0.03)
    assert balance._chance(a, b, 1.0, 0.015) == (abs(b - a) / b <= 0.015)


def test_balance_corrects_by_all_steps_near_balance():
    """A/B with equal transmissions: 1.04, seen in two steps; the first one was far off."""
    rates = [(1.4e-4, 1.0e-4), (1.05e-4, 1.0e-4), (0.99e-4, 1.0e-4)]
    settings = [(1.0, 1.0), (1.0, 1.0), (1.0, 1.02)]
    found = balance._ratio(rates, settings, [10**7] * 3)
    assert found == pytest.approx((1.05 * 0.99 * 1.02) ** 0.5, rel=1e-3)
    assert balance._ratio(rates[:1], settings[:1], [10**7]) == pytest.approx(1.4)
