"""Memory with coherent states: 40-digit values, and the closed form against the herald engine."""

import numpy as np
import pytest

from simulation.theory.models import point
from simulation.theory.protocols import heralded
from simulation.theory.protocols.memory2020 import MODEL
from simulation.theory.protocols.pulsed_light import PulsedState

INPUTS = (0.0001, 0.002, 0.01, 0.02)
NUMBERS = {
    0.0: (0.955315849, 0.502042938, 0.167748018, 0.091738003),
    0.05: (1.055305063, 0.589923083, 0.233320199, 0.150585312),
    0.15: (1.255295577, 0.767373293, 0.366131303, 0.269370626),
    0.3: (1.555296533, 1.037217432, 0.569314925, 0.450202256),
}
VISIBILITIES = {
    0.0: (0.217816364483, 0.705490030007, 0.908232389805, 0.945097950283),
    0.05: (0.207701000614, 0.666663171024, 0.801896844845, 0.771020598037),
    0.15: (0.191174566864, 0.610351075031, 0.689655819100, 0.625676941853),
    0.3: (0.172553234421, 0.554672954852, 0.610246138210, 0.539785121644),
}
RATIOS = {
    0.0: (0.564485848229, 0.705607310286),
    0.05: (0.539466473147, 0.674333091434),
    0.15: (0.502877827529, 0.628597284411),
    0.3: (0.467134098968, 0.583917623710),
}
BEST = {
    0.0: (0.05028439, 0.961025170103),
    0.05: (0.00966874, 0.801964005598),
    0.15: (0.00672079, 0.700127644392),
    0.3: (0.00597575, 0.627588177164),
}
FRINGE = {"eta_s": 0.05, "dark": 5e-7, "wcs_1": 1e-4, "wcs_at": "coupler", "wcs_2": 1.65e-3}


@pytest.mark.parametrize("n_0", NUMBERS)
def test_fields_of_the_script_settings(n_0):
    found = MODEL.evaluate(["n_herald", "V"], n_0=n_0, wcs_1=INPUTS, angles="script")
    assert found["n_herald"] == pytest.approx(NUMBERS[n_0], abs=1e-9)
    assert found["V"] == pytest.approx(VISIBILITIES[n_0], rel=1e-11)


@pytest.mark.parametrize("n_0", RATIOS)
def test_amplitude_ratio_with_an_input_of_the_stokes_photons(n_0):
    found = MODEL.evaluate(["V"], n_0=n_0, x=[0.5, 2.0, 1.0], angles="script")["V"]
    half, one = RATIOS[n_0]
    assert found == pytest.approx([half, half, one], rel=1e-11)


@pytest.mark.parametrize("n_0", BEST)
def test_best_input(n_0):
    found = MODEL.evaluate(["wcs_best", "V_best"], n_0=n_0, angles="script")
    place, visibility = BEST[n_0]
    assert found["wcs_best"] == pytest.approx(place, rel=1e-6)
    assert found["V_best"] == pytest.approx(visibility, rel=1e-11)


def test_efficiency_and_darks():
    found = point(MODEL, eta_s=0.05, wcs_1=0.002)
    assert found["V"] == pytest.approx(0.666925527707, rel=1e-11)
    assert found["P_h"] == pytest.approx(1.02490744526e-4, rel=1e-11)
    assert point(MODEL, eta_s=0.05, wcs_1=0.002, dark=1e-6)["V"] == pytest.approx(
        0.663410263681, rel=1e-11
    )


def test_click_fringe():
    found = point(MODEL, **FRINGE, n_heat=0.05, tau=1e-6)
    assert found["P_h"] == pytest.approx(1.029906932804e-4, rel=1e-11)
    assert found["P_read"] == pytest.approx([5.011838141693e-4, 2.104472471491e-3], rel=1e-11)
    assert found["V_clicks"] == pytest.approx(0.615310878163, rel=1e-11)
    later = point(MODEL, **FRINGE, n_heat=0.1, tau=1e-3)
    assert later["V_clicks"] == pytest.approx(0.528339637572, rel=1e-11)


def test_closed_form_is_what_the_herald_engine_gives():
    state = PulsedState.vacuum("w s", "m").heat("m", 0.1).squeeze("s", "m", 0.02)
    state = state.displace("w", np.sqrt(0.01)).couple("w", "s", 0.3).lose("w", 0.2)
    made = state.condition(clicked="w", kept="m", dark=1e-4)
    found = point(MODEL, n_0=0.1, p_pump=0.02, wcs_1=0.01, splitting=0.3, eta_s=0.2, dark=1e-4)
    assert found["P_h"] == pytest.approx(made.probability, rel=1e-13)
    assert found["n_herald"] == pytest.approx(heralded.occupation(made, 0), rel=1e-12)
    assert found["m_herald"] == pytest.approx(abs(heralded.amplitude(made, 0)), rel=1e-12)


def test_dephasing_takes_the_mean_and_leaves_the_quanta():
    clean = point(MODEL, tau=50e-6)
    for form, factor in (("gaussian", np.exp(-0.25)), ("exponential", np.exp(-0.5))):
        found = point(MODEL, tau=50e-6, T2=100e-6, dephasing=form)
        assert found["m_stored"] == pytest.approx(clean["m_stored"] * factor, rel=1e-14)
        assert found["n_stored"] == clean["n_stored"]


def test_dephased_clicks_are_the_average_over_a_normal_phase():
    phases, weights = np.polynomial.hermite_e.hermegauss(41)
    spread = 0.9
    clicks = [_click(spread * phase) for phase in phases]
    mean = np.sum(weights * clicks) / np.sum(weights)
    t2 = 1e-6 / np.sqrt(spread**2 / 2)
    found = point(MODEL, **FRINGE, n_heat=0.05, tau=1e-6, T2=t2, dephasing="gaussian")
    assert found["P_read"][1] == pytest.approx(mean, rel=1e-9)


def _click(phase):
    """Click of the read detector given the herald, with a phase on the memory."""
    state = PulsedState.vacuum("w s", "m v").heat("m", 0.05).squeeze("s", "m", 0.002)
    state = state.lose("s", 0.05).displace("w", np.sqrt(1e-4)).couple("w", "s")
    state = state.decay("m", 1e-6, 2e-3, 0.05).heat("m", 0.05).lose("m", 0.03 * 0.05)
    state = state.rotate("m", phase).displace("v", np.sqrt(1.65e-3)).couple("m", "v")
    made = state.condition(clicked="w", kept="m v", dark=5e-7)
    bright = max(made.keep(k).ask(5e-7).probability / made.probability for k in (0, 1))
    other = min(made.keep(k).ask(5e-7).probability / made.probability for k in (0, 1))
    return bright if np.cos(phase) > 0 else other
