"""Whether R_m and the plan inferred from one autopilot run are as certain as they say.

``python -m benchmarks planned_runs`` draws 100 labs (``--scale`` times as many) as
`benchmarks.unseen_labs` does, lets the model make the data of one autopilot run in each, infers,
and plans where entanglement can be shown. Nothing drifts but as the likelihood assumes: what is
tested is the prior, not the virtual lab. It takes ten minutes of processor time;
``docs/planned_runs.inc`` has the result.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist

import numpy as np

from analysis.binomial import share
from analysis.cluster import Mapped
from benchmarks.inference import RATIO, REFERENCE, Planned, Values, simulated
from benchmarks.unseen_labs import model_of, plan_of
from simulation.inference.infer import infer
from simulation.inference.operation import Knobs, Operation
from simulation.inference.table import PARAMETERS
from simulation.theory.dlcz import riedinger2018

LABS = 100

SEED = 20261201

BEST = Knobs(theta=0.0)

CLEAR = 0.9
"""True R_m below which runs are planned: at 1 they take for ever."""

CLOSED = 1e-3
"""What a closed arm passes."""

DRIFT = 0.06
"""As the likelihood counts it: usual of the virtual lab with all drifts on."""

PHASE_ERROR = 0.15
"""Standard deviation of θ at the phase that a sweep takes for the best, rad."""

NEAR: dict[str, tuple[float, float]] = {
    "n_0_A": (0.033, 0.36), "n_0_B": (0.023, 0.51), "lifetime_A": (4e-6, 0.2),
    "lifetime_B": (6e-6, 0.2), "bath_lifetime": (0.5e-6, 0.2), "p_pump_A": (0.0048, 0.34),
    "eta_A": (0.034, 0.15), "eta_B": (0.024, 0.14), "leak_pump_1": (3.4e-6, 0.17),
    "leak_pump_2": (4.4e-6, 0.17), "leak_read_1": (2.7e-5, 0.17), "leak_read_2": (3.5e-5, 0.17),
    "dark_rate_1": (5.7, 0.5), "dark_rate_2": (10.0, 0.5),
}  # fmt: skip
"""Median and standard deviation of ln of what `random_world` makes at the paper's collection."""

PER_PUMP: dict[str, tuple[float, float, float]] = {
    "n_prompt": (0.93, 0.46, 0.64), "b_pump": (24.0, 13.0, 0.47), "n_read": (7.2, 3.6, 0.64),
}  # fmt: skip
"""The same of what goes with the energy, over p_pump: medians of A and B, standard deviation."""


def drawn_lab(rng: np.random.Generator) -> Values:
    """Return the parameters of a lab with balanced arms, and detectors that remember nothing."""
    found = dict.fromkeys(PARAMETERS, 0.0)
    found |= {n: m * float(np.exp(sd * rng.standard_normal())) for n, (m, sd) in NEAR.items()}
    found["p_pump_B"] = found["p_pump_A"] * found["eta_A"] / found["eta_B"]
    for name, (of_a, of_b, sd) in PER_PUMP.items():
        for x, median in (("A", of_a), ("B", of_b)):
            heat = median * found[f"p_pump_{x}"] * float(np.exp(sd * rng.standard_normal()))
            found[f"{name}_{x}"] = heat
    for x in "AB":
        found[f"p_read_{x}"] = -float(np.expm1(-np.log1p(found[f"p_pump_{x}"]) * RATIO))
    preset = riedinger2018()
    return found | {
        "eta_1": float(preset.eta_1), "eta_2": 0.8, "delta_omega_hz": 45e6,
        "splitting": 0.5 + 0.005 * float(rng.standard_normal()),
        "leak_share": NormalDist().cdf(0.41 + 0.37 * float(rng.standard_normal())),
        "contrast": 0.996 * float(np.cos(rng.uniform(0.0, 0.9)) ** 2),
        "phi": PHASE_ERROR * float(rng.standard_normal()) - REFERENCE.delta_phi,
    }  # fmt: skip


def autopilot_plan() -> list[Planned]:
    """Return what an autopilot measures that `infer` reads, with its trials."""
    found: list[Planned] = []
    for x, arms in (("A", (1.0, CLOSED)), ("B", (CLOSED, 1.0))):
        alone = replace(REFERENCE, e_pump=arms, e_read=arms)
        found.append((f"splitting {x}", alone, 3.2e7, "pr"))
        found.append((f"splitting {x}", replace(alone, on_line=False), 1e7, "pr"))
    closed = replace(REFERENCE, e_pump=(CLOSED, CLOSED), e_read=(CLOSED, CLOSED))
    found.append(("stray_light", replace(REFERENCE, on_line=False), 1e7, "pr"))
    found.append(("stray_light", closed, 1e7, "pr"))
    found.append(("null_test", replace(REFERENCE, on_line=False), 6e6, "dim"))
    found.append(("null_test", replace(REFERENCE, on_line=False), 2e6, "bright"))
    sweep, best = np.linspace(0.0, 2 * np.pi, 9).tolist(), REFERENCE.delta_phi
    for name, phases, trials in (
        ("phase_sweep", sweep, 1e8), ("witness", [best, best + np.pi], 5.57e8),
    ):  # fmt: skip
        found += [(name, replace(REFERENCE, delta_phi=phi), trials, "pr") for phi in phases]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """One lab.

    Attributes
    ----------
    R_m : float
        True, at the Δφ that the posterior holds for the best.
    rank : float
        Part of the posterior's draws with a smaller one.
    ratio : float or None
        Planned trials over those it takes from the truth, both medians; None: not planned.
    inside : float or None
        Part of the measurements from the truth that end within the plan's 10 to 90 %.
    """

    R_m: float
    rank: float
    ratio: float | None = None
    inside: float | None = None


def planned_run(seed: int) -> PlannedRun:
    """Draw a lab, simulate one autopilot run in it, infer and plan."""
    rng = np.random.default_rng([SEED, seed])
    lab = drawn_lab(rng)
    posterior = infer(simulated(lab, autopilot_plan(), rng, DRIFT), riedinger2018(), seed=seed)
    true = float(np.asarray(model_of(lab, posterior).at(BEST).witness))
    found = Operation.of_posterior(posterior, posterior.size).at(BEST).witness
    one = PlannedRun(R_m=true, rank=float(np.mean(found < true)))
    if true >= CLEAR:
        return one
    plan = plan_of(posterior, lab, BEST)
    return replace(one, ratio=plan["planned"][1] / plan["truth"][1], inside=plan["inside"])


def run(scale: float = 1.0, mapped: Mapped[int, PlannedRun] = map) -> Iterator[str]:
    """Try `scale` · 100 labs; write the table."""
    found = []
    for seed, one in enumerate(mapped(planned_run, range(max(1, round(LABS * scale))))):
        found.append(one)
        yield f"lab {seed}: {one}"
    path = Path(__file__).parents[1] / "docs" / "planned_runs.inc"
    path.write_text(table(found), encoding="utf-8")


def table(found: Sequence[PlannedRun]) -> str:
    """Return how often R_m's intervals hold the truth, and plans come true."""
    lines = [
        "| true R_m | labs | in the 68 % interval | in the 95 % one | median too large | plan's "
        "median within a factor 2 | within the plan's 10 to 90 % |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, below in (("any", np.inf), (f"below {CLEAR:g}", CLEAR)):
        mine = [one for one in found if one.R_m < below]
        off = np.abs(np.array([one.rank for one in mine]) - 0.5)
        large = sum(one.rank < 0.5 for one in mine)
        hits = [int(np.sum(off <= 0.34)), int(np.sum(off <= 0.475)), large]
        cells = [name, str(len(mine)), *(_share(hit, len(mine)) for hit in hits)]
        planned = [one for one in mine if one.inside is not None and one.ratio is not None]
        if len(planned) == len(mine) > 0:
            near = sum(0.5 <= (one.ratio or 0.0) <= 2 for one in planned)
            inside = np.mean([one.inside or 0.0 for one in planned])
            cells += [_share(near, len(planned)), f"{100 * inside:.0f} %"]
        else:
            cells += ["", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _share(hits: int, total: int) -> str:
    if not total:
        return "–"
    between = share(hits, total, 0.95)
    return f"{100 * hits / total:.0f} % [{100 * between.low:.0f}, {100 * between.high:.0f}]"
