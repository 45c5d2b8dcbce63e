import json
import os
from pathlib import Path
from threading import Thread

import pytest

from analysis.counts_file import load_counts_file
from analysis.published import RIEDINGER_2018, find_published
from analysis.witness import witness

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "riedinger2018_counts.json"
SET = {
    "trials": 1000,
    "pump": [100, 110],
    "read": [90, 95],
    "coincidences": {"r1p1": 9, "r2p1": 20, "r1p2": 21, "r2p2": 8},
}


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "counts.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("name", ["optimal", "extended"])
def test_published_file_equals_the_published_counts(name: str) -> None:
    if not SHARED.exists():
        pytest.skip(f"{SHARED} is not at hand")
    counts = load_counts_file(SHARED, name)
    assert counts == RIEDINGER_2018[name].counts
    assert find_published(counts) is RIEDINGER_2018[name]


@pytest.mark.parametrize("name", ["optimal", "extended"])
def test_published_numbers_follow_from_the_published_counts(name: str) -> None:
    published = RIEDINGER_2018[name]
    counts = published.counts
    result = witness(counts.coincidences, counts.pump, counts.read, counts.trials)
    for key, found in result.to_dict().items():
        printed = published.witness[key]
        assert (found["mode"], found["low"], found["high"]) == pytest.approx(
            (printed.value, printed.low, printed.high), abs=8e-3
        )
    for bound, confidence in published.confidence.items():
        assert result.sym.confidence(bound) == pytest.approx(confidence, abs=1e-3)


def test_a_single_set_needs_no_name(tmp_path: Path) -> None:
    flat = load_counts_file(written(tmp_path, SET))
    assert flat.pump == (100, 110)
    assert load_counts_file(written(tmp_path, {"source": "x", "mine": SET})) == flat
    assert load_counts_file(written(tmp_path, {"mine": SET}), "mine") == flat
    assert find_published(flat) is None


def test_whole_floats_are_counts(tmp_path: Path) -> None:
    assert load_counts_file(written(tmp_path, SET | {"trials": 1.0e3})).trials == 1000


def test_an_unknown_or_unnamed_set_lists_the_sets(tmp_path: Path) -> None:
    path = written(tmp_path, {"source": "x", "first": SET, "second": SET})
    with pytest.raises(KeyError, match="holds the sets first, second, but set 'third'"):
        load_counts_file(path, "third")
    with pytest.raises(KeyError, match="holds the sets first, second, but no set was chosen"):
        load_counts_file(path)
    with pytest.raises(KeyError, match="single set without a name, but set 'first'"):
        load_counts_file(written(tmp_path, SET), "first")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trials": 0}, "set 'mine': `trials` must be at least 1"),
        ({"trials": None}, "`trials` must be a whole number, but is None"),
        ({"trials": "1000"}, "`trials` must be a whole number, but is '1000'"),
        ({"pump": [1, 2, 3]}, r"`pump` must hold two counts .* but is \[1, 2, 3\]"),
        ({"read": 5}, "`read` must hold two counts"),
        ({"read": [5, -5]}, "`read 2` must not be negative, but is -5"),
        ({"coincidences": [9, 20, 21, 8]}, "`coincidences` must be an object with r1p1"),
        ({"coincidences": {"r1p1": 9}}, "`r2p1` must be given, but is missing"),
        ({"coincidences": SET["coincidences"] | {"r2p2": 0.5}}, "`r2p2` must be a whole number"),
    ],
)
def test_bad_fields_are_named_with_file_and_set(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    path = written(tmp_path, {"mine": SET | change})
    with pytest.raises(ValueError, match=message) as caught:
        load_counts_file(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "must be a JSON file, but is not"),
        ("[1, 2]", "must hold a JSON object, but holds a list"),
        ('{"trials": 5, "trials": 6}', "`trials` must be given once, but is given 2 times"),
        ('{"source": "x"}', r"must hold counts \(trials, pump, read, coincidences\)"),
        ('{"trials": 5}', "`coincidences` must be given, but is missing; given are: trials"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_counts_file(written(tmp_path, content))


def test_counts_print_themselves(tmp_path: Path) -> None:
    lines = str(load_counts_file(written(tmp_path, SET))).splitlines()
    assert lines[1] == "pump          100  110"


def test_counts_come_through_a_pipe_that_can_be_read_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_text, args=(json.dumps(SET),))
    writer.start()
    assert load_counts_file(pipe).trials == 1000
    writer.join()


def test_a_tag_file_and_a_deep_nest_are_told_from_counts(tmp_path):
    path = written(tmp_path, "PQTTTR and so on")
    with pytest.raises(ValueError, match="is a tag file: count it with `labkit analyse`"):
        load_counts_file(path)
    with pytest.raises(ValueError, match="nested too deep"):
        load_counts_file(written(tmp_path, "[" * 100_000))
