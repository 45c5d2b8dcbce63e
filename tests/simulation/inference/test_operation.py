"""Settings as knobs: the model gives itself back, and turns as the physics says."""

from dataclasses import fields, replace

import numpy as np
import pytest

from simulation.inference.operation import Knobs, Operation, through_filters, values_of
from simulation.theory.dlcz import at_delay, fringe_phase, g2_clicks, riedinger2018
from simulation.theory.dlcz.sources import noisy_model

PAPER = riedinger2018()
OPERATION = Operation.of_model(PAPER)


def test_nothing_turned_gives_the_model_back():
    there = OPERATION.at().parameters
    for entry in fields(PAPER):
        if entry.name not in ("phi_0", "delta_phi"):
            assert float(getattr(there, entry.name)) == pytest.approx(
                float(getattr(PAPER, entry.name)), rel=1e-12, abs=1e-15
            ), entry.name
    turned = float(fringe_phase(there) - fringe_phase(PAPER)) / (2 * np.pi)
    assert turned == pytest.approx(round(turned), abs=1e-9)
    np.testing.assert_allclose(g2_clicks(there), g2_clicks(PAPER), rtol=1e-9)


def test_phase_noise_becomes_contrast():
    dull = replace(PAPER, contrast=0.9, phase_noise=0.2)
    there = Operation.of_model(dull).at().parameters
    np.testing.assert_allclose(g2_clicks(there), g2_clicks(dull), rtol=1e-9)


@pytest.mark.parametrize("delay", [80e-9, 123e-9, 400e-9])
def test_delay_heats_as_the_theory_says(delay):
    found = OPERATION.at(Knobs(delay=delay, theta=0.0))
    theory = at_delay(PAPER, delay)
    for x, place in (("A", 0), ("B", 1)):
        assert float(getattr(found.parameters, f"n_heat_{x}")) == pytest.approx(
            float(getattr(theory, f"n_heat_{x}")), rel=1e-9
        )
        by_read = 0.045 if x == "A" else 0.018
        assert found.pump_heat[place] == pytest.approx(
            float(getattr(theory, f"n_heat_{x}")) - by_read, rel=1e-9
        )
    assert np.cos(float(fringe_phase(found.parameters))) == pytest.approx(1.0, abs=1e-12)


def test_energies_scale_scattering_heating_and_leaks():
    twice = OPERATION.at(Knobs(e_pump=2.0, e_read=0.5)).parameters
    assert float(twice.p_pump_A) == pytest.approx(1.0056**2 - 1)
    assert float(twice.p_read_B) == pytest.approx(1 - (1 - 0.0603) ** 0.5)
    assert float(twice.n_heat_A) == pytest.approx(2 * 0.03 + 0.5 * 0.045)
    assert float(twice.leak_pump_1) == pytest.approx(2 * 3.9e-6)
    assert float(twice.leak_read_2) == pytest.approx(0.5 * 3.74e-5)


def test_short_period_leaves_phonons_as_the_rate_equation_says():
    """The pump's bath after a period, b e^{−Γt} at late times, and the read's, as its energy."""
    knobs = Knobs(period=15e-6)
    left = float(OPERATION.left_over("B", knobs, 123e-9))
    b = OPERATION.best["b_pump_B"]
    late = np.exp(-15e-6 / 5.8e-6)
    pairs = 0.008 * 1.017
    ratio = OPERATION.energy_ratio
    by_read = ratio * b * np.exp(0.123 / 5.8)
    assert left == pytest.approx((b + by_read + pairs) * late, rel=1e-3)
    hotter = OPERATION.at(knobs).parameters
    assert float(hotter.n_0_B) == pytest.approx(0.017 + left, rel=1e-2)
    assert float(OPERATION.at(Knobs(period=100e-6)).parameters.n_0_B) < 0.017


def test_filters_pass_the_pulse_and_stop_the_drive():
    photons, drive = through_filters(1e12)
    assert photons == pytest.approx(1.0, abs=1e-3)
    assert drive == pytest.approx(1.0, abs=1e-3)
    widths = [through_filters(w) for w in (20e6, 50e6, 100e6)]
    assert np.all(np.diff([w[0] for w in widths]) > 0)
    assert widths[1][1] / widths[0][1] == pytest.approx((50 / 20) ** 4, rel=1e-3)


def test_flat_pulse_through_one_narrow_filter_pair_by_sampling():
    """∫ sinc² T² by brute force on a fine grid."""
    nu = np.linspace(-4e9, 4e9, 4_000_001)
    pulse = np.sinc(nu * 40e-9) ** 2
    lorentz = (1 + (2 * nu / 50e6) ** 2) ** -2
    ours = through_filters(50e6)[0]
    assert ours == pytest.approx((pulse * lorentz).sum() / pulse.sum(), rel=2e-3)


def test_loss_takes_photons_and_leaks_of_its_arm():
    lost = OPERATION.at(Knobs(loss_A=10.0, loss_B=10.0)).parameters
    assert float(lost.eta_A) == pytest.approx(0.0034)
    assert float(lost.leak_read_1) == pytest.approx(2.94e-6)
    one = OPERATION.at(Knobs(loss_A=10.0)).parameters
    assert float(one.eta_B) == float(PAPER.eta_B)
    assert float(one.leak_read_1) == pytest.approx(0.55 * 2.94e-5)


def test_witness_of_the_extended_set_at_94_km():
    """R_m ≈ 0.76 with 10.6 dB in both arms."""
    far = Operation.of_model(riedinger2018("extended")).at(Knobs(loss_A=10.6, loss_B=10.6))
    assert float(far.witness) == pytest.approx(0.76, abs=0.005)


def test_thinned_draws_are_some_of_all():
    many = OPERATION.changed(n_0_A=np.linspace(0.01, 0.1, 91))
    few = many.thinned(10)
    np.testing.assert_allclose(few.values["n_0_A"], np.linspace(0.01, 0.1, 10))
    assert few.at().witness.shape == (10,)
    assert few.thinned(20) is few


def test_remarks_say_what_answers_rest_on():
    assert not list(OPERATION.remarks(Knobs()))
    of_runs = replace(OPERATION, runs=("monday", "tuesday"))
    assert "as it was on average in monday, tuesday" in " ".join(of_runs.remarks(Knobs()))
    short = " ".join(OPERATION.remarks(Knobs(delay=60e-9)))
    assert "below 123 ns" in short
    assert "still dead" in short
    assert "energies' ratio" in " ".join(OPERATION.remarks(Knobs(period=20e-6)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Knobs(delay=10e-9), "`delay` must lie between 6e-08 and 2e-05, but is 1e-08"),
        (lambda: OPERATION.changed(noise=1.0), "but are noise"),
        (lambda: values_of(replace(PAPER, coherent_read_1=1e-6)), "no coherent leaks"),
        (lambda: values_of(replace(PAPER, delay=0.0)), "a delay above 0"),
        (lambda: noisy_model(PAPER, (-0.1, 0.0)), "`pump_heat` must lie"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
