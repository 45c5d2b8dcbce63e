"""Constants of a world by inverting the model at the paper's settings, put on the ports."""

from dataclasses import replace

import numpy as np
import pytest

from simulation.inference.operation import values_of
from simulation.inference.twin import adjusted, deviations, light_in_gates, memory
from simulation.lab.detector_memory import remembered
from simulation.lab.emission import DetectorClicks
from simulation.lab.world_parameters import WorldParameters
from simulation.theory.dlcz import riedinger2018
from tests.simulation.lab.paper_settings import PaperSettings

GATES = ((0.55e-6, 0.68e-6), (0.68e-6, 0.83e-6))
WANTED = replace(
    riedinger2018(), n_0_A=0.05, n_0_B=0.02, p_pump_A=0.007, p_pump_B=0.009, eta_A=0.05,
    contrast=0.9, leak_read_1=4e-5, dark_1=5e-7, lifetime_A=3.5e-6, n_heat_A=0.09,
    delta_omega_hz=44e6, splitting=0.497,
)  # fmt: skip


@pytest.fixture
def twin(make_lab):
    """Values that are wanted, and a world that was adjusted to them, with its operating point."""
    values = values_of(WANTED)
    quiet = {"laser_drift_hz": 0.0, "filter_drift_hz": 0.0, "phase_drift": 0.0}
    world = WorldParameters(**quiet, phase_drift_rate=0.0)
    for _ in range(3):
        lab = make_lab(world)
        point = lab.plant.operating_point()
        lit = light_in_gates(point, GATES)
        world = adjusted(values, point, lit, PaperSettings().delta_phi, world)
    return values, make_lab(world).plant.operating_point()


def test_world_of_inferred_values_has_them(twin):
    values, point = twin
    now, lit = point.parameters, light_in_gates(point, GATES)
    for x in "AB":
        assert getattr(now, f"n_env_{x}") == pytest.approx(values[f"n_0_{x}"], rel=1e-6)
        assert getattr(now, f"lifetime_{x}") == values[f"lifetime_{x}"]
        # one energy per pulse: what p_read/p_pump differs in is shared by both
        assert getattr(now, f"p_pump_{x}") == pytest.approx(values[f"p_pump_{x}"], rel=0.04)
        assert getattr(now, f"p_read_{x}") == pytest.approx(values[f"p_read_{x}"], rel=0.04)
        assert getattr(now, f"n_heat_{x}") == pytest.approx(
            getattr(WANTED, f"n_heat_{x}"), rel=0.02
        )
    assert now.splitting == 0.497
    assert now.delta_omega_hz == 44e6
    assert point.contrast == pytest.approx(0.9, rel=1e-4)
    theta = float(point.theta(0.0)) - values["phi"] - PaperSettings().delta_phi
    assert np.cos(theta) == pytest.approx(1.0, abs=1e-6)
    products = np.array(
        [
            [
                getattr(now, f"eta_{x}") * getattr(now, f"eta_{j}")
                * (point.passage[:, a, b] * lit[:, b]).mean()
                / (values[f"eta_{x}"] * values[f"eta_{j}"])
                for b, j in enumerate("12")
            ]
            for a, x in enumerate("AB")
        ]
    )  # fmt: skip
    np.testing.assert_allclose(products, 1.0, atol=0.005)
    for j in (1, 2):
        leak = getattr(now, f"leak_read_{j}") * lit[1, j - 1]
        assert leak == pytest.approx(values[f"leak_read_{j}"], rel=0.01)
        assert point.steady_rate[j - 1] == pytest.approx(values[f"dark_rate_{j}"], rel=1e-3)


def test_what_no_world_has_is_named(twin):
    values, point = twin
    lit = light_in_gates(point, GATES)
    told = deviations(values, point, lit)
    assert {"n_prompt_A", "n_prompt_B"} <= set(told)
    wanted, has = told["n_prompt_A"]
    assert wanted == 0.0
    assert has == pytest.approx(0.06 * point.energy[0, 0] / point.energy[1, 0], rel=0.01)
    alike = values | {name: there for name, (_, there) in told.items()}
    assert deviations(alike, point, lit) == {}


def test_settings_without_pulses_have_no_twin(make_lab):
    lab = make_lab()
    lab.wiring.aom_drive[1].drive = None
    point = lab.plant.operating_point()
    with pytest.raises(ValueError, match="a pump and a read pulse"):
        adjusted(values_of(WANTED), point, np.ones((2, 2)), 0.0, WorldParameters())


PUMP, READ = (0.50e-6, 0.56e-6), (0.62e-6, 0.68e-6)


def clicks_at(times, detectors, trials):
    """Clicks of every trial at these times, by these detectors."""
    return DetectorClicks(
        trial=np.tile(np.arange(trials), len(times)),
        time=np.repeat(times, trials),
        detector=np.repeat(detectors, trials).astype(np.uint8),
    )


def in_read(found, detector):
    return int(
        np.sum((found.time >= READ[0]) & (found.time < READ[1]) & (found.detector == detector))
    )


def test_detectors_of_a_twin_remember_as_was_inferred():
    """2e5 pump clicks in the middle of their gate: numbers within 4 σ of the inferred ones."""
    rng, trials = np.random.default_rng(3), 200_000
    wanted = {"afterpulse": 0.02, "crosstalk": 0.005, "blindness": 0.0}
    world = memory(wanted, (PUMP, READ), WorldParameters())
    found = remembered(clicks_at([0.53e-6], [0], trials), world, rng)
    for detector, share in ((0, 0.02), (1, 0.005)):
        sigma = np.sqrt(share * trials)
        assert abs(in_read(found, detector) - share * trials) < 4 * sigma
    blind = memory(wanted | {"afterpulse": 0.0, "crosstalk": 0.0, "blindness": 0.1}, (PUMP, READ),
                   WorldParameters())  # fmt: skip
    found = remembered(clicks_at([0.53e-6, 0.65e-6], [0, 0], 20_000), blind, rng)
    missed = 20_000 - in_read(found, 0)
    assert abs(missed - 2000) < 4 * np.sqrt(2000 * 0.9)


def test_a_read_gate_within_the_dead_time_cannot_have_inferred_memory():
    with pytest.raises(ValueError, match="beyond the detectors' dead time"):
        memory({"afterpulse": 0.01}, (PUMP, (0.51e-6, 0.56e-6)), WorldParameters())
    with pytest.raises(ValueError, match="`afterpulse` must be at most"):
        memory({"afterpulse": 0.9}, (PUMP, READ), WorldParameters())
    assert memory({"n_0_A": 0.1}, (PUMP, READ), WorldParameters()) == WorldParameters()
