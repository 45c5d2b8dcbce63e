"""A run reads its station, options and sequence once, before it begins."""

import pytest

import labkit.experiment
from labkit.experiment import Experiment, read_experiment, run_experiment
from labkit.sequence.pulses import riedinger2018_sequence


def test_station_file_that_changes_after_the_check_does_not_matter(quick_station, monkeypatch):
    text, make = quick_station.read_text(encoding="utf-8"), labkit.experiment.create_run

    def create(*arguments, **named):
        quick_station.write_text("labkit: {}\n", encoding="utf-8")
        return make(*arguments, **named)

    def compile_again(*_):
        raise AssertionError

    monkeypatch.setattr("labkit.experiment.create_run", create)
    monkeypatch.setattr("labkit.station.lab.compile_sequence", compile_again)
    plan = read_experiment("switch_on")
    finished = run_experiment(plan, quick_station, quick_station.parent / "runs")
    manifest = finished.folder.manifest()
    assert (manifest.status, manifest.station) == ("done", text)


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"kind": "lock", "options": {"points": 1}}, "options: .*`points` must be at least 5"),
        ({"kind": "locks"}, "kind must be one of .*, but is 'locks'"),
        ({"kind": "lock", "compare": "ours"}, "compare must be one of optimal, extended"),
    ],
)
def test_experiment_is_checked_when_it_is_made(named, message):
    with pytest.raises(ValueError, match=f"experiment: {message}"):
        Experiment(sequence=riedinger2018_sequence(), **named)
