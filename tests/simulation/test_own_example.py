"""A theorist's own model in five lines: map, spectrum, optimum, equations; QuTiP beside it."""

import numpy as np
import pytest

from simulation.theory import optimise
from simulation.theory.couplings import radiation_pressure, single_mode_squeezing
from simulation.theory.measures import log_nu
from simulation.theory.models import sweep
from simulation.theory.models.own import own_model
from simulation.theory.network import Link, Mode, Network
from simulation.theory.output_spectra import squeezing_spectrum
from simulation.theory.steady_state import steady_state


def squeezed_drive(xi=0.2, delta=1.0, eta=0.9, phi=0.0, G=0.1, gamma=1e-4, n_b=0.0):
    """A squeezer feeds, through a lossy link, a cavity that couples to a mechanical mode."""
    modes = [Mode("s", damping=1.0), Mode("a", detuning=delta, damping=0.5),
             Mode("b", detuning=1.0, damping=gamma, occupation=n_b)]  # fmt: skip
    couplings = [single_mode_squeezing("s", 1j * xi), radiation_pressure("a", "b", G)]
    return Network(
        modes=modes, couplings=couplings, links=[Link("s", "a", efficiency=eta, phase=phi)]
    )


def qutip_covariance(qutip, quanta, *, xi, delta, eta, phi, G, gamma):
    """The same written by hand: cascaded master equation, cut at `quanta` number states a mode."""

    def destroy(place):
        one, a = qutip.qeye(quanta), qutip.destroy(quanta)
        return qutip.tensor(*(a if mode == place else one for mode in range(3)))

    s, a, b = (destroy(place) for place in range(3))
    sent, taken = np.sqrt(eta) * np.exp(1j * phi) * s, np.sqrt(0.5) * a
    hamiltonian = 0.5j * xi * (s.dag() ** 2 - s**2) + delta * a.dag() * a + b.dag() * b
    hamiltonian += G * (a + a.dag()) * (b + b.dag())
    hamiltonian += -0.5j * (taken.dag() * sent - sent.dag() * taken)
    jumps = [sent + taken, np.sqrt(1 - eta) * s, np.sqrt(gamma) * b]
    rho = qutip.steadystate(hamiltonian, jumps)
    ladder = [(o, -1j * o) for o in (a, b)]
    xi_ops = [(o + o.dag()) / np.sqrt(2) for pair in ladder for o in pair]
    return np.array([[qutip.expect(u * v + v * u, rho) / 2 for v in xi_ops] for u in xi_ops])


def test_five_lines_give_map_spectrum_optimum_and_equations():
    model = own_model(squeezed_drive)
    shown = sweep(
        model, x=("delta", np.linspace(0.5, 1.5, 21)), y=("eta", np.linspace(0, 1, 11)),
        wanted=["E_a_b"],
    )  # fmt: skip
    spectrum = squeezing_spectrum(squeezed_drive(), "a", np.linspace(-2, 2, 41))
    best = optimise(
        model, maximise="E_a_b", over={"xi": (0, 0.4), "delta": (0.5, 1.5), "phi": (0, np.pi)}
    )
    latex = model.show().latex

    assert shown.E_a_b.shape in {(21, 11), (11, 21)}
    assert shown.stable.all()
    assert float(shown.E_a_b.max()) > 0
    assert spectrum.min() < 1
    assert np.max(model.evaluate(["E_a_b"], delta=shown.delta.values)["E_a_b"]) <= best.value
    assert "s^\\dagger" in latex or "{s}^\\dagger" in latex


@pytest.mark.parametrize(("xi", "eta"), [(0.2, 0.9), (0.4, 0.5)])
def test_without_the_mechanics_the_spectrum_is_that_of_a_squeezer_behind_a_link(xi, eta):
    """η S_p(ω) + 1 − η, S_p = 1 − 4x′/((1 + x′)² + 4ω²), x′ = 2ξ; a resonant cavity passes all."""
    omega = np.linspace(-2, 2, 41)
    found = squeezing_spectrum(squeezed_drive(xi=xi, eta=eta, delta=0.0, G=0.0), "a", omega)
    squeezed = 1 - 8 * xi / ((1 + 2 * xi) ** 2 + 4 * omega**2)
    np.testing.assert_allclose(found, eta * squeezed + 1 - eta, rtol=1e-12)


def test_qutip_by_hand_converges_to_the_covariance_matrix():
    """Four number states a mode leave 1.1e-4, three 5.4e-4."""
    qutip = pytest.importorskip("qutip")
    at = {"xi": 0.05, "delta": 1.0, "eta": 0.9, "phi": 0.0, "G": 0.1, "gamma": 0.1}
    exact = steady_state(squeezed_drive(**at).build()).of("a", "b")
    errors = [np.max(np.abs(qutip_covariance(qutip, cut, **at) - exact)) for cut in (3, 4)]
    assert errors[1] < 0.3 * errors[0]
    assert errors[1] < 2e-4
    assert log_nu(exact) > 0.08
