"""The tables of ``docs/inference.md`` from the kept results of both studies of inference."""

import json
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy import stats

from analysis.binomial import share

RESULTS: Final = Path(__file__).with_name("inference.json")
PAGE: Final = Path(__file__).parents[1] / "docs" / "inference.md"
MARK: Final = "<!-- tables -->"

ODD: Final = 0.05
"""Shares of hits that are less likely than this are named."""


def keep(name: str, result: Any) -> None:
    """Put one result into `RESULTS`, beside the others, and the tables into the page."""
    plain = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    plain[name] = result
    RESULTS.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    before, _, _ = PAGE.read_text(encoding="utf-8").partition(MARK)
    PAGE.write_text(f"{before}{MARK}\n\n{tables(plain)}", encoding="utf-8")


def tables(plain: dict[str, Any]) -> str:
    """Return the tables of all results that there are, as Markdown."""
    parts = []
    if "recovery" in plain:
        parts.append(_recovery(plain["recovery"]))
    if "calibration" in plain:
        parts.append(_calibration(plain["calibration"]))
    if "wrong" in plain:
        parts.append(_wrong(plain["wrong"]))
    return "\n".join(parts)


def _recovery(found: dict[str, Any]) -> str:
    """Return coverage by parameter, and the deviance of every lab."""
    seeds, labs = list(found["labs"]), list(found["labs"].values())
    names = sorted({name for lab in labs for name in lab["truth"]})
    lines = [
        "### Recovery of virtual labs", "",
        f"{len(labs)} labs (version {found['version']}) with parameters drawn at random and all "
        "drifts on, whose size is inferred too; only parameters that a lab's data "
        "determine. Brackets are 95 % intervals of the share as if parameters were independent, "
        "which they are not.", "",
        "| parameter | determined in | truth in 68 % | in 95 % |", "|---|--:|--:|--:|",
    ]  # fmt: skip
    totals, odd = [0, 0, 0], []
    for name in names:
        mine = [lab for lab in labs if name in lab["truth"]]
        hits = [sum(_inside(lab, name, level) for lab in mine) for level in (68, 95)]
        totals = [totals[0] + len(mine), totals[1] + hits[0], totals[2] + hits[1]]
        lines.append(f"| `{name}` | {len(mine)} | {hits[0]} | {hits[1]} |")
        for hit, part in zip(hits, (0.68, 0.95), strict=True):
            p = float(stats.binomtest(hit, len(mine), part).pvalue)
            if p < ODD:
                odd.append(f"`{name}` ({hit} of {len(mine)} in {100 * part:.0f} %, p = {p:.2g})")
    lines.append(
        f"| all | {totals[0]} | {_share(totals[1], totals[0])} | {_share(totals[2], totals[0])} |"
    )
    lines += ["", f"Outside binomial limits (p < {ODD}): {', '.join(odd) or 'none'}."]
    lines += ["", "| seed | numbers | deviance | p | drift, 68 % |", "|--:|--:|--:|--:|--:|"]
    for seed, lab in zip(seeds, labs, strict=True):
        _, low, high = lab["drift"]
        lines.append(
            f"| {seed} | {lab['numbers']} | {lab['deviance']:.0f} | {lab['p_value']:.2g} | "
            f"{100 * low:.1f} to {100 * high:.1f} % |"
        )
    return "\n".join([*lines, ""])


def _inside(lab: dict[str, Any], name: str, level: int) -> bool:
    return bool(lab[f"low{level}"][name] <= lab["truth"][name] <= lab[f"high{level}"][name])


def _share(hits: int, total: int) -> str:
    between = share(hits, total, 0.95)
    return f"{100 * hits / total:.0f} % [{100 * between.low:.0f}, {100 * between.high:.0f}]"


def _calibration(found: dict[str, Any]) -> str:
    """Return what ranks of the truth show."""
    ranks = {name: np.array(values) for name, values in found["ranks"].items()}
    runs = len(next(iter(ranks.values())))
    pooled = np.concatenate(list(ranks.values()))
    p = {name: float(stats.kstest(values, "uniform").pvalue) for name, values in ranks.items()}
    worst = min(p, key=lambda name: p[name])
    bins = np.histogram(pooled, 10, (0, 1))[0]
    covered = [int(np.sum(np.abs(pooled - 0.5) <= level / 2)) for level in (0.68, 0.9, 0.95)]
    return "\n".join(
        [
            "### Ranks of the truth (simulation-based calibration)", "",
            f"{runs} campaigns of the model itself, a tenth of the trials, {len(ranks)} "
            f"parameters; the ensemble was needed in {found['fallbacks']}.", "",
            "| interval | holds the truth |", "|--:|--:|",
            *(f"| {100 * level:.0f} % | {100 * hit / len(pooled):.1f} % |"
              for level, hit in zip((0.68, 0.9, 0.95), covered, strict=True)), "",
            f"Pooled ranks in ten bins: {', '.join(map(str, bins.tolist()))}. Smallest Kolmogorov "
            f"p of {len(p)}: {p[worst]:.2g} (`{worst}`).", "",
        ]
    )  # fmt: skip


def _wrong(found: dict[str, list[int]]) -> str:
    """Return how often wrong models are found and named."""
    lines = [
        "### Wrong models", "",
        "Campaigns of the model with a mistake of drawn size (`benchmarks.inference.WRONG`), five "
        "windows of delays. Found: some p < 10⁻³, or a parameter that contradicts its prior. "
        "Named: the first remark says what is wrong.", "",
        "| what is wrong | cases | found | named |", "|---|--:|--:|--:|",
    ]  # fmt: skip
    lines += [f"| {name} | {n} | {hit} | {named} |" for name, (n, hit, named) in found.items()]
    return "\n".join([*lines, ""])
