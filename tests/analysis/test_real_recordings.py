"""Counts of real recordings equal those of an independent reader, by a plain computation."""

from itertools import combinations
from pathlib import Path

import numpy as np
import ptufile
import pytest

from analysis.counting import count
from analysis.gates import Gate, GateSet
from analysis.tagfile import open_tags, summarise

DATA = Path(__file__).parents[2].parent / "shared" / "data"
PHOTONS = {
    "hydraharp_v1_t3.ptu": {0: 48_001, 1: 46_559},
    "hydraharp_v2_t3.ptu": {0: 45_012, 1: 32_871},
    "hydraharp_t2.ptu": {0: 305_565},
}


@pytest.fixture
def recording():
    """Path of a real recording by name, if it lies beside the checkout."""

    def find(name):
        if not (DATA / name).exists():
            pytest.skip(f"real recording {name} is not beside the checkout")
        return DATA / name

    return find


@pytest.mark.parametrize("name", PHOTONS)
def test_photons_by_channel_are_those_of_the_independent_reader(recording, name):
    path = recording(name)
    with ptufile.PtuFile(path) as reference:
        decoded = reference.decode_records()
    channels = decoded["channel"][decoded["channel"] >= 0]
    found = summarise(open_tags(path)).photons
    assert found == PHOTONS[name]
    assert found == {c: int((channels == c).sum()) for c in np.unique(channels).tolist()}


@pytest.mark.parametrize("kernel", ["sparse", "bright"])
@pytest.mark.parametrize("name", ["hydraharp_v1_t3.ptu", "hydraharp_v2_t3.ptu"])
def test_coincidences_are_those_of_the_independent_reader(recording, name, kernel):
    path = recording(name)
    with ptufile.PtuFile(path) as reference:
        decoded = reference.decode_records()
        unit = reference.tcspc_resolution
        period = reference.global_resolution
    middle = np.median(decoded["dtime"][decoded["channel"] >= 0]) * unit
    gates = GateSet(
        period=float(f"{period:.6g}"), detectors={1: 0, 2: 1},
        gates=(Gate(name="early", start=0.0, stop=middle),
               Gate(name="late", start=middle, stop=0.9 * period)),
    )  # fmt: skip
    counts = count(path, gates, kernel=kernel)
    cells = []
    for gate in gates.gates:
        for channel in (0, 1):
            time = decoded["dtime"] * unit
            inside = (decoded["channel"] == channel) & (time >= gate.start - unit * 1e-6)
            inside &= time < gate.stop - unit * 1e-6
            cells.append(np.unique(decoded["time"][inside]))
    assert counts.singles.ravel().tolist() == [len(trials) for trials in cells]
    for (i, a), (j, b) in combinations(enumerate(cells), 2):
        assert counts.pairs[i, j] == len(np.intersect1d(a, b))
    assert counts.singles.min() > 1000
