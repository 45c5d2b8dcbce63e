"""Recovery: whether `labkit infer` finds the parameters of virtual labs drawn at random.

``python -m benchmarks inference_recovery`` measures a campaign in each of 10 virtual labs
(``--scale`` times as many) with all drifts on, infers, and compares with the world. The labs
collect twenty times the paper's light, so that a campaign is an hour of virtual time and half a
minute of processor time; their drifts keep their own pace. Results go to
``benchmarks/inference.json``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.cluster import Mapped
from benchmarks.inference_tables import keep
from labkit import __version__
from labkit.campaign import read_campaign
from labkit.experiment import read_experiment
from labkit.procedures.g2 import G2Options, g2_of_device
from labkit.procedures.lock import LockOptions, lock
from labkit.procedures.phase_sweep import PhaseSweepOptions, phase_sweep
from labkit.procedures.pump_probe import PumpProbeOptions, pump_probe
from labkit.procedures.session import DEVICES, Session
from labkit.procedures.splitting import SplittingOptions, splitting
from labkit.procedures.stray_light import StrayLightOptions, stray_light
from labkit.procedures.switch_on import SwitchOnOptions, switch_on
from labkit.procedures.thermometry import ThermometryOptions, thermometry
from labkit.procedures.witness import WitnessOptions, witness
from labkit.run import Goal, create_run
from labkit.sequence import PulseSequence
from labkit.station.config import read_station_file, station_path
from labkit.station.lab import Lab
from labkit.station.opening import open_instruments
from simulation.inference.infer import infer
from simulation.inference.posterior import Posterior
from simulation.lab.operating_point import OperatingPoint
from simulation.lab.plant import Plant
from simulation.lab.world import World
from simulation.lab.world_parameters import WorldParameters
from simulation.theory.dlcz import riedinger2018

Real = NDArray[np.float64]
Values = dict[str, float]
Work = Callable[[Session, PulseSequence], object]

SEEDS = range(5001, 5021, 2)
"""Of the labs: none of them was looked at while the model was made."""

PART = 0.4
"""Of a campaign's usual trials that is measured."""

STRONG = 0.536
"""AOM level of a pump of five times the witness's energy."""

PRIORS = {"eta_A": (0.5, 1.0), "eta_B": (0.4, 1.0), "leak_pump_1": (8e-5, 1.5),
          "leak_pump_2": (8e-5, 1.5), "leak_read_1": (6e-4, 1.5), "leak_read_2": (6e-4, 1.5),
          "delta_omega_hz": (45e6, 0.9)}  # fmt: skip
"""What somebody thinks who knows that these labs are bright."""

DRIFTS: dict[str, Any] = {"arm_drift": 0.02, "power_drift": 0.05, "splitting_drift": 0.005,
                          "polarisation_drift": 5e-4}  # fmt: skip
"""Beside the drifts of filters, lasers and fibres that every virtual lab has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """One virtual lab.

    Attributes
    ----------
    truth, low68, high68, low95, high95 : dict of str to float
        By parameter that was declared determined.
    undetermined : tuple of str
    deviance, p_value : float
    numbers : int
        Of counts compared.
    drift : tuple of float
        Median and ends of the 68 % interval.
    """

    truth: Values
    low68: Values
    high68: Values
    low95: Values
    high95: Values
    undetermined: tuple[str, ...]
    deviance: float
    p_value: float
    numbers: int
    drift: tuple[float, float, float]

    def inside(self, name: str, level: int) -> bool:
        """Tell whether the 68 % or 95 % interval of a parameter holds the truth."""
        low, high = (self.low68, self.high68) if level == 68 else (self.low95, self.high95)
        return low[name] <= self.truth[name] <= high[name]


def random_world(rng: np.random.Generator) -> dict[str, Any]:
    """Return constants of a virtual lab drawn at random, all drifts on."""

    def near(value: float, spread: float) -> float:
        return float(value * np.exp(spread * rng.standard_normal()))

    def both(pair: tuple[float, float], spread: float) -> tuple[float, float]:
        return near(pair[0], spread), near(pair[1], spread)

    usual = WorldParameters()
    return DRIFTS | {
        "arm_output": (min(near(0.7, 0.15), 0.95), min(near(0.55, 0.15), 0.95)),
        "excess_phonons": (near(0.0156, 0.4), near(0.005, 0.4)),
        "temperature": near(0.06, 0.15),
        "lifetime": both(usual.lifetime, 0.2),
        "bath_lifetime": near(usual.bath_lifetime, 0.2),
        "prompt_heating": both(usual.prompt_heating, 0.5),
        "bath_heating": both(usual.bath_heating, 0.3),
        "g_0_hz": both(usual.g_0_hz, 0.2),
        "splitting": float(0.5 + 0.005 * rng.standard_normal()),
        "detector_dark_hz": both(usual.detector_dark_hz, 0.5),
        "path_phase": float(rng.uniform(-1.5, 1.5)),
        "polarisation_angle": float(rng.uniform(0.0, 0.9)),
    }


def recover(seed: int, scale: float = 1.0) -> Recovered:
    """Measure a campaign in a random virtual lab and compare the posterior with the world."""
    rng = np.random.default_rng(seed)
    with TemporaryDirectory() as folder:
        runs, truth = campaign(Path(folder), random_world(rng), seed, scale)
        data, _ = read_campaign(runs, riedinger2018())
    posterior = infer(data, riedinger2018(), changes=PRIORS, seed=seed)
    return compared(posterior, truth)


def compared(posterior: Posterior, truth: Values) -> Recovered:
    """Return the intervals of all determined parameters beside the truth."""
    turns = np.round((truth["phi"] - np.median(posterior.draws["phi"])) / (2 * np.pi))
    truth = truth | {"phi": truth["phi"] - 2 * np.pi * float(turns)}
    names = [n for n in truth if posterior.determined(n)]
    bounds: list[Values] = [{}, {}, {}, {}]
    for name in names:
        quantiles = np.quantile(posterior.draws[name], [0.16, 0.84, 0.025, 0.975])
        for bound, value in zip(bounds, quantiles, strict=True):
            bound[name] = float(value)
    return Recovered(
        truth={name: truth[name] for name in names},
        low68=bounds[0], high68=bounds[1], low95=bounds[2], high95=bounds[3],
        undetermined=tuple(posterior.undetermined), deviance=posterior.deviance,
        p_value=posterior.p_value, numbers=sum(check.numbers for check in posterior.checks),
        drift=posterior.interval("drift"),
    )  # fmt: skip


def campaign(
    out: Path, constants: dict[str, Any], seed: int, scale: float = 1.0
) -> tuple[list[Path], Values]:
    """Measure in a virtual lab through its instruments; return the runs and the truth."""
    file = read_station_file(station_path("virtual"))
    sequence = read_experiment("autopilot").sequence
    world = World.start(seed=seed, parameters=constants)
    runs: list[Path] = []

    def n(trials: float) -> int:
        return max(round(trials * scale), 20)

    with world, open_instruments(file, {**world.addresses, **world.objects}) as instruments:
        lab = Lab(file, instruments)

        def take(kind: str, played: PulseSequence, work: Work) -> None:
            folder = create_run(
                out, kind, {"sequence": played.to_dict()}, file.text, gates=played.gates
            )
            work(Session(lab=lab, folder=folder), played)
            manifest = replace(folder.manifest(), status="done", snapshot_after=lab.snapshot())
            folder.write_manifest(manifest)
            runs.append(folder.path)

        def begin(session: Session, played: PulseSequence) -> None:
            switch_on(session, played, SwitchOnOptions())
            session.arm(played)

        take("switch_on", sequence, begin)
        point = world.plant.operating_point()
        truth = truth_of(world.plant, point)
        for kind, played, work in _plan(sequence, n):
            take(kind, played, work)
        truth |= fringe_of(world.plant, point, sequence, lab)
    return runs[1:], truth


def _plan(
    sequence: PulseSequence, n: Callable[[float], int]
) -> Iterator[tuple[str, PulseSequence, Work]]:
    yield (
        "splitting",
        sequence,
        lambda s, q: splitting(
            s, q, SplittingOptions(trials=n(2e6), leak_trials=n(2e6), pump_trials=0, rounds=2)
        ),
    )
    yield (
        "stray_light",
        sequence,
        lambda s, q: stray_light(s, q, StrayLightOptions(trials=n(4e6), bright_trials=n(1e5))),
    )
    strong = sequence.without_pulse("lock").with_pulse("pump", level=STRONG)
    delays = tuple(float(t) for t in np.round(np.geomspace(0.1e-6, 7.3e-6, 8), 9))
    for d in DEVICES:
        yield (
            "g2",
            sequence,
            lambda s, q, d=d: g2_of_device(
                s, q, G2Options(device=d, trials=n(1e7), block=n(2.5e6))
            ),
        )
        yield (
            "thermometry",
            sequence,
            lambda s, q, d=d: thermometry(
                s, q, ThermometryOptions(device=d, trials=n(1.2e7), rounds=2)
            ),
        )
        yield (
            "pump_probe",
            strong,
            lambda s, q, d=d: pump_probe(
                s, q, PumpProbeOptions(device=d, trials=n(3e6), rounds=2, delays=delays)
            ),
        )

    def sweep(session: Session, played: PulseSequence) -> None:
        lock(session, played, LockOptions())
        phase_sweep(session, played, PhaseSweepOptions(points=8, trials=n(1.2e6)))

    yield "phase_sweep", sequence, sweep
    yield (
        "witness",
        sequence,
        lambda s, q: witness(s, q, WitnessOptions(goal=Goal(trials=n(1.6e7)), block=n(2e6))),
    )


def truth_of(plant: Plant, point: OperatingPoint) -> Values:
    """Return the inferred parameters of a world at its settings now, but for the fringe."""
    world, at = plant.constants, point.parameters
    found: Values = {"bath_lifetime": world.bath_lifetime, "splitting": world.splitting}
    leaks = []
    for x, arm in enumerate("AB"):
        pump, read = (float(energy) for energy in point.energy[:, x])
        prompt = pump * world.prompt_heating[x]
        found |= {
            f"n_0_{arm}": getattr(at, f"n_0_{arm}") - prompt, f"n_prompt_{arm}": prompt,
            f"b_pump_{arm}": pump * world.bath_heating[x],
            f"n_read_{arm}": read * world.prompt_heating[x],
        }  # fmt: skip
        found |= {f"{n}_{arm}": getattr(at, f"{n}_{arm}") for n in ("p_pump", "p_read", "lifetime")}
        leaks.append(read * world.arm_output[x])
    found |= {n: getattr(at, n) for n in ("leak_pump_1", "leak_pump_2", "leak_read_1",
                                          "leak_read_2")}  # fmt: skip
    found |= {f"dark_rate_{j + 1}": float(point.steady_rate[j]) for j in (0, 1)}
    found["leak_share"] = leaks[0] / sum(leaks)
    held = float(riedinger2018().eta_1)
    passage = point.passage.mean(axis=0)
    detector = np.array([at.eta_1, at.eta_2])
    for x, arm in enumerate("AB"):
        found[f"eta_{arm}"] = float(getattr(at, f"eta_{arm}") * detector[0] * passage[x, 0] / held)
    found["eta_2"] = float(
        held * detector[1] / detector[0] * (passage[:, 1] / passage[:, 0]).mean()
    )
    return found


def fringe_of(plant: Plant, point: OperatingPoint, sequence: PulseSequence, lab: Lab) -> Values:
    """Return phase and contrast of the locked fringe."""
    lab.arm(sequence)
    plant.clock.advance(1.0)
    own = plant.interferometer
    now = plant.operating_point()
    noise = float(np.hypot(2 * own.sigma, now.phase_noise))
    turned = float(now.theta(own.phase)) - sequence.pulse("read").phase
    contrast = 0.5 * (point.contrast + now.contrast) * float(np.exp(-0.5 * noise**2))
    return {"phi": float(np.pi - np.mod(np.pi - turned, 2 * np.pi)), "contrast": contrast}


def run(scale: float = 1.0, mapped: Mapped[int, Recovered] = map) -> Iterator[str]:
    """Recover `scale` · 10 labs; keep the results."""
    found: dict[str, dict[str, Any]] = {}
    number = max(1, round(len(SEEDS) * scale))
    seeds = [SEEDS.start + SEEDS.step * place for place in range(number)]
    for seed, one in zip(seeds, mapped(partial(recover, scale=PART), seeds), strict=True):
        found[str(seed)] = _plain(one)
        hit = sum(one.inside(name, 68) for name in one.truth)
        yield (
            f"recovery: lab {seed}: {hit} of {len(one.truth)} truths in 68 % intervals, deviance "
            f"{one.deviance:.0f} of {one.numbers}, p = {one.p_value:.2g}"
        )
        keep("recovery", {"version": __version__, "labs": found})


def _plain(one: Recovered) -> dict[str, Any]:
    return {name: getattr(one, name) for name in Recovered.__dataclass_fields__}
