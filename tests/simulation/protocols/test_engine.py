"""Heralds and moments against inclusion–exclusion in 60 digits, at any rate."""

import itertools

import mpmath as mp
import numpy as np
import pytest

from simulation.theory import gaussian
from simulation.theory.heralding import heralded as general
from simulation.theory.protocols import heralded
from simulation.theory.protocols.pulsed_light import PulsedState


def mixed_state(pump, mean):
    """Three devices, their Stokes light and a coherent beam through an interferometer."""
    state = PulsedState.vacuum("s1 s2 s3 w", "m1 m2 m3")
    rng = np.random.default_rng(8)
    u, _ = np.linalg.qr(rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4)))
    for k, n_0 in ((1, 0.1), (2, 0.3), (3, 0.02)):
        state = state.heat(f"m{k}", n_0).squeeze(f"s{k}", f"m{k}", pump * k)
    state = state.lose("s1 s2 s3", 0.2)
    if mean:
        state = state.displace("w", mean * np.sqrt(pump))
    state = state.interfere("s1 s2 s3 w", u).couple("m1", "m2", 0.3, 0.4)
    return state.lose("m1", 0.5, 0.1).amplify("m3", 1.2)


def exact(state, quantity):
    """Weighted moment of m1, m2 given clicks of s1, s2, s3, by inclusion–exclusion."""
    k = mp.matrix(state.kernel.tolist())
    mean = np.zeros(7) if state.mean is None else state.mean
    d = mp.matrix([mp.mpmathify(complex(x)) for x in mean])
    kept = [int(state.places(name)[0]) for name in ("m1", "m2")]
    total = mp.mpf(0)
    for size in range(4):
        for silent in itertools.combinations(range(3), size):
            total += (-1) ** size * _term(k, d, silent, kept, quantity)
    return total


def _term(k, d, silent, kept, quantity):
    if not silent:
        block = mp.matrix([[k[i, j] for j in kept] for i in kept])
        return quantity(block, [d[i] for i in kept])
    g = mp.matrix([[k[i, j] + (i == j) for j in silent] for i in silent])
    inverse = g**-1
    c = mp.matrix([[k[i, j] for j in silent] for i in kept])
    ds = mp.matrix([d[i] for i in silent])
    weight = mp.exp(-(ds.H * inverse * ds)[0].real) / mp.det(g).real
    block = mp.matrix([[k[i, j] for j in kept] for i in kept]) - c * inverse * c.H
    mean = mp.matrix([d[i] for i in kept]) - c * inverse * ds
    return weight * quantity(block, list(mean))


QUANTITIES = {
    "probability": (lambda state: state.probability, lambda k, d: mp.mpf(1)),
    "occupation": (
        lambda state: heralded.occupation(state, 1) * state.probability,
        lambda k, d: k[1, 1] + d[1] * mp.conj(d[1]),
    ),
    "coherence": (
        lambda state: heralded.coherence(state, 0, 1) * state.probability,
        lambda k, d: k[0, 1] + d[0] * mp.conj(d[1]),
    ),
    "amplitude": (
        lambda state: heralded.amplitude(state, 0) * state.probability,
        lambda k, d: d[0],
    ),
    "joint": (
        lambda state: heralded.joint_number(state, 0, 1) * state.probability,
        lambda k, d: (
            (k[0, 0] + abs(d[0]) ** 2) * (k[1, 1] + abs(d[1]) ** 2)
            + abs(k[0, 1]) ** 2
            + 2 * mp.re(k[0, 1] * mp.conj(d[0]) * d[1])
        ),
    ),
}


@pytest.mark.parametrize("pump", [0.1, 1e-3, 1e-5, 1e-7])
@pytest.mark.parametrize(
    ("name", "mean"),
    [(name, mean) for name in QUANTITIES for mean in (0.0, 0.7) if name != "amplitude" or mean],
)
def test_moments_after_three_clicks(pump, name, mean):
    """Heralds from 1e-4 to 1e-22 hold 1e-11."""
    state = mixed_state(pump, mean)
    ours, theirs = QUANTITIES[name]
    with mp.workdps(60):
        reference = complex(exact(state, theirs))
    value = ours(state.condition(clicked="s1 s2 s3", kept="m1 m2"))
    assert abs(value / reference - 1) < 1e-11


def test_rarest_herald_of_the_test_above():
    assert 0 < mixed_state(1e-7, 0.0).probability(clicked="s1 s2 s3") < 1e-21


POPULATIONS = {
    "p00": lambda b, det: 1 / det,
    "p10": lambda b, det: b[0, 0] / det,
    "p01": lambda b, det: b[1, 1] / det,
    "p11": lambda b, det: (b[0, 0] * b[1, 1] + abs(b[0, 1]) ** 2) / det,
    "d": lambda b, det: b[0, 1] / det,
}


@pytest.mark.parametrize("name", POPULATIONS)
def test_populations_after_three_rare_clicks(name):
    state = mixed_state(1e-5, 0.0)

    def quantity(k, _):
        g = k + mp.eye(2)
        return POPULATIONS[name](mp.eye(2) - g**-1, mp.det(g).real)

    made = state.condition(clicked="s1 s2 s3", kept="m1 m2")
    with mp.workdps(60):
        reference = complex(exact(state, quantity))
    value = getattr(heralded.populations(made), name) * made.probability
    assert abs(value / reference - 1) < 1e-11


def test_click_populations_are_those_of_ideal_detectors():
    state = mixed_state(1e-3, 0.0)
    made = state.condition(clicked="s1", kept="m1 m2")
    q10, q01, q11 = heralded.click_populations(made)
    click = state.condition(clicked="s1 m1", silent="m2").probability
    assert q10 == pytest.approx(click / made.probability, rel=1e-13)
    assert q10 + q11 == pytest.approx(made.keep(0).ask().probability / made.probability, rel=1e-13)
    assert q01 + q11 == pytest.approx(made.keep(1).ask().probability / made.probability, rel=1e-13)


def test_every_step_is_the_symplectic_one():
    state = PulsedState.vacuum("a b", "c d").heat("a", 0.2).heat("c", 0.4).displace("d", 0.3 + 0.1j)
    state = state.squeeze("a", "c", 0.3).couple("a", "b", 0.3, 0.7).rotate("c", 0.4)
    state = state.couple("c", "d", 0.6, -0.3).lose("b", 0.7, 0.2).amplify("d", 1.3)
    state = state.decay("c", 1.0, 2.0, 0.5)
    cov, mean = gaussian.thermal([0.2, 0.0, 0.4, 0.0]), np.zeros(8)
    mean[6:] = np.sqrt(2) * np.array([0.3, 0.1])
    for map_, modes in (
        (gaussian.two_mode_squeezing(np.arcsinh(np.sqrt(0.3))), [0, 2]),
        (gaussian.beam_splitter(0.3, 0.7), [0, 1]),
        (gaussian.phase_rotation(0.4), [2]),
        (gaussian.beam_splitter(0.6, -0.3), [2, 3]),
    ):
        cov = gaussian.apply(cov, map_, modes)
        mean = gaussian.embed(map_, modes, 4) @ mean
    cov = gaussian.loss(cov, 0.7, [1], 0.2)
    cov = gaussian.loss(gaussian.amplify(cov, 1.3, [3]), np.exp(-0.5), [2], 0.5)
    mean = mean * np.sqrt([1, 1, 0.7, 0.7, np.exp(-0.5), np.exp(-0.5), 1.3, 1.3])
    made = general(cov, [3], clicked=[0, 1], silent=[2], dark=1e-3, mean=mean)
    ours = state.condition(clicked="a b", silent="c", kept="d", dark=1e-3)
    assert ours.probability == pytest.approx(made.probability, rel=1e-12)
    amplitude = (made.mean[0] - 1j * made.mean[1]) / np.sqrt(2)
    assert heralded.amplitude(ours, 0) == pytest.approx(amplitude, rel=1e-11)
    quanta = gaussian.occupation(made.cov)[0] + abs(amplitude) ** 2
    assert heralded.occupation(ours, 0) == pytest.approx(quanta, rel=1e-11)


def test_batches_of_parameters_are_their_points():
    pumps = np.array([1e-4, 1e-2])
    together = mixed_state(pumps, 0.4).condition(clicked="s1 w", kept="m1 m2")
    for place, pump in enumerate(pumps):
        alone = mixed_state(pump, 0.4).condition(clicked="s1 w", kept="m1 m2")
        assert together.probability[place] == pytest.approx(alone.probability, rel=1e-12)
        value = heralded.joint_number(together, 0, 1)[place]
        assert value == pytest.approx(heralded.joint_number(alone, 0, 1), rel=1e-12)


def test_light_and_matter_do_not_interfere():
    with pytest.raises(ValueError, match="all light or all matter"):
        PulsedState.vacuum("s", "m").couple("s", "m")


def test_impossible_heralds_and_displaced_populations_are_refused():
    empty = PulsedState.vacuum("s", "m n").condition(clicked="s", kept="m n")
    with pytest.raises(ValueError, match="must be possible"):
        heralded.occupation(empty, 0)
    displaced = PulsedState.vacuum("s", "m n").displace("m", 0.1).condition(kept="m n")
    with pytest.raises(ValueError, match="no mean amplitude"):
        heralded.populations(displaced)
