"""The same master equation solved by QuTiP in a number basis, and back."""

import numpy as np
import pytest
import qutip

from simulation.theory.couplings import beam_splitter, single_mode_squeezing, two_mode_squeezing
from simulation.theory.evolution import evolve_driven
from simulation.theory.gaussian import apply, vacuum
from simulation.theory.gaussian import two_mode_squeezing as squeeze
from simulation.theory.models import yu2020
from simulation.theory.network import BareDrift, Gain, Link, Mode, Network, SharedBath
from simulation.theory.qutip_bridge import (
    covariance_of,
    from_qutip,
    linear_model,
    master_equation,
    state_of,
    to_qutip,
    to_qutip_evo,
)
from simulation.theory.steady_state import steady_state


def cascade():
    """A parametric oscillator drives a lossy cavity through a lossy link."""
    modes = [
        Mode("s", damping=1.0, detuning=0.2),
        Mode("a", damping=0.7, detuning=-0.1, occupation=0.1),
    ]
    return Network(
        modes=modes,
        couplings=[single_mode_squeezing("s", 0.1j)],
        links=[Link("s", "a", efficiency=0.7, phase=0.4)],
    )


def open_network():
    modes = [Mode("a", damping=1.0), Mode("b", damping=1.5, squeezing=0.0)]
    return Network(
        modes=modes,
        couplings=[beam_splitter("a", "b", 0.3 - 0.2j), two_mode_squeezing("a", "b", 0.05j)],
        gains=[Gain("a", rate=0.2)],
        shared_baths=[SharedBath("a", "b", squeezing=0.2, phase=0.7)],
    )


@pytest.mark.parametrize("network", [cascade(), open_network()])
def test_the_steady_state_of_qutip_has_our_covariance_matrix(network):
    model = network.build()
    hamiltonian, jumps = to_qutip(model, [9, 9])
    found, mean = covariance_of(qutip.steadystate(hamiltonian, jumps))
    np.testing.assert_allclose(found, steady_state(model).cov, atol=3e-4)
    np.testing.assert_allclose(mean, 0, atol=1e-9)


@pytest.mark.parametrize(
    "model", [cascade().build(), open_network().build(), yu2020.linear(yu2020.Yu2020())]
)
def test_a_master_equation_is_the_model_again(model):
    again = linear_model(master_equation(model))
    np.testing.assert_allclose(again.drift, model.drift, atol=1e-12)
    completed = model.diffusion + sum(model.dense(b.completion, ()) for b in model.baths)
    np.testing.assert_allclose(again.diffusion, completed, atol=1e-12)


def test_what_comes_back_from_qutip_is_what_went():
    model = cascade().build()
    again = from_qutip(*to_qutip(model, [5, 5]), model.labels)
    np.testing.assert_allclose(again.drift, model.drift, atol=1e-12)
    np.testing.assert_allclose(again.diffusion, model.diffusion, atol=1e-12)


def test_qutips_own_operators_are_understood():
    """An oscillator as QuTiP's users write it: H = Δ a†a + i(ξ/2)(a†² − a²), L = √κ a."""
    a = qutip.destroy(6)
    kappa, xi, delta = 0.8, 0.1, 0.3
    hamiltonian = delta * a.dag() * a + 0.5j * xi * (a.dag() ** 2 - a**2)
    found = from_qutip(hamiltonian, [np.sqrt(kappa) * a], ["s"])
    network = Network(
        modes=[Mode("s", detuning=delta, damping=kappa)],
        couplings=[single_mode_squeezing("s", 1j * xi)],
    )
    np.testing.assert_allclose(found.drift, network.build().drift, atol=1e-12)
    np.testing.assert_allclose(found.diffusion, network.build().diffusion, atol=1e-12)


def test_what_is_not_gaussian_is_refused():
    a = qutip.destroy(8)
    with pytest.raises(ValueError, match="`hamiltonian` must be quadratic"):
        from_qutip(0.1 * a.dag() ** 2 * a**2, [a], ["s"])
    with pytest.raises(ValueError, match="`jumps` must be linear"):
        from_qutip(a.dag() * a, [a.dag() * a], ["s"])
    bare = Network(
        modes=[Mode("a", damping=1.0), Mode("b", damping=1.0)],
        bare_drift=[BareDrift("a", "b", rate=0.5)],
    )
    with pytest.raises(ValueError, match="must keep the commutators"):
        master_equation(bare.build(check_noise=False))
    with pytest.raises(ValueError, match="must be 2 numbers"):
        to_qutip(cascade().build(), [5])


def test_a_time_dependent_coupling_evolves_alike():
    def at(t):
        modes = [Mode("a", damping=0.4), Mode("b", damping=0.2)]
        return Network(
            modes=modes, couplings=[two_mode_squeezing("a", "b", 0.3j * np.sin(2 * t))]
        ).build()

    times = np.linspace(0, 1.5, 4)
    ours = evolve_driven(at, vacuum(2), times)
    start = qutip.tensor(qutip.basis(6, 0), qutip.basis(6, 0))
    theirs = qutip.mesolve(to_qutip_evo(at, [6, 6]), qutip.ket2dm(start), times)
    found = [covariance_of(state)[0] for state in theirs.states]
    np.testing.assert_allclose(found, ours, atol=2e-4)


def test_gaussian_states_go_there_and_back():
    cov = apply(vacuum(2) * 1.2, squeeze(0.3, 0.4))
    mean = np.array([0.2, -0.1, 0.0, 0.3])
    found, at = covariance_of(state_of(cov, [14, 14], mean=mean))
    np.testing.assert_allclose(found, cov, atol=1e-4)
    np.testing.assert_allclose(at, mean, atol=1e-4)


def test_the_pure_state_of_two_mode_squeezing_is_qutips_own():
    r = 0.3
    rho = state_of(apply(vacuum(2), squeeze(r, 0.0)), [12, 12])
    amplitudes = np.tanh(r) ** np.arange(12) / np.cosh(r)
    populations = rho.diag().reshape(12, 12).diagonal()
    np.testing.assert_allclose(populations[:6], amplitudes[:6] ** 2, atol=1e-6)


def test_a_state_that_does_not_fit_or_is_none_is_refused():
    with pytest.raises(ValueError, match="keep more number states"):
        state_of(apply(vacuum(2), squeeze(1.5, 0.0)), [4, 4])
    with pytest.raises(ValueError, match="must be a state"):
        state_of(0.1 * np.eye(2), [5])
