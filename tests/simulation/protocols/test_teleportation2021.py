"""Teleportation: 40-digit reference values of the exact model and of the public script's recipe."""

import pytest

from simulation.theory.models import point
from simulation.theory.protocols.teleportation2021 import MODEL

SCRIPT = {"angles": "script", "heating": "amplifier", "detection": "script"}
AMPLIFIER = {"angles": "script", "heating": "amplifier"}

FIDELITIES = [
    (SCRIPT, 0.720492701724, 0.847445634090, 0.713822480202, 0.737204709437),
    (AMPLIFIER, 0.719892486680, 0.846588130706, 0.712895207449, 0.736343574530),
    ({"angles": "script"}, 0.733772556978, 0.830709203934, 0.709070563003, 0.733460668821),
    ({}, 0.734012933853, 0.830998807942, 0.709028772442, 0.733521138594),
    ({"wcs_ratio": 0.5}, 0.542212344663, 0.612124565314, 0.575791389237, 0.576250411154),
    ({"wcs_ratio": 2}, 0.645707541790, 0.730553625713, 0.674214068928, 0.678852907202),
    ({"wcs_ratio": 20}, 0.779351889661, 0.882356865506, 0.648961547074, 0.709592490577),
    (
        SCRIPT | {"wcs_ratio": 2},
        0.6248112367,
        0.7523593954,
        0.6762347170,
        0.6803515834,
    ),
]


@pytest.mark.parametrize(("changes", "h", "v", "d", "mean"), FIDELITIES)
def test_fidelities_are_those_of_40_digits(changes, h, v, d, mean):
    found = point(MODEL, **changes)
    assert found["F"] == pytest.approx([h, v, d, d, d, d], rel=2e-10)
    assert found["F_mean"] == pytest.approx(mean, rel=2e-10)


@pytest.mark.parametrize(
    ("changes", "mean"),
    [
        ({"wcs_ratio": 20}, 0.7140698162),
        ({"lifetime_A": 5e-6, "lifetime_B": 5e-6}, 0.7393691059),
        ({"lifetime_A": 0.3e-6, "lifetime_B": 0.3e-6}, 0.7209167032),
    ],
)
def test_means_of_the_script_recipe(changes, mean):
    assert point(MODEL, **SCRIPT, **changes)["F_mean"] == pytest.approx(mean, rel=2e-10)


@pytest.mark.parametrize(
    ("changes", "h", "d", "read"),
    [
        (AMPLIFIER, 9.149688684e-7, 2.139429527e-6, 0.001368944615),
        ({"angles": "script"}, 9.149688684e-7, 2.139429527e-6, 0.001234063550),
        ({}, 9.108784744e-7, 2.135318620e-6, 0.001242424988),
    ],
)
def test_heralds_and_reads(changes, h, d, read):
    found = point(MODEL, **changes)
    assert found["P_herald"][0] == pytest.approx(h, rel=5e-10)
    assert found["P_herald"][2] == pytest.approx(d, rel=5e-10)
    assert found["P_read"][2] == pytest.approx(read, rel=5e-10)


@pytest.mark.parametrize(
    ("changes", "visibility", "high", "low"),
    [
        (SCRIPT, 0.727421808938, 6.55398710138, 1.03418513017),
        (AMPLIFIER, 0.723466784980, 6.44113054119, 1.03349049279),
        ({}, 0.716014626744, 6.20068445046, 1.02615890370),
    ],
)
def test_entanglement_fringe(changes, visibility, high, low):
    found = point(MODEL, **changes)
    assert found["fringe_visibility"] == pytest.approx(visibility, rel=1e-11)
    assert [found["g2_max"], found["g2_min"]] == pytest.approx([high, low], rel=1e-11)


def test_events_and_hours_to_two_sigma_of_the_script_recipe():
    found = point(MODEL, **SCRIPT)
    assert found["events"] == [279, 16, 368]
    hours = [seconds / 3600 for seconds in found["time"]]
    assert hours == pytest.approx([266.758, 14.1159, 253.685], rel=2e-6)


def test_different_ports_need_a_pi_phase_on_the_read():
    bare = point(MODEL, ports="different", **SCRIPT)["F"]
    assert bare[2:] == pytest.approx([1 - 0.713822480202] * 4, rel=1e-4)
    corrected = point(MODEL, ports="different", phi_correction=3.141592653589793, **SCRIPT)["F"]
    assert corrected == pytest.approx(point(MODEL, **SCRIPT)["F"], rel=1e-12)


def test_a_sweep_equals_its_points():
    ratios = [0.5, 2.0, 20.0]
    together = MODEL.evaluate(["F_mean"], wcs_ratio=ratios)["F_mean"]
    alone = [point(MODEL, wcs_ratio=ratio)["F_mean"] for ratio in ratios]
    assert together == pytest.approx(alone, rel=1e-12)


def test_a_g2_that_heating_cannot_explain_is_refused():
    with pytest.raises(ValueError, match=r"`g_A` must be at most .*give `n_heat_A`"):
        point(MODEL, g_A=60.0)
