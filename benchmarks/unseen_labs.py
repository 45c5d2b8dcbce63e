"""Budget, plan, twin and comparison, each tried on virtual labs that the inference never saw.

``python -m benchmarks unseen_labs`` draws two labs at random (`benchmarks.inference_recovery`, at
the paper's collection, all drifts on), dry-runs the autopilot in each, and does then what a user
does: `labkit infer`, `budget`, `plan --posterior`, an experiment in ``twin:FILE``, another night of
the same lab and nights of labs in which one thing has changed (`runs compare --twin`), `replay`.
It compares with the lab as it was while the witness was measured, drifts included, and writes the
tables ``docs/unseen_budget.inc``, ``docs/unseen_plan.inc`` and ``docs/unseen_twin.inc``. It takes
half an hour of processor time.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from math import inf, isnan, nan
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from analysis.cluster import Mapped
from analysis.counts_file import PAIRS, WitnessCounts
from analysis.witness import anytime_test, cells_of
from analysis.yamlfile import parse_yaml, yaml_text
from benchmarks.inference_recovery import fringe_of, random_world, truth_of
from labkit.campaign import read_campaign
from labkit.experiment import Experiment, read_experiment, run_experiment
from labkit.moved import Moved, compare_with
from labkit.planning import ask_model
from labkit.procedures.lock import LockOptions, lock
from labkit.procedures.session import Session
from labkit.procedures.switch_on import SwitchOnOptions, switch_on
from labkit.run import RunFolder, create_run, open_run
from labkit.run.replay import replay_run
from labkit.sequence import PulseSequence
from labkit.station.config import StationFile, read_station_file
from labkit.station.lab import Lab
from labkit.station.opening import open_instruments
from labkit.twin import STILL, twin_station
from simulation.inference.budget import NoiseBudget, noise_budget
from simulation.inference.infer import infer
from simulation.inference.operation import Knobs, Operation
from simulation.inference.planning import ClickRates, Spread
from simulation.inference.posterior import Posterior
from simulation.inference.table import PARAMETERS
from simulation.lab.plant import Plant
from simulation.lab.world import World
from simulation.lab.world_parameters import WorldParameters
from simulation.theory.dlcz import pair_clicks, riedinger2018

Real = NDArray[np.float64]
Values = dict[str, float]
Constants = dict[str, Any]

SEEDS = (903, 904)
"""Of the labs: nobody has looked at them before."""

PAPER, DRAWN = (0.0452, 0.0310), (0.7, 0.55)
"""Collection of the arms: the usual lab's, and about which `random_world` draws."""

WALK = 1e-4
"""Random walk of the polarisations, rad/√s: 0.03 rad in a night of 30 h, as `random_world`'s in an
hour. Five times as much changes the contrast by a fifth, and there is no truth to compare with."""

OPEN = 0.01
"""A pulse's energy at one device over that at the other, and what filters pass, of the witness."""

DOUBLE = ("cos_2theta", "sin_2theta")
"""Names of the fringe's doubled phase, the same at θ and θ + π."""

WITNESS_SECONDS = 1.114e9 * 50e-6
"""Of an autopilot's witness, its last recordings with both arms open."""

CONTINUATIONS = 40
"""Simulated measurements from the truth, until the always-valid claim."""

LOOK = 20_000_000
"""Trials between two looks of these."""

LONGEST = 3e11
"""Trials after which one is given up."""

WEATHER = 0.03
"""Drift of each cell's rate from look to look in these, relative."""

CONFIDENCE = 0.99

SHOWN = (
    "initial_phonons", "pump_heating", "read_heating", "leaks", "darks", "distinguishability",
    "multi_pair",
)  # fmt: skip
"""Rows of the budget that are compared."""

MOVED: Mapping[str, tuple[Constants, tuple[str, ...]]] = {
    "nothing (another night)": ({}, ()),
    "detector 1 sees 30 % less": ({"detection": (0.7, 1.0)}, ("light at detector 1",)),
    "pump laser gives 60 % more": ({"laser_gain": (1.6, 1.0)}, ("energy of the pump",)),
    "detector 2 sees stray light, 60 1/s": (
        {"stray_light_hz": (0.0, 60.0)}, ("background of detector 2",),
    ),
    "fringe turned by 1.2 rad": ({"path_phase": 0.6}, ("phase of the fringe",)),
}  # fmt: skip
"""What moves: constants (`detection` as a factor, `path_phase` as a shift), and words that name it.

θ = 2 φ₀ + …: the fringe turns by twice the path's phase.
"""

BALANCE: dict[str, Any] = {"tolerance": 0.04}
"""Arms that drift by 2 % each are seldom found within the autopilot's 1.5 %, and take long."""

NIGHT: dict[str, Any] = {
    "phase_sweep": {"trials": 50_000_000}, "witness": {"goal": {"trials": 2e8}},
    "null_test": {"trials": 5_000_000},
}  # fmt: skip
"""Options of the shorter nights, beside the autopilot's."""


def constants_of(seed: int) -> Constants:
    """Return a random lab's constants at the paper's collection, all drifts on."""
    found = random_world(np.random.default_rng(seed))
    arms = zip(found["arm_output"], PAPER, DRAWN, strict=True)
    return found | {
        "arm_output": tuple(out * paper / drawn for out, paper, drawn in arms),
        "polarisation_drift": WALK,
    }


class DiaryWorld:
    """A virtual lab (`labkit.station.config.WorldConfig`) that keeps what it really was like."""

    @staticmethod
    @contextmanager
    def start(
        *, seed: int, parameters: Constants, diary: str, last: float, session: int = 1
    ) -> Iterator[World]:
        """Start a world; at its end `as_it_was` of its last seconds of recording is written."""
        with World.start(seed=seed, session=session, parameters=parameters) as world:
            looked = _Look(plant=world.plant)
            world.clock.subscribe(looked)
            yield world
            text = json.dumps(as_it_was(looked.states, last))
        Path(diary).write_text(text, encoding="utf-8")


@dataclass(kw_only=True)
class _Look:
    """Keeps the true values of what is recorded, if that is a pair of pulses in both open arms."""

    plant: Plant
    states: list[tuple[float, Values]] = field(default_factory=list)
    recorded: bool = False

    def __call__(self, begin: float, end: float) -> None:
        plant, before, self.recorded = self.plant, self.recorded, self.plant.recorder.running()
        if not (before or self.recorded):
            return
        point, lock = plant.operating_point(), plant.interferometer
        both_open = point.energy.min(axis=1) > OPEN * point.energy.max(axis=1)
        if not (both_open.all() and point.passage.min() > OPEN):
            return
        noise = float(np.hypot(2 * lock.sigma, point.phase_noise))
        double = np.exp(2j * float(point.theta(lock.phase)))
        found = {
            "contrast": point.contrast * float(np.exp(-0.5 * noise**2)),
            DOUBLE[0]: double.real, DOUBLE[1]: double.imag,
        }  # fmt: skip
        self.states.append((end - begin, truth_of(plant, point) | found))


def as_it_was(states: Sequence[tuple[float, Values]], last: float) -> Values:
    """Return the mean of the last seconds of states; ``theta`` is the fringe's phase, ± π.

    What θ wanders about its mean is taken off the contrast.
    """
    seconds = np.array([time for time, _ in states])
    kept = np.cumsum(seconds[::-1])[::-1] <= last
    weights = seconds * kept / np.sum(seconds * kept)
    mean = {
        name: float(weights @ np.array([values[name] for _, values in states]))
        for name in states[0][1]
    }
    double = complex(*(mean.pop(name) for name in DOUBLE))
    # a normal angle of variance s² leaves e^(−2 s²) of e^(2iθ), and e^(−s²/2) of e^(iθ)
    return mean | {
        "contrast": mean["contrast"] * abs(double) ** 0.25, "theta": float(np.angle(double)) / 2,
    }  # fmt: skip


def station_of(constants: Constants, seed: int, diary: Path | None = None) -> StationFile:
    """Return the virtual lab's station file with other constants.

    Parameters
    ----------
    constants : dict
    seed : int
    diary : Path, optional
        File into which `DiaryWorld` writes what the lab was like.
    """
    file = read_station_file("virtual")
    plain = cast("dict[str, Any]", parse_yaml(file.text, str(file.path)))
    kept = {k: list(v) if isinstance(v, tuple) else v for k, v in constants.items()}
    options: dict[str, Any] = {"seed": seed, "parameters": kept}
    factory = plain["labkit"]["world"]["factory"]
    if diary is not None:
        factory = f"{__name__}.{DiaryWorld.__name__}"
        options |= {"diary": str(diary), "last": WITNESS_SECONDS}
    plain["labkit"]["world"] |= {"factory": factory, "options": options}
    config = file.config
    if config.world is None:
        message = f"{file.path}: must be the virtual lab's, but has no world"
        raise RuntimeError(message)
    world = replace(config.world, factory=factory, options=options)
    return replace(file, text=yaml_text(plain), config=replace(config, world=world))


def experiment(**options: Any) -> Experiment:
    """Return the autopilot's experiment with some options changed, nothing learned at its end."""
    usual, options = read_experiment("autopilot"), {"balance": BALANCE, **options}
    changed = {
        name: {**cast("dict[str, Any]", usual.options.get(name, {})), **more}
        for name, more in options.items()
    }
    return replace(usual, options={**usual.options, **changed}, noise_budget=False)


def measured(what: Experiment, station: StationFile, out: Path) -> RunFolder:
    """Carry out an experiment; a run that is there already and is done is taken."""
    for path in sorted(out.glob("*_autopilot/manifest.json")):
        folder = open_run(path.parent)
        if folder.manifest().status == "done":
            return folder
    return run_experiment(what, station, out).folder


def truth(constants: Constants, arms: tuple[float, float], phase: float) -> Values:
    """Return the inferred parameters' true values, freshly calibrated, nothing drifting.

    Parameters
    ----------
    constants : dict
    arms : tuple of float
        Transmissions of the attenuators.
    phase : float
        Δφ of the sequence, rad.
    """
    file, played = station_of(constants | STILL, 1), sequence().with_read_phase(phase)
    with (
        TemporaryDirectory() as place,
        World.start(seed=1, parameters=constants | STILL) as world,
        open_instruments(file, {**world.addresses, **world.objects}) as instruments,
    ):
        folder = create_run(Path(place), "truth", played.to_dict(), file.text, gates=played.gates)
        session = Session(lab=Lab(file, instruments), folder=folder)
        switch_on(session, played, SwitchOnOptions())
        for arm, passed in zip("ab", arms, strict=True):
            getattr(session.lab, f"attenuator_{arm}").transmission(passed)
        session.arm(played)
        point = world.plant.operating_point()
        found = truth_of(world.plant, point)
        lock(session, played, LockOptions())
        found |= fringe_of(world.plant, point, played, session.lab)
    usual = WorldParameters.of(constants)
    difference = usual.omega_m_hz[1] - usual.omega_m_hz[0]
    held = {"eta_1": float(riedinger2018().eta_1), "delta_omega_hz": difference}
    return dict.fromkeys(PARAMETERS, 0.0) | held | found


def sequence() -> PulseSequence:
    """Return the autopilot's."""
    return read_experiment("autopilot").sequence


def during_the_run(fresh: Values, diary: Path, posterior: Posterior) -> Values:
    """Return the true values while the witness was measured: the plan's and the posterior's."""
    found: Values = json.loads(diary.read_text(encoding="utf-8"))
    phi = found.pop("theta") - posterior.reference.delta_phi
    # θ and θ + π are one in the diary: the one nearer to the fresh lab's
    turns = round((fresh["phi"] - phi) / np.pi)
    return fresh | found | {"phi": phi + turns * np.pi}


def model_of(values: Values, posterior: Posterior) -> Operation:
    """Return the model at known values, played as the posterior says: Δφ is set by its best fit."""
    usual = Operation.of_posterior(posterior)
    arrays = {name: np.asarray(value, np.float64) for name, value in values.items()}
    return replace(usual, values=arrays)


def at_best_phase(values: Values, posterior: Posterior) -> float:
    """Return R_m of known values at their own best phase."""
    own = replace(model_of(values, posterior), best=values)
    return float(np.asarray(own.at(Knobs(theta=0.0)).witness))


def continued(rates: ClickRates, seed: int) -> float:
    """Return the trials until the always-valid claim of one simulated measurement.

    Singles are drawn too and wander; blocks at θ and θ + π take turns, looked at after each pair.
    """
    rng, test, trials = np.random.default_rng(seed), anytime_test(1.0, limits=False), 0
    while trials < LONGEST:
        number = max(LOOK // 2, trials // 80)
        pair = [_block(rates, number, rng, turned=turned) for turned in (False, True)]
        test = test.add(cells_of(*pair))
        trials += 2 * number
        if test.confidence(1.0) >= CONFIDENCE:
            return float(trials)
    return inf


def _block(
    rates: ClickRates, trials: int, rng: np.random.Generator, *, turned: bool
) -> WitnessCounts:
    """Draw a block; at θ + π detectors of the read gate change roles in g²."""
    wander = np.exp(WEATHER * rng.standard_normal(4))
    pump, read = np.array(rates.pump) * wander[:2], np.array(rates.read) * wander[2:]
    found = {}
    for pair in PAIRS:
        i, j = int(pair[1]) - 1, int(pair[3]) - 1
        own = f"r{2 - i}p{j + 1}" if turned else pair
        there = 1 - i if turned else i
        g2 = rates.coincidences[own] / (rates.read[there] * rates.pump[j])
        found[pair] = int(rng.poisson(trials * g2 * read[i] * pump[j]))
    return WitnessCounts(
        trials=trials, pump=_two(rng.poisson(trials * pump)), read=_two(rng.poisson(trials * read)),
        coincidences=found,
    )  # fmt: skip


def _two(clicks: NDArray[np.int64]) -> tuple[int, int]:
    return int(clicks[0]), int(clicks[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """A run compared with the posterior."""

    what: str
    p_value: float
    said: tuple[str, ...]
    named: bool
    alarm: bool
    largest: float

    @classmethod
    def refused(cls, what: str, why: str) -> "Night":
        """Return a night that a procedure ended: noticed, not named."""
        return cls(what=what, p_value=nan, said=(why,), named=False, alarm=True, largest=nan)

    @classmethod
    def of(cls, what: str, words: tuple[str, ...], found: Moved) -> "Night":
        """Arrange a comparison; nothing moved is named by silence."""
        first = found.lab.changes[0].what if found.lab.changes else ""
        named = any(word in first for word in words) if words else not found.lab.moved
        return cls(
            what=what, p_value=found.lab.p_value, said=tuple(found.lab.sentences()), named=named,
            alarm=found.lab.moved,
            largest=max((abs(one.sigmas) for one in found.shifts), default=0.0),
        )  # fmt: skip


def study(seed: int, place: Path, say: Any = print) -> dict[str, Any]:
    """Do with one lab what a user does; return plain types."""
    constants = constants_of(seed)
    diary = place / "as_it_was.json"
    folder = measured(experiment(), station_of(constants, seed, diary), place / "lab")
    campaign, _ = read_campaign([folder.path], riedinger2018())
    posterior = infer(campaign, riedinger2018())
    posterior.save(place / "lab.nc")
    say(f"{seed}: deviance {posterior.deviance:.0f}, p = {posterior.p_value:.2g}")
    fresh = truth(constants, posterior.arms or (1.0, 1.0), posterior.reference.delta_phi)
    real = during_the_run(fresh, diary, posterior)
    best = Knobs(theta=0.0)
    found = {
        "p_value": posterior.p_value,
        "fresh": at_best_phase(fresh, posterior),
        "budget": _budgets(
            noise_budget(Operation.of_posterior(posterior, 200), knobs=best),
            noise_budget(model_of(real, posterior), knobs=best),
        ),
        "plan": plan_of(posterior, real, best),
    }
    say(f"{seed}: {json.dumps(found)}")
    twin = measured(experiment(**NIGHT), twin_station(posterior, seed=seed), place / "twin")
    nights = [Night.of("its twin", (), compare_with(twin, posterior))]
    for what, (moved, words) in MOVED.items():
        changed = station_of(_changed(constants, moved), seed + 1000)
        try:
            run = measured(experiment(**NIGHT), changed, place / what.replace(" ", "_"))
        except RuntimeError as refused:
            nights.append(Night.refused(what, str(refused)))
        else:
            nights.append(Night.of(what, words, compare_with(run, posterior)))
        say(f"{seed}: {nights[-1]}")
    shown = replay_run(folder, place / "shown", speed=1e6)
    blocks = [len(one.journal.read()) for one in (folder, shown)]
    return found | {"nights": [asdict(night) for night in nights], "replayed": blocks}


def _changed(constants: Constants, moved: Constants) -> Constants:
    usual, found = WorldParameters.of(constants), dict(constants)
    for name, value in moved.items():
        if name == "detection":
            value = tuple(a * b for a, b in zip(usual.detection, value, strict=True))
        elif name == "path_phase":
            value = usual.path_phase + value
        found[name] = value
    return found


def _budgets(inferred: NoiseBudget, real: NoiseBudget) -> list[tuple[str, list[float], float]]:
    rows = [("R_m itself", inferred.R_m, real.R_m.median)]
    true = {row.source: row.cost.median for row in real.rows}
    rows += [(r.label, r.cost, true[r.source]) for r in inferred.rows if r.source in SHOWN]
    rows += [("all together", inferred.total, real.total.median)]
    rows += [("interaction", inferred.interaction, real.interaction.median)]
    return [(label, [one.median, one.low, one.high], value) for label, one, value in rows]


def plan_of(posterior: Posterior, real: Values, knobs: Knobs) -> dict[str, Any]:
    """Return trials as planned, and of measurements continued from the truth."""
    rates = ClickRates.of_clicks(pair_clicks(model_of(real, posterior).at(knobs).parameters))[0]
    reached = np.array([continued(rates, seed) for seed in range(CONTINUATIONS)])
    low, median, high = np.quantile(reached, [0.1, 0.5, 0.9], method="inverted_cdf")
    try:
        answer = ask_model(Operation.of_posterior(posterior, 60), knobs, [CONFIDENCE])
    except ValueError:  # R is expected not to lie below its bound: no plan
        spread = Spread(low=inf, median=inf, high=inf)
    else:
        spread = answer.claims[0].spread
    inside = float(np.mean((reached >= spread.low) & (reached <= spread.high)))
    return {
        "planned": [spread.low, spread.median, spread.high],
        "truth": [float(low), float(median), float(high)],
        "inside": inside,
    }  # fmt: skip


def run(scale: float = 1.0, mapped: Mapped[int, dict[str, Any]] = map) -> Iterator[str]:
    """Try `scale` · 2 labs; write the tables."""
    found = {}
    seeds = SEEDS[: max(1, round(len(SEEDS) * scale))]
    for seed, one in zip(seeds, mapped(study_of, seeds), strict=True):
        found[seed] = one
        yield f"lab {seed}: done"
    write(found)


def study_of(seed: int) -> dict[str, Any]:
    """Study one lab in a folder of its own."""
    with TemporaryDirectory() as place:
        return study(seed, Path(place))


def write(found: Mapping[int, dict[str, Any]]) -> None:
    """Write the tables of the docs."""
    docs = Path(__file__).parents[1] / "docs"
    for name, text in (
        ("budget", budget_table(found)), ("plan", plan_table(found)), ("twin", twin_table(found)),
    ):  # fmt: skip
        (docs / f"unseen_{name}.inc").write_text(text, encoding="utf-8")


def budget_table(found: Mapping[int, dict[str, Any]]) -> str:
    """Return costs as inferred and as they were during the run, side by side."""
    head = " | ".join(
        f"lab {seed} (p = {one['p_value']:.2g}): inferred | truth" for seed, one in found.items()
    )
    lines = [f"| cost in R_m at θ = 0 | {head} |", "|---|" + "---|---|" * len(found)]
    for rows in zip(*(one["budget"] for one in found.values()), strict=True):
        cells = (f"{m:.3f} [{lo:.3f}, {hi:.3f}] | {true:.3f}" for _, (m, lo, hi), true in rows)
        lines.append(f"| {rows[0][0]} | {' | '.join(cells)} |")
    fresh = " | ".join(f" | {one['fresh']:.3f}" for one in found.values())
    lines.append(f"| R_m freshly calibrated, at the best phase | {fresh} |")
    return "\n".join(lines) + "\n"


def plan_table(found: Mapping[int, dict[str, Any]]) -> str:
    """Return trials as planned, and of simulated continuations."""
    lines = [
        "| lab | planned: 10 % / half / 90 % done by (10⁹) | continued from the truth | of these "
        "between the planned 10 and 90 % |",
        "|---|---|---|---|",
    ]
    for seed, one in found.items():
        plan = one["plan"]
        planned, true = (" / ".join(_trials(n) for n in plan[k]) for k in ("planned", "truth"))
        lines.append(f"| {seed} | {planned} | {true} | {100 * plan['inside']:.0f} % |")
    return "\n".join(lines) + "\n"


def twin_table(found: Mapping[int, dict[str, Any]]) -> str:
    """Return what `runs compare --twin` said of every night."""
    lines = ["| lab | what has changed | p | first sentence | right |", "|---|---|---|---|---|"]
    for seed, one in found.items():
        for night in one["nights"]:
            right = "yes" if night["named"] else "no"
            p = "–" if isnan(night["p_value"]) else f"{night['p_value']:.1g}"
            lines.append(f"| {seed} | {night['what']} | {p} | {night['said'][0]} | {right} |")
    return "\n".join(lines) + "\n"


def _trials(number: float) -> str:
    return f"{number / 1e9:.2g}" if np.isfinite(number) else "never"
