"""Calibration of the statistics: how often intervals cover, and how often claims are wrong.

``python -m benchmarks calibration`` draws counts of known states, writes what came out with seed
and version to `DATA`, and the page `PAGE` from it.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

import labkit
from analysis.cluster import Mapped
from analysis.evidence import total_of
from analysis.witness import (
    AnytimeTest,
    anytime_test,
    cells_of,
    ratio_estimate,
    symmetrised_witness,
)
from analysis.witness.conditions import (
    crossed_exceeds_same,
    fringe_of_scan,
    fringe_of_turn,
    null_shuffled,
)
from analysis.witness.laser_light import null_laser_only
from analysis.witness.profile import fixed_sample_confidence, least_fixed_sample_statistic
from benchmarks.published import published
from benchmarks.red_team import PUMP, READ, Lab, boundary, light, turning

SEED = 20261128
DATA = Path(__file__).with_name("calibration.json")
PAGE = Path(__file__).parents[1] / "docs" / "calibration.md"
LEVELS = (0.95, 0.99, 0.999)
COUNTS = (2.5, 12.0, 37.0, 137.0, 1234.0)
"""Coincidences per herald."""
SEPARABLE = 1.2
"""g² of the same detector of the separable state with R = 1."""

Table = dict[str, Any]


def run(scale: float = 1.0, mapped: Mapped[str, object] = map) -> Iterator[str]:
    """Measure everything, `scale` times the usual number of runs; write data and page."""
    found: Table = {"seed": SEED, "version": labkit.__version__, "scale": scale}
    for name, rows in zip(PARTS, mapped(partial(measured_part, scale=scale), PARTS), strict=True):
        found[name] = rows
        yield f"calibration: {name} done"
    DATA.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(page(found), encoding="utf-8")
    yield f"calibration: {PAGE.name} written"


def measured_part(name: str, scale: float) -> object:
    """Measure one part, by its own seed."""
    return PARTS[name](np.random.default_rng([SEED, list(PARTS).index(name)]), scale)


def _runs(number: int, scale: float) -> int:
    return max(10, round(number * scale))


def _at(state: Lab, per_herald: float) -> Lab:
    """Return a laboratory that expects so many coincidences per herald in one turn."""
    rate = float((np.outer(state.read, state.pump) * state.theta).sum()) / 2.0
    return Lab(theta=state.theta, pi=state.pi, trials=round(per_herald / rate))


def coverage(rng: np.random.Generator, scale: float) -> list[Table]:
    """68 % intervals of R (profile likelihood) and of R_m as published."""
    rows: list[Table] = []
    for state in (turning(light(1.18, 7.8)), turning(boundary(SEPARABLE))):
        truth = float(symmetrised_witness(state.theta[0, 0], state.theta[0, 1]))
        for per_herald in COUNTS:
            lab, inside, covered = _at(state, per_herald), 0, 0
            ours, theirs = _runs(400, scale), _runs(2000, scale)
            for _ in range(ours):
                found = ratio_estimate(cells_of(lab.counts(lab.theta, lab.trials, rng=rng)))
                inside += found.low <= truth <= found.high
            for _ in range(theirs):
                sym = published(lab.counts(lab.theta, lab.trials, rng=rng))
                covered += sym.low <= truth <= sym.high
            rows.append(
                {
                    "R": truth, "counts": per_herald, "profile": [inside, ours],
                    "published": [covered, theirs],
                }
            )  # fmt: skip
    return rows


def single_look(rng: np.random.Generator, scale: float) -> list[Table]:
    """Count false claims of one look at a separable state after a fixed number of trials."""
    rows: list[Table] = []
    for per_herald in COUNTS:
        lab = _at(turning(boundary(SEPARABLE)), per_herald)
        fixed: list[float] = []
        for _ in range(_runs(1000, scale)):
            cells = cells_of(lab.counts(lab.theta, lab.trials, rng=rng))
            enough = cells.by_herald.min() >= 20
            fixed.append(
                fixed_sample_confidence(least_fixed_sample_statistic(cells, 1.0)) if enough else 0.0
            )
        theirs = [
            published(lab.counts(lab.theta, lab.trials, rng=rng)).confidence
            for _ in range(_runs(4000, scale))
        ]
        rows.append({"counts": per_herald, "fixed": _claims(fixed), "published": _claims(theirs)})
    return rows


def peeking(rng: np.random.Generator, scale: float) -> list[Table]:
    """Count false claims at a separable state that is looked at 20 times on the way."""
    rows: list[Table] = []
    for per_herald in COUNTS:
        lab = _at(turning(boundary(SEPARABLE)), per_herald / 20)
        always: list[float] = []
        for _ in range(_runs(300, scale)):
            test = anytime_test(limits=False)
            for _ in range(20):
                test = test.add(cells_of(lab.counts(lab.theta, lab.trials, rng=rng)))
            always.append(test.confidence())
        theirs = [_best_look(lab, rng) for _ in range(_runs(1000, scale))]
        rows.append({"counts": per_herald, "always": _claims(always), "published": _claims(theirs)})
    return rows


def _best_look(lab: Lab, rng: np.random.Generator) -> float:
    """Return the largest published confidence of 20 looks."""
    best, parts = 0.0, []
    for _ in range(20):
        parts.append(lab.counts(lab.theta, lab.trials, rng=rng))
        total = total_of(parts)
        best = max(best, published(total).confidence)
    return best


def upper_limit(rng: np.random.Generator, scale: float) -> Table:
    """How often the running 95 % upper limit falls below R, in 40 looks up to 140 counts."""
    state = turning(light(1.18, 7.8))
    truth = float(symmetrised_witness(1.18, 7.8))
    lab, wrong, runs = _at(state, 3.5), 0, _runs(100, scale)
    for _ in range(runs):
        test = anytime_test()
        for _ in range(40):
            test = test.add(cells_of(lab.counts(lab.theta, lab.trials, rng=rng)))
        wrong += test.upper_limit(0.05) < truth
    return {"R": truth, "wrong": [wrong, runs]}


def trials_to_claim(rng: np.random.Generator, scale: float) -> list[Table]:
    """Trials to an always-valid claim at the paper's parameters, θ and θ + π in turn."""
    state = turning(np.array([[1.07, 7.69], [8.17, 1.08]]))
    rows: list[Table] = []
    for declared in (None, (1.18, 8.0)):
        needed = np.array([_trials_needed(state, rng, declared) for _ in range(_runs(120, scale))])
        median, most = np.quantile(needed, [0.5, 0.9], axis=0)
        rows.append(
            {
                "declared": declared is not None, "runs": len(needed), "median": median.tolist(),
                "quantile_90": most.tolist(),
            }
        )  # fmt: skip
    return rows


def _trials_needed(
    state: Lab, rng: np.random.Generator, declared: tuple[float, float] | None
) -> list[float]:
    """Return the trials at which one run first reaches each of `LEVELS`."""
    half = 20_000_000
    test: AnytimeTest = anytime_test(declared=declared, limits=False)
    reached = [float("inf")] * len(LEVELS)
    for block in range(1, 201):
        counts = [state.counts(g2, half, rng=rng) for g2 in (state.theta, state.pi)]
        test = test.add(cells_of(counts[0], counts[1]))
        confidence = test.confidence()
        for place, level in enumerate(LEVELS):
            if confidence >= level:
                reached[place] = min(reached[place], 2.0 * half * block)
        if confidence >= LEVELS[-1]:
            break
    return reached


def power(rng: np.random.Generator, scale: float) -> list[Table]:
    """How often each condition's test fails where all is well, and where something is wrong."""
    runs = _runs(500, scale)
    return [
        {"condition": name, "case": case, "fails": [sum(fails() for _ in range(runs)), runs]}
        for name, case, fails in _cases(rng)
    ]


def _cases(rng: np.random.Generator) -> Iterator[tuple[str, str, Callable[[], bool]]]:
    """Yield (condition, case, what tells whether one draw is not met)."""
    for trials in (100_000_000, 300_000_000, 1_100_000_000):
        for contrast in (1.0, 0.0):
            case = f"{trials:.3g} trials, contrast {contrast:g}"
            yield "fringe (turn)", case, _turned(rng, trials, contrast)
            yield "fringe (scan)", case, _scanned(rng, trials, contrast)
        for turn in (False, True):
            case = f"{trials:.3g} trials, {'θ and θ + π' if turn else 'θ'}"
            yield "crossed_exceeds_same", case, _crossed(rng, trials, turn=turn)
    for accidentals in (385.0, 2090.0, 3849.0):
        for case, faults in (
            ("nothing wrong", {}), ("blind 0.05", {"blind": 0.05}), ("blind 0.1", {"blind": 0.1}),
            ("crosstalk 2e-5", {"crosstalk": 2e-5}),
        ):  # fmt: skip
            yield (
                "null_laser_only", f"{accidentals:g} accidentals, {case}",
                _laser(rng, accidentals, **faults),
            )  # fmt: skip
    for swing in (0.0, 0.1, 0.22, 0.3):
        case = f"7313 accidentals, covariance {swing**2:.3g}"
        yield "null_shuffled", case, _shifted(rng, swing)


def _turned(rng: np.random.Generator, trials: int, contrast: float) -> Callable[[], bool]:
    lab = turning(light(4.49 - 3.31 * contrast, 4.49 + 3.31 * contrast))

    def fails() -> bool:
        pair = [lab.counts(g2, trials // 2, rng=rng) for g2 in (lab.theta, lab.pi)]
        return fringe_of_turn(cells_of(pair[0], pair[1])).met is not True

    return fails


def _crossed(rng: np.random.Generator, trials: int, *, turn: bool) -> Callable[[], bool]:
    state = turning(light(1.18, 7.8), trials=trials // 2 if turn else trials)

    def fails() -> bool:
        block = state.evidence(turn=turn, rng=rng).blocks[0]
        return crossed_exceeds_same(cells_of(block.theta, block.pi)).met is not True

    return fails


def _laser(rng: np.random.Generator, accidentals: float, **faults: float) -> Callable[[], bool]:
    lab = Lab(theta=np.ones((2, 2)), pi=np.ones((2, 2)), **faults)  # type: ignore[arg-type]
    trials = round(accidentals / float(lab.read @ lab.pump) / 100.0)

    def fails() -> bool:
        counts = lab.counts(lab.theta, trials, brighter=100.0, rng=rng)
        return null_laser_only(counts).met is not True

    return fails


def _shifted(rng: np.random.Generator, swing: float) -> Callable[[], bool]:
    def fails() -> bool:
        found = [(float(rng.poisson(n * (1 + swing**2))), n) for n in (7313.0, 7313.0)]
        return null_shuffled(found).met is not True

    return fails


def _scanned(rng: np.random.Generator, trials: int, contrast: float) -> Callable[[], bool]:
    phases = 2 * np.pi * np.arange(8) / 8
    accidentals = trials / 8 * float(np.outer(READ, PUMP).sum()) / 2.0

    def fails() -> bool:
        wave = 3.31 * contrast * np.cos(phases)
        crossed, same = (rng.poisson(accidentals * (4.49 + sign * wave)) for sign in (1, -1))
        exposure = np.full(8, accidentals)
        return fringe_of_scan(phases, same, exposure, crossed, exposure).met is not True

    return fails


PARTS: dict[str, Callable[[np.random.Generator, float], object]] = {
    "coverage": coverage,
    "single_look": single_look,
    "peeking": peeking,
    "upper_limit": upper_limit,
    "trials_to_claim": trials_to_claim,
    "power": power,
}
"""What is measured, in order; each part has a seed of its own."""


def _claims(confidences: list[float]) -> Table:
    values = np.array(confidences)
    return {"runs": len(values), "claims": [int((values >= level).sum()) for level in LEVELS]}


def _share(number: int, runs: int) -> str:
    """Return a share in percent with its exact 95 % interval."""
    interval = binomtest(number, runs).proportion_ci(0.95)
    return f"{100 * number / runs:.2f} [{100 * interval.low:.2f}, {100 * interval.high:.2f}]"


def page(found: Table) -> str:
    """Return the page about these results."""
    parts = [HEAD.format(seed=found["seed"], version=found["version"])]
    parts += [section(found) for section in (_coverage, _looks, _limit, _needed, _tests)]
    return "\n".join(parts)


def _table(head: str, rows: Iterable[str]) -> str:
    line = "|---" * head.count("|")
    return "\n".join([head, line.removesuffix("---"), *rows]) + "\n"


def _coverage(found: Table) -> str:
    rows = (
        f"| {row['R']:.3f} | {row['counts']:g} | {_share(*row['profile'])} "
        f"| {_share(*row['published'])} |"
        for row in found["coverage"]
    )
    head = "| R | counts per herald | profile likelihood of R, % | R_m as published, % |"
    return "## Coverage of 68 % intervals\n\n" + _table(head, rows)


def _looks(found: Table) -> str:
    text = ""
    for title, part, ours, word in (
        ("a single look", "single_look", "fixed", "fixed-sample test"),
        ("twenty looks", "peeking", "always", "always-valid test"),
    ):
        head = f"| counts per herald | level, % | {word}, % | P(R_m < 1) as published, % |"
        rows = [
            f"| {row['counts']:g} | {100 * level:g} "
            + "".join(
                f"| {_share(row[name]['claims'][place], row[name]['runs'])} "
                for name in (ours, "published")
            )
            + "|"
            for row in found[part]
            for place, level in enumerate(LEVELS)
        ]
        text += f"## False claims of {title}\n\n{SEPARABLE_STATE}\n\n{_table(head, rows)}\n"
    return text.rstrip("\n") + "\n"


def _limit(found: Table) -> str:
    limit = found["upper_limit"]
    return (
        f"## Upper limit\n\nThe running 95 % upper limit fell below R = {limit['R']:.3f} at any of "
        f"40 looks in {_share(*limit['wrong'])} % of the runs.\n"
    )


def _needed(found: Table) -> str:
    rows = [
        f"| {'(1.18, 8.0)' if row['declared'] else 'none'} | {label} | "
        + " | ".join(f"{value / 1e9:.2f}" for value in row[name])
        + " |"
        for row in found["trials_to_claim"]
        for name, label in (("median", "median"), ("quantile_90", "90 % of runs"))
    ]
    head = "| declared alternative | 10⁹ trials | 95 % | 99 % | 99.9 % |"
    title = "## Trials to an always-valid claim\n\nThe paper's parameters, θ and θ + π in turn.\n\n"
    return title + _table(head, rows)


def _tests(found: Table) -> str:
    rows = (
        f"| `{row['condition']}` | {row['case']} | {_share(*row['fails'])} |"
        for row in found["power"]
    )
    return (
        "## Tests of the conditions\n\nHow often a test is not met: a false alarm where nothing is "
        "wrong, else its power.\n\n" + _table("| condition | case | not met, % |", rows)
    )


SEPARABLE_STATE = f"A separable state with R = 1; same-detector g² = {SEPARABLE:g}."

HEAD = """# Calibration

How often the intervals cover, and how often a claim is wrong. Made by
`python -m benchmarks calibration` (seed {seed}, labkit {version}); the numbers are in
`benchmarks/calibration.json`. Brackets are exact 95 % intervals of the share. Counts are drawn,
Poisson, from known states at the paper's rates.
"""
