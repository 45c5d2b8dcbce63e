"""Recordings put one after the other: the counts of the whole are the sums of the parts."""

import numpy as np
import pytest

from analysis.counting import count
from analysis.gates import Gate, GateSet
from analysis.tagfile import open_tags, write_ptu
from analysis.tagfile.conversion import merge
from analysis.tagfile.events import Events
from analysis.tagfile.layouts import LAYOUTS, SYNC
from labkit.cli import run

GATES = GateSet(
    period=50e-6, detectors={1: 0, 2: 1},
    gates=(Gate(name="pump", start=0.0, stop=1e-6), Gate(name="read", start=1e-6, stop=3e-6)),
)  # fmt: skip
TICKS = 200_000  # of 250 ps per trial


def recorded(path, mode, seed, trials=3000, **options):
    rng = np.random.default_rng(seed)
    number = 2 * trials
    sync, dtime = rng.integers(0, trials, number), rng.integers(1, 12_000, number)
    channel = rng.integers(0, 2, number)
    if mode == "T2":
        time = np.concatenate([np.arange(trials) * TICKS, sync * TICKS + dtime])
        channel = np.concatenate([np.full(trials, SYNC), channel])
        order = np.argsort(time, kind="stable")
        events = Events(time=time[order], dtime=None, channel=channel[order].astype(np.uint8))
    else:
        order = np.argsort(sync, kind="stable")
        events = Events(
            time=sync[order], dtime=dtime[order].astype(np.int32),
            channel=channel[order].astype(np.uint8),
        )  # fmt: skip
    layout = LAYOUTS[0x00010205 if mode == "T2" else 0x00010305]
    write_ptu(path, events, layout=layout, sync_rate=20e3, acquisition_time=trials * 50e-6,
              **options)  # fmt: skip
    return path


@pytest.mark.parametrize("mode", ["T2", "T3"])
@pytest.mark.parametrize("suffix", [".ptu", ".h5", ".npz"])
def test_counts_of_the_merged_are_the_sum(tmp_path, mode, suffix):
    parts = [recorded(tmp_path / f"{k}.ptu", mode, k) for k in range(3)]
    whole = tmp_path / f"whole{suffix}"
    merge(parts, whole)
    merged, apart = count(whole, GATES), count(parts, GATES)
    assert merged.singles.tolist() == apart.singles.tolist()
    assert merged.pairs.tolist() == apart.pairs.tolist()
    assert merged.quality.doubled_syncs == 0
    assert merged.quality.out_of_order == 0
    assert merged.trials.number == pytest.approx(apart.trials.number, abs=3)
    assert open_tags(whole).device == open_tags(parts[0]).device
    assert open_tags(whole).measured_time == pytest.approx(0.45)


def test_what_does_not_belong_together_is_refused(tmp_path):
    one, two = recorded(tmp_path / "a.ptu", "T2", 1), recorded(tmp_path / "b.ptu", "T3", 1)
    with pytest.raises(ValueError, match=r"one mode, but .*a\.ptu has T2 and .*b\.ptu has T3"):
        merge([one, two], tmp_path / "c.ptu")
    with pytest.raises(ValueError, match="must be another recording than"):
        merge([one, one], tmp_path / "c.ptu")
    with pytest.raises(ValueError, match="two recordings or more"):
        merge([one], tmp_path / "c.ptu")
    with pytest.raises(ValueError, match="two files, but are the same"):
        merge([one, recorded(tmp_path / "d.ptu", "T2", 2)], one, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ptu", "b.ptu", "d.ptu"]


def test_merge_on_the_command_line(tmp_path, capsys):
    parts = [recorded(tmp_path / f"{k}.ptu", "T3", k) for k in range(2)]
    assert run(["merge", *map(str, parts), "-o", str(tmp_path / "whole.ptu")]) == 0
    assert "wrote" in capsys.readouterr().err
    assert open_tags(tmp_path / "whole.ptu").n_records > open_tags(parts[0]).n_records
