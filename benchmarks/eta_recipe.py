"""The bright T3 job as a recipe for ETA, run by an interpreter that has ETA.

ETA (``etabackend`` 0.9.9) needs numpy 1 and, to count rightly, numba 0.60, so it cannot share
labkit's environment. Only the standard library and ETA are imported here.
"""

import contextlib
import json
import sys
from time import perf_counter

# One trigger per detector: ETA's clock of a T3 photon is sync number x sync period + dtime.
_CLICK = """
tick = (AbsTime_ps % SYNCRate_pspr) // 250
now = AbsTime_ps // SYNCRate_pspr
cell = -1
if tick < 240:
    cell = {detector}
elif tick >= 492 and tick < 732:
    cell = 2 + {detector}
if now != trial:
    trial = now
    clicked = 0
if cell >= 0:
    bit = 1 << cell
    if clicked & bit == 0:
        for other in range(4):
            if clicked >> other & 1:
                pairs[4 * min(other, cell) + max(other, cell)] += 1
        clicked |= bit
"""
# Without any virtual channel ETA never ends; channel 8 stays empty.
_CODE = """
RFILE(tags,[0,1])
VFILE(8)
INTEGER(trial)
INTEGER(clicked)
TABLE(pairs,[16])
any--0-->any:
{{%s}}
any--1-->any:
{{%s}}
"""


def recipe() -> dict[str, str]:
    """Return the recipe as ETA loads it: an index, and one graph with its code."""
    graph = {
        "nodes": [{"x": 0, "y": 0, "fixed": True, "text": "any", "initial": True}],
        "edges": [{"source": 0, "target": 0, "text": "0,1"}],
        "usercode": _CODE % tuple(_CLICK.format(detector=detector) for detector in (0, 1)),
    }
    index = [{"id": "vi_1", "name": "count", "group": "main", "info": "", "config": ""}]
    return {"eta_index_table": json.dumps(index), "vi_1": json.dumps(graph)}


def main(path: str, rounds: int = 3) -> None:
    """Print JSON: the best seconds of several runs after one that compiles, and the pairs."""
    with contextlib.redirect_stdout(sys.stderr):
        from etabackend.eta import ETA  # type: ignore[import-not-found]

        eta = ETA()
        eta.load_recipe(recipe())
        taken = []
        for _ in range(rounds + 1):
            start = perf_counter()
            result = eta.run(eta.clips(path), group="main")
            taken.append(perf_counter() - start)
    print(json.dumps({"seconds": min(taken[1:]), "pairs": result["pairs"].tolist()}))


if __name__ == "__main__":
    main(sys.argv[1])
