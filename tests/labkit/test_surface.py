"""The names that users type: there without searching, and loaded only when used."""

import subprocess
import sys

import pytest

import analysis
import analysis.tagfile
import labkit
import simulation.theory
from analysis.counts_file import WitnessCounts, witness_counts
from analysis.gates import GateSet
from analysis.published import RIEDINGER_2018
from labkit.sequence import PulseSequence
from simulation.recordings.ptu import simulate_ptu
from simulation.theory.dlcz import riedinger2018

HEAVY = ("numpy", "scipy", "qcodes", "xarray", "numba", "matplotlib", "panel", "pydantic", "h5py")


@pytest.mark.parametrize("package", [analysis, analysis.tagfile, labkit, simulation.theory])
def test_every_public_name_is_there_and_listed(package):
    assert package.__all__
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))


def test_names_are_the_things_themselves():
    assert labkit.GateSet is analysis.GateSet is GateSet
    assert labkit.PulseSequence is PulseSequence
    assert labkit.read is analysis.open_tags


@pytest.mark.parametrize("package", ["labkit", "analysis", "analysis.tagfile", "simulation.theory"])
def test_importing_a_package_loads_nothing_heavy(package):
    code = f"import sys, {package}; print(*[name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'labkit' has no attribute 'cuont'"):
        _ = labkit.cuont


@pytest.fixture(scope="module")
def tags(tmp_path_factory):
    path = tmp_path_factory.mktemp("tags") / "x.ptu"
    simulate_ptu(path, riedinger2018(), trials=20_000_000, seed=5)
    return path


def test_files_and_gates_are_given_as_one_types_them(tags):
    gates = tags.with_suffix(".gates.yaml")
    counts = labkit.count(str(tags), str(gates))
    assert counts == labkit.count(tags)
    assert counts == labkit.count([tags], GateSet.from_yaml(gates))
    assert labkit.analyse(tags, gates).counts == counts
    twice = labkit.count([tags, tags], gates, allow_repeats=True)
    assert twice == counts + counts
    with pytest.raises(ValueError, match="count every click twice"):
        labkit.count([tags, tags], gates)


def test_missing_gates_file_is_named(tags, tmp_path):
    alone = tmp_path / "alone.ptu"
    alone.write_bytes(tags.read_bytes())
    with pytest.raises(ValueError, match=r"alone\.gates\.yaml"):
        labkit.count(alone)


def test_witness_of_counts_is_that_of_their_nine_numbers(tags):
    nine = RIEDINGER_2018["optimal"].counts
    by_hand = labkit.witness(nine.coincidences, nine.pump, nine.read, nine.trials)
    assert str(labkit.witness(nine)) == str(by_hand)
    counts = labkit.count(tags)
    assert isinstance(witness_counts(counts), WitnessCounts)
    assert str(labkit.witness(counts)) == str(labkit.evaluate(counts).witness)


def test_models_are_called_by_name():
    model = simulation.theory.get_model("yu2020")
    assert labkit.point("yu2020") == labkit.point(model)
    swept = labkit.sweep("yu2020", x=("kappa_2_hz", [0.4e6, 0.5e6]))
    assert swept.attrs["model"] == "yu2020"
    with pytest.raises(KeyError, match="nearest: yu2020"):
        labkit.point("yu2021")
