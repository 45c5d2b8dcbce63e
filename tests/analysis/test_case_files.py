"""Small files that were once counted silently wrong; the right answers are exact."""

from pathlib import Path

import pytest

from analysis.counting import count
from analysis.gates import GateSet
from analysis.tagfile import TagFileError, open_tags, summarise

CASES = Path(__file__).parents[2].parent / "shared" / "cases" / "tags"


@pytest.fixture
def case():
    """Path of a case by name, if the cases lie beside the checkout."""

    def find(name):
        path = CASES / name
        if not path.exists():
            pytest.skip(f"case {name} is not beside the checkout")
        return path

    return find


@pytest.fixture
def gates(case):
    """The gates of the cases, with what begins a trial."""

    def read(trial):
        name = "clock" if "clock" in str(trial) else "sync"
        plain = GateSet.from_yaml(case(f"{name}.gates.yaml")).to_dict()
        return GateSet.from_dict(plain | {"trial": trial})

    return read


def test_a_resolution_in_single_precision_moves_no_gate_edge(case, gates):
    counts = count(case("float32_resolution.ptu"), gates("sync"))
    assert counts.single("read", 2) == 100
    assert any("single precision" in text for text in counts.quality.warnings)


def test_a_clock_that_began_elsewhere_is_refused_or_given_its_origin(case, gates):
    path = case("late_origin.csv")
    for trial in ("clock", {"clock": {"t0": 0}}):
        if trial == "clock":
            with pytest.raises(ValueError, match=r"begin at 1600000 s .*t0: first"):
                count(path, gates(trial))
        else:  # the user insists
            assert count(path, gates(trial)).trials.number > 10**10
    counts = count(path, gates({"clock": {"t0": "first"}}))
    assert counts.trials.number == 100


def test_durations_are_converted_to_picoseconds(case, gates):
    assert count(case("duration_ns.parquet"), gates("clock")).trials.number == 100


def test_zero_bits_per_record_are_read_as_32_with_a_warning(case):
    summary = summarise(open_tags(case("bits0.ptu")))
    assert summary.records == 2
    assert "record_bits" in [warning.code for warning in summary.warnings]


def test_words_behind_a_completed_recording_are_left_out_and_told(case, gates):
    path = case("trailing.ptu")
    assert sum(summarise(open_tags(path)).photons.values()) == 10
    counts = count(path, gates("sync"))
    assert int(counts.histogram.sum()) == 10
    assert any("the last 3 are left out" in text for text in counts.quality.warnings)


@pytest.mark.parametrize("kernel", ["sparse", "bright"])
def test_a_sync_divider_counts_every_trial(case, gates, kernel):
    path = case("t2_divider8.ptu")
    counts = count(path, gates({"sync": {"divider": 8}}), kernel=kernel)
    assert counts.trials.number == 400
    assert counts.coincidence(("pump", 1), ("read", 2)) == 400
    with pytest.raises(ValueError, match=r"set `trial: \{sync: \{divider: 8\}\}`"):
        count(path, gates("sync"))


def test_damaged_files_are_named(case):
    with pytest.raises(TagFileError, match=r"damaged\.h5"):
        summarise(open_tags(case("damaged.h5")))
    with pytest.raises(ValueError, match=r"nested\.gates\.yaml"):
        GateSet.from_yaml(case("nested.gates.yaml"))
