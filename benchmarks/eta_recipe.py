"""The jobs on bright T3 and on T2 files as recipes for ETA, run by an interpreter that has ETA.

ETA (``etabackend`` 0.9.9) needs numpy 1 and, to count rightly, numba 0.60, so it cannot share
labkit's environment. Only the standard library and ETA are imported here.
"""

import contextlib
import json
import sys
from time import process_time

# One trigger per detector: ETA's clock of a T3 photon is sync number x sync period + dtime.
_T3 = """
tick = (AbsTime_ps % SYNCRate_pspr) // 250
now = AbsTime_ps // SYNCRate_pspr
if now != trial:
    trial = now
    clicked = 0
"""
_T2 = """
tick = (AbsTime_ps - trial) // 250
"""
_CLICK = """
cell = -1
if tick < 240:
    cell = {detector}
elif tick >= 492 and tick < 732:
    cell = 2 + {detector}
if cell >= 0:
    bit = 1 << cell
    if clicked & bit == 0:
        for other in range(4):
            if clicked >> other & 1:
                pairs[4 * min(other, cell) + max(other, cell)] += 1
        clicked |= bit
"""
_SYNC = """
trial = AbsTime_ps
clicked = 0
"""
# Without any virtual channel ETA never ends; channel 8 stays empty.
_HEAD = """
RFILE(tags,[%s])
VFILE(8)
INTEGER(trial)
INTEGER(clicked)
TABLE(pairs,[16])
"""
_ON = """
any--%d-->any:
{{%s}}
"""


def recipe(mode: str) -> dict[str, str]:
    """Return the recipe as ETA loads it: an index, and one graph with its code.

    Photons of T2 files are on the channels after that of the syncs, 0.
    """
    first = 0 if mode == "T3" else 1
    begin = _T3 if mode == "T3" else _T2
    code = {first + n: begin + _CLICK.format(detector=n) for n in (0, 1)}
    if mode == "T2":
        code[0] = _SYNC
    channels = ",".join(map(str, sorted(code)))
    graph = {
        "nodes": [{"x": 0, "y": 0, "fixed": True, "text": "any", "initial": True}],
        "edges": [{"source": 0, "target": 0, "text": channels}],
        "usercode": _HEAD % channels + "".join(_ON % (n, code[n]) for n in sorted(code)),
    }
    index = [{"id": "vi_1", "name": "count", "group": "main", "info": "", "config": ""}]
    return {"eta_index_table": json.dumps(index), "vi_1": json.dumps(graph)}


def main(path: str, mode: str, rounds: int = 7) -> None:
    """Print JSON: processor seconds of several runs after one that compiles, and the pairs."""
    with contextlib.redirect_stdout(sys.stderr):
        from etabackend.eta import ETA  # type: ignore[import-not-found]

        eta = ETA()
        eta.load_recipe(recipe(mode))
        taken = []
        for _ in range(rounds + 1):
            start = process_time()
            result = eta.run(eta.clips(path), group="main")
            taken.append(process_time() - start)
    print(json.dumps({"seconds": taken[1:], "pairs": result["pairs"].tolist()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
