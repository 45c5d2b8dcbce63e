"""Studies are shared piece by piece, and every piece has a seed of its own."""

import inspect
import sys
from functools import partial
from importlib import import_module

import pytest

from analysis.cluster import cluster, on_workers
from benchmarks.__main__ import SHARED, STUDIES, main
from benchmarks.calibration import measured_part


@pytest.mark.parametrize("name", SHARED)
def test_a_shared_study_hands_its_pieces_to_what_maps_them(name):
    assert name in STUDIES
    handed = []

    def mapped(function, pieces):
        handed.extend((function, piece) for piece in pieces)
        raise _HandedOverError

    run = import_module(f"benchmarks.{name}").run
    assert inspect.signature(run).parameters["mapped"].default is map
    with pytest.raises(_HandedOverError):
        list(run(1.0, mapped))
    assert len(handed) > 1


class _HandedOverError(Exception):
    pass


@pytest.mark.parametrize("option", [["--workers", "2"], ["--scheduler", "tcp://127.0.0.1:9"]])
def test_what_cannot_be_shared_is_refused_at_once(option, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "planned_runs", "counting", *option])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "not for counting" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--guard", "--record"])
def test_ratios_of_smaller_jobs_are_not_compared(option, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", "counting", "--scale", "0.1", option])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "for full size" in capsys.readouterr().err


@pytest.mark.long
def test_workers_measure_what_is_measured_here():
    measure = partial(measured_part, scale=0.01)
    names = ["single_look", "upper_limit"]
    with cluster(workers=2) as client:
        assert list(on_workers(client, measure, names)) == list(map(measure, names))
