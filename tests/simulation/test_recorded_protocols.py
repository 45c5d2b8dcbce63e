"""Round trips: model → tags → counts → estimator, within the stated σ."""

import numpy as np
import pytest

from analysis.bell import chsh, coincidences_of
from analysis.counting.count import count
from analysis.counting.patterns import count_patterns
from analysis.heralded import INPUTS, heralded_g2, mean_fidelity, visibility
from simulation.recordings.protocols import simulate_protocol
from simulation.theory.models import get, point

BRIGHT_BELL = {
    "eta_A": 0.6,
    "eta_B": 0.5,
    "p_pump_A": 0.02,
    "p_pump_B": 0.02,
    "p_read_A": 0.3,
    "p_read_B": 0.35,
    "n_heat_A": 0.05,
    "n_heat_B": 0.05,
    "dark_1": 1e-5,
    "dark_2": 1e-5,
}
BRIGHT_PHONONS = {"p_pump": 0.05, "eta_s": 0.4, "eta_r": 0.5, "p_read": 0.6, "dark": 1e-4}
BRIGHT_MEMORY = {
    "p_pump": 0.02,
    "wcs_1": 0.02,
    "wcs_2": 0.05,
    "eta_s": 0.5,
    "eta_r": 0.5,
    "p_read": 0.4,
    "dark": 1e-4,
    "tau": 1e-6,
}
BRIGHT_TELEPORTATION = {
    "p_pump": 0.05,
    "eta": 0.8,
    "p_read": 0.6,
    "n_0_A": 0.02,
    "n_0_B": 0.02,
    "n_heat_A": 0.03,
    "n_heat_B": 0.03,
    "wcs_ratio": 2.0,
    "dark": 1e-5,
}


def test_bell_test_from_tags(tmp_path):
    recordings = simulate_protocol(
        "bell2018", tmp_path / "bell.ptu", 3_000_000, seed=1, **BRIGHT_BELL
    )
    assert sorted(path.name for path in tmp_path.glob("*.ptu")) == [
        f"bell_b{b}r{r}.ptu" for b in (1, 2) for r in (1, 2)
    ]
    counts = {
        f"{name[:2]} {name[2:]}": coincidences_of(count(made.path, made.gates))
        for name, made in recordings.items()
    }
    found, model = chsh(counts), point(get("bell2018"), **BRIGHT_BELL)
    total = sum(found.coincidences.values())
    expected = 4 * 3_000_000 * model["P_coinc"]
    # coincidences of one trial in several pairs make the total a little more than Poisson
    assert abs(total - expected) < 4.5 * np.sqrt(expected)
    assert abs(found.S.value - model["S"]) < 4 * found.sigma
    assert found.S.value - 2 > 3 * found.sigma


def test_heralded_autocorrelation_from_tags(tmp_path):
    (made,) = simulate_protocol(
        "single_phonons2017", tmp_path / "g2.ptu", 4_000_000, seed=2, **BRIGHT_PHONONS
    ).values()
    found = count_patterns(made.path, made.gates)
    herald, one, two = ("pump", 1), ("read", 1), ("read", 2)
    estimate = heralded_g2(
        found.all_of(herald, one, two),
        found.all_of(herald, one),
        found.all_of(herald, two),
        found.all_of(herald),
    )
    model = point(get("single_phonons2017"), **BRIGHT_PHONONS)
    sigma = estimate.value / np.sqrt(estimate.coincidences)
    assert estimate.coincidences > 300
    assert abs(estimate.value - model["g2"]) < 4 * sigma
    assert found.counts.single("pump", 2) == 0
    heralds = 4_000_000 * model["P_h"]
    assert abs(found.all_of(herald) - heralds) < 4 * np.sqrt(heralds)


@pytest.mark.parametrize("dephasing", ["none", "gaussian"])
def test_memory_fringe_from_tags(tmp_path, dephasing):
    changes = BRIGHT_MEMORY | {"dephasing": dephasing, "T2": 1.5e-6}
    recordings = simulate_protocol("memory2020", tmp_path / "m.ptu", 1_500_000, seed=3, **changes)
    clicks, heralds = [], []
    for made in recordings.values():
        found = count(made.path, made.gates)
        heralds.append(found.single("pump", 1))
        clicks.append(found.coincidence(("read", 1), ("pump", 1)))
    order = np.argsort(np.divide(clicks, heralds))[::-1]
    bright, dark = (int(clicks[k]) for k in order)
    estimate = visibility(bright, dark, tuple(int(heralds[k]) for k in order))
    model = point(get("memory2020"), **changes)
    sigma = np.sqrt((1 - estimate.value**2) / (bright + dark))
    assert abs(estimate.value - model["V_clicks"]) < 4 * sigma


def test_patterns_of_all_cells_add_up_to_the_counts(tmp_path):
    (made,) = simulate_protocol(
        "single_phonons2017", tmp_path / "g2.ptu", 100_000, seed=4, **BRIGHT_PHONONS
    ).values()
    found = count_patterns(made.path, made.gates)
    pair = ("read", 1), ("read", 2)
    assert found.all_of(*pair) == found.counts.coincidence(*pair)
    assert found.exactly(*pair) + found.all_of(("pump", 1), *pair) == found.all_of(*pair)
    assert (found + found).all_of(*pair) == 2 * found.all_of(*pair)
    with pytest.raises(KeyError, match="no gate 'lock'"):
        found.all_of(("lock", 1), ("read", 1))


def test_same_seed_same_tags(tmp_path):
    for name in ("a", "b"):
        simulate_protocol("bell2018", tmp_path / f"{name}.ptu", 20_000, seed=5, **BRIGHT_BELL)
    first, second = (
        [count(tmp_path / f"{name}_b{b}r1.ptu", _gates()).singles for b in (1, 2)]
        for name in ("a", "b")
    )
    np.testing.assert_array_equal(first, second)


def _gates():
    from simulation.recordings.pulses import pulsed_timing

    return pulsed_timing(delay=200e-9).gates


def test_what_cannot_be_recorded_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`tau` must be at least 6e-08 s"):
        simulate_protocol("memory2020", tmp_path / "m.ptu", 1000)
    with pytest.raises(ValueError, match="must be one of bell2018, memory2020"):
        simulate_protocol("swapping", tmp_path / "m.ptu", 1000)
    with pytest.raises(KeyError, match="no parameter 'eta_x'"):
        simulate_protocol("bell2018", tmp_path / "m.ptu", 1000, eta_x=1)


def test_teleportation_from_tags(tmp_path):
    """Fidelity of each input and their mean; dark clicks come in the recording, not in the model's
    light patterns."""
    trials = 600_000
    made = simulate_protocol(
        "teleportation2021", tmp_path / "t.ptu", trials, seed=4, **BRIGHT_TELEPORTATION
    )
    model = get("teleportation2021").evaluate(
        ["F", "F_mean", "P_herald", "P_read"], **BRIGHT_TELEPORTATION
    )
    assert list(made) == list(INPUTS)
    herald, counts = (("pump", 1), ("pump", 2)), {}
    for k, (name, recording) in enumerate(made.items()):
        found = count_patterns(recording.path, recording.gates)
        heralds = found.all_of(*herald)
        right, wrong = (found.all_of(*herald, ("read", detector)) for detector in (2, 1))
        expected = trials * model["P_herald"][k]
        assert abs(heralds - expected) < 4.5 * np.sqrt(expected), name
        clicks = expected * model["P_read"][k]
        assert abs(right + wrong - clicks) < 4.5 * np.sqrt(clicks), name
        sigma = np.sqrt(model["F"][k] * (1 - model["F"][k]) / clicks)
        assert abs(right / (right + wrong) - model["F"][k]) < 4.5 * sigma, name
        counts[name] = right, wrong
    mean = mean_fidelity(counts, dict.fromkeys(INPUTS, 1 / 6))
    half = (mean.F.high - mean.F.low) / 2
    assert abs(mean.F.value - model["F_mean"]) < 4.5 * half


def test_a_recipe_of_first_order_has_no_patterns_to_record(tmp_path):
    with pytest.raises(ValueError, match="`detection` must be threshold"):
        simulate_protocol("teleportation2021", tmp_path / "t.ptu", 1000, detection="script")
