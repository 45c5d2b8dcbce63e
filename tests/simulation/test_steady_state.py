"""Steady states: against scipy, mpmath and exact states; stability; gauge; fallback."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import solve_continuous_lyapunov

from simulation.theory import batch_solver, lyapunov
from simulation.theory.couplings import beam_splitter, radiation_pressure, two_mode_squeezing
from simulation.theory.linear_model import noise_margin
from simulation.theory.measures import is_physical, log_negativity
from simulation.theory.models import get, tan2020, yu2020
from simulation.theory.network import Link, Mode, Network
from simulation.theory.steady_state import growth_rate, steady_state


def chain(rng, n_points, phases=(0.0, 0.0, 0.0)):
    """Random three-mode network with every kind of coupling and one lossy link."""
    draw = lambda low, high: rng.uniform(low, high, n_points)  # noqa: E731
    a, b, c = np.exp(1j * np.array(phases))
    return Network(
        modes=[
            Mode("a", detuning=draw(-2, 2), damping=draw(0.5, 3), occupation=draw(0, 1)),
            Mode("b", detuning=draw(0.5, 2), damping=draw(0.01, 1), occupation=draw(0, 50)),
            Mode("c", detuning=draw(-2, 2), damping=draw(0.5, 3), occupation=draw(0, 1)),
        ],
        couplings=[
            beam_splitter("a", "b", draw(-0.4, 0.4) * a * b.conj()),
            two_mode_squeezing("b", "c", draw(-0.2, 0.2) * b * c),
            two_mode_squeezing("a", "b", draw(-0.2, 0.2) * a * b),
        ],
        links=[
            Link("a", "c", efficiency=draw(0, 1), phase=draw(0, 6) + np.angle(c * a.conj())),
        ],
    )


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_random_networks_agree_with_scipy_where_they_are_stable(seed):
    model = chain(np.random.default_rng(seed), 200).build()
    state = steady_state(model)
    drift, diffusion = model.drift, model.diffusion
    assert np.all(noise_margin(drift, diffusion) > -1e-13)
    np.testing.assert_array_equal(state.stable, lyapunov.growth_rate(drift) < 0)
    for point in np.flatnonzero(state.stable)[:20]:
        expected = solve_continuous_lyapunov(drift[point], -diffusion[point])
        scale = np.max(np.abs(expected))
        np.testing.assert_allclose(state.cov[point], expected, atol=1e-9 * scale)
    assert np.all(is_physical(state.cov[state.stable], tolerance=1e-11))
    assert np.all(np.isnan(state.cov[~state.stable]))


@settings(max_examples=10)
@given(st.tuples(*[st.floats(-3, 3)] * 3))
def test_local_phases_of_the_modes_are_gauge(phases):
    plain = steady_state(chain(np.random.default_rng(4), 150).build())
    turned = steady_state(chain(np.random.default_rng(4), 150, phases).build())
    np.testing.assert_array_equal(plain.stable, turned.stable)
    for pair in (("a", "b"), ("b", "c"), ("a", "c")):
        there, here = (log_negativity(s.of(*pair)[s.stable]) for s in (plain, turned))
        np.testing.assert_allclose(there, here, atol=1e-9)


def test_uncoupled_modes_are_in_equilibrium_with_baths_from_cold_to_hot():
    n = np.geomspace(1e-6, 1e10, 200)
    modes = [Mode("a", detuning=1.0, damping=1e-8, occupation=n), Mode("b", damping=1.0)]
    state = steady_state(Network(modes=modes).build())
    assert np.all(state.stable)
    np.testing.assert_allclose(state.of("a")[:, 0, 0], n + 0.5, rtol=1e-12)
    np.testing.assert_allclose(state.of("b")[:, 0, 0], 0.5, rtol=1e-12)


def test_parametric_amplifier_below_threshold_is_the_known_state():
    g = np.linspace(0.01, 0.49, 300)
    modes = [Mode("a", damping=1.0), Mode("b", damping=1.0)]
    model = Network(modes=modes, couplings=[two_mode_squeezing("a", "b", g)]).build()
    state = steady_state(model)
    np.testing.assert_allclose(log_negativity(state.cov), np.log1p(2 * g), rtol=1e-11)
    np.testing.assert_allclose(growth_rate(model), g - 0.5, atol=1e-14)


def mpmath_log_negativity(drift, diffusion, first, second):
    size = len(drift)
    mp.mp.dps = 40
    places = [(i, j) for i in range(size) for j in range(i + 1)]
    number = {pair: k for k, pair in enumerate(places)}
    operator, right = mp.zeros(len(places)), mp.zeros(len(places), 1)
    for row, (i, j) in enumerate(places):
        right[row] = -mp.mpf(diffusion[i, j])
        for k in range(size):
            operator[row, number[max(k, j), min(k, j)]] += mp.mpf(drift[i, k])
            operator[row, number[max(k, i), min(k, i)]] += mp.mpf(drift[j, k])
    half = mp.lu_solve(operator, right)
    index = [2 * mode + k for mode in (first, second) for k in (0, 1)]
    v = mp.matrix(4, 4)
    for row, i in enumerate(index):
        for column, j in enumerate(index):
            sign = (-1) ** ((row == 3) + (column == 3))
            v[row, column] = sign * half[number[max(i, j), min(i, j)]]
    det_a, det_b = mp.det(v[:2, :2]), mp.det(v[2:, 2:])
    sigma = det_a + det_b + 2 * mp.det(v[:2, 2:])
    nu_squared = (sigma - mp.sqrt(sigma**2 - 4 * mp.det(v))) / 2
    return float(max(mp.mpf(0), -mp.log(2 * mp.sqrt(nu_squared))))


def hot_and_slow(n_points):
    """Optomechanical cooling with rates from 1e2 to 1e10 and 2e4 bath quanta."""
    g = np.linspace(0.5e7, 2.5e7, n_points)
    return Network(
        modes=[
            Mode("a", detuning=6e7, damping=2e7),
            Mode("b", detuning=6e7, damping=1e2, occupation=2e4),
            Mode("c", detuning=1e10, damping=1e9, occupation=0.1),
        ],
        couplings=[radiation_pressure("a", "b", g), beam_splitter("a", "c", 1e8)],
    ).build()


@pytest.mark.parametrize(
    ("model", "pair"),
    [
        (yu2020.linear(yu2020.Yu2020(delta_1=np.linspace(0.6, 1.4, 200))), ("a1", "a2")),
        (yu2020.linear(yu2020.Yu2020(temperature=np.linspace(0, 0.15, 200))), ("a1", "a2")),
        (tan2020.linear(tan2020.Tan2020(delta_1=np.linspace(0.002, 3, 200))), ("b", "m")),
        (tan2020.linear(tan2020.Tan2020(eta=np.linspace(0, 1, 200))), ("b", "m")),
        (hot_and_slow(200), ("a", "b")),
    ],
)
def test_log_negativity_is_right_to_1e_9_against_forty_digits(model, pair):
    found = log_negativity(steady_state(model).of(*pair))
    drift, diffusion, numbers = model.drift, model.diffusion, model.numbers(*pair)
    for point in (0, 77, 199):
        exact = mpmath_log_negativity(drift[point], diffusion[point], *numbers)
        assert found[point] == pytest.approx(exact, rel=1e-9, abs=1e-300)
    assert np.any(found > 0.01)


def test_a_batch_agrees_with_its_points_on_any_shape():
    model = get("yu2020")
    grid = {"delta_1": np.linspace(-2, 2, 41)[:, None], "delta_2": np.linspace(-2, 2, 41)}
    whole = model.evaluate(["E_N", "n_phonon"], **grid)
    for i, j in [(0, 0), (7, 30), (20, 20), (20, 3), (40, 11)]:
        here = {"delta_1": grid["delta_1"][i, 0], "delta_2": grid["delta_2"][j]}
        single = model.evaluate(["E_N", "n_phonon"], **here)
        for name, value in single.items():
            assert whole[name][i, j] == pytest.approx(value[()], rel=1e-9, abs=1e-13)


def test_points_that_elimination_cannot_do_are_solved_densely():
    delta = np.array([0.0] * 100 + [1.0] * 100)  # pivots vanish at zero detuning
    parameters = yu2020.Yu2020(delta_1=delta, delta_2=-delta, delta_m=0.9)
    state = steady_state(yu2020.linear(parameters))
    alone = steady_state(yu2020.linear(yu2020.Yu2020(delta_1=0.0, delta_2=0.0)))
    np.testing.assert_allclose(state.cov[0], alone.cov, rtol=1e-10)


def test_a_remembered_plan_serves_other_values_of_the_parameters():
    for factor in (1.0, 1e-3, 30.0):
        values = yu2020.Yu2020(G_hz=4.5e6 * factor, g_1_hz=np.linspace(1e6, 5e6, 300))
        model = yu2020.linear(values)
        state = steady_state(model)
        dense = lyapunov.solve_dense(model.drift, model.diffusion)
        np.testing.assert_array_equal(state.stable, lyapunov.growth_rate(model.drift) < 0)
        good = state.stable
        np.testing.assert_allclose(state.cov[good], dense[good], rtol=1e-8, atol=1e-10)


def test_temperatures_on_their_own_axis_use_one_solution_per_bath():
    temperature = np.linspace(0, 0.3, 400)[:, None]
    model = tan2020.linear(tan2020.Tan2020(temperature=temperature, kappa_1=[2.0, 10.0, 3.0]))
    assert model.drift_shape == (3,)
    state = steady_state(model)
    assert state.cov.shape == (400, 3, 8, 8)
    direct = lyapunov.solve_dense(model.drift, model.diffusion)
    good = state.stable
    np.testing.assert_allclose(state.cov[good], direct[good], rtol=1e-9, atol=1e-11)
    np.testing.assert_array_equal(good, lyapunov.growth_rate(model.drift) < 0)


def test_strong_coupling_at_resonance_is_stable_and_exact_beside_a_hot_mode():
    coupling = np.array([0.5, 2.0, 5.0, 37.0])
    model = tan2020.linear(tan2020.Tan2020(delta_1=0.0, g_ab=coupling, gamma_m_hz=16e6))
    state = steady_state(model)
    assert np.all(state.stable)
    assert np.all(growth_rate(model) < 0)
    left = model.drift @ state.cov
    left = np.abs(left + np.swapaxes(left, -1, -2) + model.diffusion)
    width = np.sqrt(np.diagonal(state.cov, axis1=-2, axis2=-1))
    scale = np.abs(model.drift).sum(axis=-1).max(axis=-1)[:, None, None]
    assert np.all(left < 1e-15 * scale * width[..., None] * width[:, None, :])


def test_without_damping_there_is_no_steady_state():
    state = steady_state(Network(modes=[Mode("a", detuning=1.0), Mode("b", damping=1.0)]).build())
    assert not state.stable
    assert np.all(np.isnan(state.cov))


def test_networks_without_baths_and_batches_without_points_are_no_special_case():
    free = Network(modes=[Mode("a", detuning=np.linspace(1, 2, 200)), Mode("b")]).build()
    assert not np.any(steady_state(free).stable)
    nothing = get("yu2020").evaluate(delta_1=np.array([]))
    assert all(value.shape == (0,) for value in nothing.values())


def test_chunks_cover_every_point_once():
    for shape in [(5,), (3, 40_000), (40_000, 3), (7, 90, 200), (1, 1)]:
        hits = np.zeros(shape, int)
        for block in batch_solver.blocks(shape):
            hits[block] += 1
            assert hits[block].size <= batch_solver.CHUNK
        assert np.all(hits == 1)
