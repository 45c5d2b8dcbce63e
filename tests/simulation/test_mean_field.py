"""Mean fields: the linear model is the Jacobian of the nonlinear equations; branches; powers."""

import numpy as np
import pytest

from simulation.theory.branches import branches
from simulation.theory.couplings import (
    beam_splitter,
    dispersive,
    kerr,
    radiation_pressure,
    triple_resonance,
    two_mode_squeezing,
)
from simulation.theory.mean_field import drive_amplitude, drive_power, flow, required_drive
from simulation.theory.network import Drive, Link, Mode, Network


def jacobian(network, mean, step=1e-6):
    """dξ'/dξ of the nonlinear equations by central differences in (x1, p1, …)."""
    columns = []
    for name in network.labels:
        for unit in (1, 1j):
            shift = unit * step / np.sqrt(2)
            up = flow(network, mean | {name: mean[name] + shift})
            down = flow(network, mean | {name: mean[name] - shift})
            slope = [np.sqrt(2) * (up[k] - down[k]) / (2 * step) for k in network.labels]
            columns.append([part for value in slope for part in (value.real, value.imag)])
    return np.array(columns).T


def everything():
    return Network(
        modes=[
            Mode("c", detuning=1.1, damping=2.0),
            Mode("b", detuning=1.0, damping=0.01, convention="brownian", occupation=4.0),
            Mode("a1", detuning=-0.7, damping=1.4, convention="amplitude"),
            Mode("a2", detuning=0.3, damping=1.9),
            Mode("m", detuning=0.6, damping=0.5),
        ],
        couplings=[
            dispersive("c", "b", -0.04),
            triple_resonance("a1", "a2", "m", 0.07 + 0.02j),
            kerr("a2", 0.03),
            beam_splitter("c", "m", 0.2 - 0.1j),
            two_mode_squeezing("b", "m", 0.05j),
            radiation_pressure("a1", "b", 0.06 - 0.03j),
        ],
        links=[Link("c", "a1", efficiency=0.8, phase=2.0)],
        drives=[Drive("c", amplitude=3.0 + 1.0j), Drive("a2", amplitude=2.0j)],
    )


def test_the_drift_is_the_jacobian_of_the_mean_field_equations():
    network = everything()
    rng = np.random.default_rng(3)
    for _ in range(5):
        mean = {k: complex(*rng.normal(size=2)) * 2 for k in network.labels}
        np.testing.assert_allclose(network.build(mean).drift, jacobian(network, mean), atol=1e-8)


def test_a_drive_enters_by_its_port_and_travels_down_the_links():
    eta, kappa, epsilon = 0.7, 2.0, 1.5
    network = Network(
        modes=[Mode("c", damping=kappa), Mode("a", damping=3.0)],
        links=[Link("c", "a", efficiency=eta, phase=np.pi)],
        drives=[Drive("c", amplitude=epsilon)],
    )
    c = 2 * epsilon / kappa
    expected = np.sqrt(eta * 3 * kappa) * c - np.sqrt(eta * 3 / kappa) * epsilon
    rates = flow(network, {"c": c})
    assert rates["c"] == pytest.approx(0, abs=1e-15)
    assert rates["a"] == pytest.approx(expected)


def bistable(power):
    kappa, gamma, g = 1.0, 0.1, 0.02
    return Network(
        modes=[Mode("a", detuning=1.8, damping=kappa), Mode("b", detuning=2.0, damping=gamma)],
        couplings=[dispersive("a", "b", -g)],
        drives=[Drive("a", amplitude=power)],
    )


def test_all_branches_of_a_bistable_cavity_solve_its_cubic():
    epsilon = np.array([20.0, 45.0, 120.0])
    found = branches(bistable(epsilon))
    for point, drive in enumerate(epsilon):
        # N |κ/2 + i (Δ − χ N)|² = ε², χ = 2 g² ω/(ω² + γ²/4)
        chi = 2 * 0.02**2 * 2.0 / (4.0 + 0.05**2)
        cubic = [chi**2, -2 * 1.8 * chi, 1.8**2 + 0.25, -(drive**2)]
        quanta = sorted(r.real for r in np.roots(cubic) if abs(r.imag) < 1e-6 * abs(r))
        exists = found.exists[:, point]
        np.testing.assert_allclose(np.abs(found.mean["a"][exists, point]) ** 2, quanta, rtol=1e-9)
    assert found.exists.sum(axis=0).tolist() == [1, 3, 1]
    assert found.stable[:, 1].tolist()[1] is False


def test_branches_rest_and_flags_mark_those_that_do_not_exist():
    network = bistable(np.array([20.0, 45.0]))
    found = branches(network)
    mean = {name: np.nan_to_num(value[2]) for name, value in found.mean.items()}
    change = np.abs(flow(network, mean)["a"])
    assert change[1] < 1e-9
    assert np.isnan(found.mean["a"][2]).tolist() == [True, False]
    assert not found.stable[2, 0]


def test_a_linear_network_has_one_branch():
    network = Network(
        modes=[Mode("a", detuning=0.5, damping=2.0)], drives=[Drive("a", amplitude=3.0)]
    )
    found = branches(network)
    assert found.exists.shape == (1,)
    assert found.mean["a"][0] == pytest.approx(3 / (1 + 0.5j))


def test_the_required_drive_makes_the_wanted_means_a_steady_state():
    network = bistable(0.0)
    b = 1j * 0.02 * 40**2 / (0.05 + 2j)
    needed = required_drive(network, {"a": 40.0, "b": b})
    assert needed["b"] == pytest.approx(0, abs=1e-13)
    driven = bistable(complex(needed["a"]))
    assert abs(flow(driven, {"a": 40.0, "b": b})["a"]) < 1e-12


def test_power_and_drive_amplitude_are_inverse():
    kappa, omega = 2 * np.pi * 1e6, 2 * np.pi * 193e12
    epsilon = drive_amplitude([1e-3, 2e-6], omega, kappa)
    np.testing.assert_allclose(drive_power(epsilon, omega, kappa), [1e-3, 2e-6])
    with pytest.raises(ValueError, match=r"`power` must be finite and ≥ 0, but is -1"):
        drive_amplitude(-1.0, omega, kappa)


def test_nonlinear_couplings_need_their_means():
    with pytest.raises(ValueError, match="`mean` must be given"):
        bistable(1.0).build()
