"""Run benchmarks: ``python -m benchmarks [NAME …] [--scale 0.1] [--guard | --record]``.

`--guard` compares with ``benchmarks/recorded.json`` and exits 1 if a ratio has fallen; `--record`
rewrites that file. `--workers` or `--scheduler` share a study; its numbers stay the same.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from math import isnan

from analysis.cluster import ClusterError
from benchmarks import guard
from benchmarks.timing import Row
from labkit.cli.scale import mapping, shared

ROOMS = (
    "counting", "instruments", "recording", "theory", "virtual_lab", "dry_run", "record",
    "long_run",
)  # fmt: skip
STUDIES = (
    "red_team", "calibration", "faults", "fuzz", "scaling", "exam", "inference",
    "inference_recovery", "unseen_labs", "planned_runs",
)  # fmt: skip
"""Statistics and faults: these run for minutes to hours, and only if they are named."""
SHARED = ("calibration", "inference", "inference_recovery", "unseen_labs", "planned_runs")
"""Studies of many independent labs or draws: also on other processes and machines."""


def main() -> None:
    """Run the chosen rooms and print one line per ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "rooms", nargs="*", metavar="NAME", help=f"of {', '.join((*ROOMS, *STUDIES))}"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="size of the jobs, 1 is full")
    parser.add_argument("--guard", action="store_true", help="compare with the recorded ratios")
    parser.add_argument("--record", action="store_true", help="keep these ratios")
    parser.add_argument("--workers", type=int, metavar="N", help="share studies with processes")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="or through this dask scheduler")
    chosen = parser.parse_args()
    is_shared = chosen.workers is not None or chosen.scheduler is not None
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # both sides on one core
    for room in chosen.rooms or ROOMS:
        if room not in (*ROOMS, *STUDIES):
            parser.error(f"no benchmark {room!r}; there are {', '.join((*ROOMS, *STUDIES))}")
        if is_shared and room not in SHARED:
            parser.error(f"--workers and --scheduler are for {', '.join(SHARED)}, not for {room}")
    if chosen.scale != 1 and (chosen.guard or chosen.record):
        parser.error("--guard and --record are for full size: smaller jobs have other ratios")
    try:
        rows = measured(chosen.rooms or ROOMS, chosen.scale, chosen.scheduler, chosen.workers)
    except ClusterError as error:
        sys.exit(f"benchmarks: error: {error}")
    if rows:
        print(table(rows))
    if chosen.record:
        guard.record(rows)
    if chosen.guard:
        behind = guard.fallen(rows)
        print(*behind, sep="\n")
        sys.exit(bool(behind))


def measured(
    rooms: Sequence[str], scale: float, scheduler: str | None, workers: int | None
) -> list[Row]:
    """Measure the rooms, print what they tell, and return the ratios."""
    rows: list[Row] = []
    with shared(scheduler, workers) as client:
        given = {} if client is None else {"mapped": mapping(client)}
        for room in rooms:
            for row in import_module(f"benchmarks.{room}").run(scale, **given):
                print(row, flush=True)
                if isinstance(row, Row):  # studies tell lines
                    rows.append(row)
    return rows


def table(rows: Sequence[Row]) -> str:
    """Return one line per ratio: what / peer, ratio, noise, goal, met or not."""
    lines = [f"\n{'what / peer':<66} {'ratio':>9} {'noise':>6} {'goal':>7}  met"]
    for row in rows:
        noise = "once" if isnan(row.noise) else f"{100 * row.noise:.0f} %"
        met = "yes" if row.met else "NO"
        lines.append(f"{row.name:<66} {row.ratio:>9.2f} {noise:>6} {row.target:>7g}  {met}")
    lines.append("noise: half the range between the quartiles of 7 alternating runs")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
