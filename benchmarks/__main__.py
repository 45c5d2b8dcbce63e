"""Run benchmarks: ``python -m benchmarks [NAME …] [--scale 0.1]``."""

import argparse
import os
from importlib import import_module

ROOMS = ("counting", "instruments", "recording", "theory", "virtual_lab", "dry_run", "record")


def main() -> None:
    """Run the chosen rooms and print one line per ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="NAME", help=f"of {', '.join(ROOMS)}")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the jobs, 1 is full")
    chosen = parser.parse_args()
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # both sides on one core
    for room in chosen.rooms or ROOMS:
        if room not in ROOMS:
            parser.error(f"no benchmark {room!r}; there are {', '.join(ROOMS)}")
        for row in import_module(f"benchmarks.{room}").run(chosen.scale):
            print(row, flush=True)


if __name__ == "__main__":
    main()
