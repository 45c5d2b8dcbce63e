"""Two pulses with initial phonons, storage and loss: the ideal case, covariances, large r."""

import mpmath as mp
import numpy as np
import pytest

from simulation.theory import gaussian
from simulation.theory.measures import log_negativity
from simulation.theory.models import get, point
from simulation.theory.protocols.fan2026_storage import MODEL

NOISY = {
    "r": 0.7,
    "W": 0.6,
    "R": 0.3,
    "n_line": 0.1,
    "n_1": 0.2,
    "n_2": 0.4,
    "storage_1": 1e-4,
    "storage_2": 3e-4,
    "n_env_1": 0.3,
    "n_env_2": 0.6,
    "n_heat_1": 0.02,
    "n_heat_2": 0.05,
}


def test_ideal_case_is_the_paper_model():
    found = point(MODEL, r=1.44, W=0.80, R=0.5)
    assert found["E_12"] == pytest.approx(0.7868414526, rel=1e-9)
    theirs = point(get("fan2026_pulsed"), r=1.1, W=0.7, R=0.2)["E_12"]
    assert point(MODEL, r=1.1, W=0.7, R=0.2)["E_12"] == pytest.approx(theirs, rel=1e-11)


def test_every_step_is_that_of_the_covariance_matrix():
    v = gaussian.thermal([0.2, 0.0, 0.4])
    v = gaussian.apply(v, gaussian.two_mode_squeezing(0.7), [0, 1])
    v = gaussian.loss(v, 0.7, [1], 0.1)
    swap = gaussian.apply(v, gaussian.beam_splitter(1 - 0.6), [1, 2])
    for mode, (time, n_env, n_heat) in {0: (0.1, 0.3, 0.02), 2: (0.3, 0.6, 0.05)}.items():
        swap = gaussian.add_noise(gaussian.loss(swap, np.exp(-time), [mode], n_env), n_heat, [mode])
    pair = gaussian.reduce(swap, [0, 2])
    found = point(MODEL, **NOISY)
    assert found["E_12"] == pytest.approx(float(log_negativity(pair)), rel=1e-12)
    quanta = gaussian.occupation(pair)
    assert [found["n_b1"], found["n_b2"]] == pytest.approx(quanta.tolist(), rel=1e-13)


@pytest.mark.parametrize("r", [1.0, 8.0, 12.0, 18.0])
def test_any_squeezing_without_loss_is_twice_r(r):
    assert point(MODEL, r=r, W=1.0)["E_12"] == pytest.approx(2 * r, rel=1e-14)


@pytest.mark.parametrize("r", [8.0, 18.0])
def test_large_squeezing_with_loss_against_60_digits(r):
    with mp.workdps(60):
        t = mp.mpf("0.7")
        s, c = mp.sinh(r), mp.cosh(r)
        a, b, x = (c**2 + s**2) / 2, t * (c**2 + s**2) / 2 + (1 - t) / 2, mp.sqrt(t) * s * c
        exact = -mp.log(a + b - mp.sqrt((a - b) ** 2 + 4 * x**2))
    assert point(MODEL, r=r, W=0.7)["E_12"] == pytest.approx(float(exact), rel=1e-13)


def test_heating_ends_the_entanglement():
    found = MODEL.evaluate(["E_12", "log_nu"], n_heat_2=[0.0, 0.3, 3.0])
    assert np.all(np.diff(found["log_nu"]) < 0)
    assert found["E_12"][-1] == 0
    assert found["log_nu"][-1] < 0
