"""A dry run in the twin of inferred values gives what the model expects of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labkit.cli import run as labkit
from labkit.experiment import read_experiment
from labkit.procedures.lock import LockOptions, lock
from labkit.procedures.session import Session
from labkit.procedures.switch_on import SwitchOnOptions, switch_on
from labkit.run import create_run
from labkit.station.config import read_station_file
from labkit.station.lab import Lab
from labkit.station.opening import open_instruments
from labkit.twin import (
    STILL,
    reference_sequence,
    settled,
    station_named,
    station_of_values,
    what_differs,
)
from simulation.inference.operation import values_of
from simulation.inference.posterior import Posterior, Sampler
from simulation.inference.setting import Setting, parameters_at
from simulation.lab.world import World
from simulation.lab.world_parameters import WorldParameters
from simulation.theory.dlcz import measurable_witness, pair_clicks, riedinger2018

SEQUENCE = read_experiment("autopilot").sequence
TRIALS = 12_000_000
BRIGHT = replace(
    riedinger2018(), eta_A=0.6, eta_B=0.45, n_0_A=0.05, n_0_B=0.03, contrast=0.93, n_heat_B=0.06,
    leak_read_1=6e-4, leak_read_2=7e-4, leak_pump_1=9e-5, leak_pump_2=1e-4, delta_omega_hz=44e6,
)  # fmt: skip
"""Twenty times the collection of the paper, so that a block of 4 million trials tells something."""


def measured(station, sequence, phases, folder: Path):
    """Counts of blocks at these phases of the read pulse, the interferometer locked."""
    options = station.config.world.options
    parameters = dict(options["parameters"]) | STILL
    found = []
    with (
        World.start(seed=options["seed"], parameters=parameters) as world,
        open_instruments(station, {**world.addresses, **world.objects}) as instruments,
    ):
        run = create_run(folder, "witness", {}, station.text, gates=sequence.gates)
        session = Session(lab=Lab(station, instruments), folder=run)
        switch_on(session, sequence, SwitchOnOptions())
        lock(session, sequence, LockOptions())
        for phase in phases:
            played = sequence.with_read_phase(phase)
            block = session.measure(played, TRIALS, {"delta_phi": phase})
            assert block.good, block.reason
            found.append(block.counts)
    return found


def ratio(pairs, singles):
    """Mean R_m of both heralds, of pairs (..., read, pump) and singles p1, p2, r1, r2."""
    g2 = TRIALS * pairs / (singles[2:, None] * singles[None, :2])
    return measurable_witness(g2).mean(axis=-1)


@pytest.mark.long
def test_dry_run_in_a_twin_gives_the_rates_the_sweep_and_the_witness(tmp_path):
    """Singles within 1 % and 4 σ; coincidences of a sweep, and R_m at its best phase, in 4 σ."""
    values, sequence = values_of(BRIGHT), SEQUENCE
    for x in "AB":  # as much per energy as the read pulse, which is 7.4 times the pump's
        values[f"n_prompt_{x}"] = values[f"n_read_{x}"] / 7.4
    station = station_of_values(values, sequence, seed=5)
    assert not [text for text in what_differs(station, values, sequence) if "n_prompt" in text]
    delay = float(sequence.delay)
    best = -values["phi"] % (2 * np.pi)
    phases = [float(best + turn) for turn in (0.0, np.pi / 2, np.pi, 3 * np.pi / 2)]
    found = measured(station, sequence, phases, tmp_path)
    ratios, spreads, pulls = [], [], []
    for phase, counts in zip(phases, found, strict=True):
        expected = pair_clicks(
            parameters_at(values, Setting(delay=delay, delta_phi=phase), reference_delay=delay)
        )
        singles = counts.singles.reshape(4)
        miss = singles - TRIALS * expected.singles
        assert np.all(np.abs(miss) < 0.01 * TRIALS * expected.singles + 4 * np.sqrt(singles))
        pairs, mean = counts.pairs[2:, :2], TRIALS * expected.coincidences
        pulls.append((pairs - mean) / np.sqrt(mean + (0.02 * mean) ** 2))
        ratios.append((ratio(pairs, singles), ratio(mean, TRIALS * expected.singles)))
        luck = np.random.default_rng(1).poisson(mean, (2000, 2, 2))
        spreads.append(ratio(luck, singles).std())
    pulls = np.array(pulls)
    assert np.all(np.abs(pulls) < 4.5)
    assert np.sum(pulls**2) < 16 + 4 * np.sqrt(32)
    mine, model = ratios[0]
    assert model < 1
    assert abs(mine - model) < 4 * spreads[0]


def test_twin_is_as_inferred_at_the_attenuators_that_belong_to_it():
    """Twice as open, arm B has twice the energy; scattering goes with its exponential, to 1 %."""
    values, arms = values_of(BRIGHT), (1.0, 0.42)
    station = station_of_values(values, SEQUENCE, arms=arms)
    world = WorldParameters.of(station.config.world.options["parameters"])
    for passed, energy in ((0.42, 1.0), (0.84, 2.0)):
        with settled(station, SEQUENCE, world, (1.0, passed)) as point:
            found = float(point.parameters.p_pump_B)
        assert found == pytest.approx(np.expm1(energy * np.log1p(values["p_pump_B"])), rel=0.01)


def test_station_of_a_twin_must_be_a_posterior(tmp_path):
    assert station_named("virtual") == "virtual"
    with pytest.raises(OSError, match=r"nowhere\.nc"):
        station_named(f"twin:{tmp_path / 'nowhere.nc'}")
    with pytest.raises(ValueError, match="must end in the number of a draw, but ends in 'x'"):
        station_named("twin:a.nc#x")
    real = read_station_file("example")
    with pytest.raises(ValueError, match="a twin needs a virtual lab's"):
        station_of_values(values_of(BRIGHT), SEQUENCE, station=real.path)


@pytest.mark.long
def test_command_writes_the_station_of_a_draw(tmp_path):
    values = values_of(BRIGHT)
    draws = {name: np.array([value, value]) for name, value in values.items()}
    draws["n_0_A"] = np.array([0.05, 0.08])
    posterior = Posterior(
        draws=draws, prior=draws, best=values, free=("n_0_A",), covariance=np.eye(1),
        undetermined={}, deviance=0.0, p_value=0.5,
        sampler=Sampler(ess=2.0, draws=2, fallback=False, seed=1, seconds=0.0),
        preset="riedinger2018", reference=Setting(delay=123e-9), levels={"pump": 0.2},
        runs=(), observed={}, drift=0.0,
    )  # fmt: skip
    assert reference_sequence(posterior).pulse("pump").level == 0.2
    path, out = tmp_path / "lab.nc", tmp_path / "twin.yaml"
    posterior.save(path)
    written = ["lab", "start", "--twin", str(path), "--draw", "1", "--write", str(out)]
    assert labkit(written) == 0
    station = read_station_file(out)
    world = station.config.world.options["parameters"]
    rest = 1 / np.expm1(6.62607015e-34 * 5.101e9 / (1.380649e-23 * 0.060))
    assert world["excess_phonons"][0] == pytest.approx(0.08 - rest, abs=2e-4)
    with pytest.raises(ValueError, match="draw must be 0 to 1, but is 7"):
        station_named(f"twin:{path}#7")
