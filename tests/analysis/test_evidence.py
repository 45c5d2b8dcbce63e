"""Count files with conditions, θ + π, laser-only counts and blocks: strict, and named errors."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from analysis.evidence import assumed_conditions, load_evidence

NINE: dict[str, Any] = {
    "trials": 1000,
    "pump": [100, 110],
    "read": [90, 95],
    "coincidences": {"r1p1": 9, "r2p1": 20, "r1p2": 21, "r2p2": 8},
}
HALF: dict[str, Any] = {
    "trials": 500,
    "pump": [50, 55],
    "read": [45, 40],
    "coincidences": {"r1p1": 4, "r2p1": 10, "r1p2": 11, "r2p2": 4},
}
REST: dict[str, Any] = {
    "trials": 500,
    "pump": [50, 55],
    "read": [45, 55],
    "coincidences": {"r1p1": 5, "r2p1": 10, "r1p2": 10, "r2p2": 4},
}


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "counts.json"
    path.write_text(json.dumps(content))
    return path


def test_everything_is_read(tmp_path: Path) -> None:
    entry = NINE | {
        "source": "text is ignored",
        "conditions": {"splitting": 0.5, "splitting_error": 0},
        "pi": NINE,
        "laser_only": HALF,
        "laser_only_bright": NINE,
        "blocks": [HALF | {"pi": REST}, REST | {"pi": HALF}],
        "trials_fixed_in_advance": True,
    }
    found = load_evidence(written(tmp_path, {"mine": entry}), "mine")
    assert found.theta.trials == 1000
    assert found.pi == found.theta
    assert len(found.blocks) == 2
    assert found.laser_only is not None
    assert found.laser_only.pump == (50, 55)
    assert found.laser_only_bright == found.theta
    assert dict(found.declared) == {"splitting": 0.5, "splitting_error": 0.0}
    assert found.trials_fixed_in_advance


def test_nine_counts_alone_are_one_block(tmp_path: Path) -> None:
    found = load_evidence(written(tmp_path, NINE))
    assert len(found.blocks) == 1
    assert (found.pi, found.laser_only, found.trials_fixed_in_advance) == (None, None, False)
    assert not found.declared


def altered(place: list[str | int], value: object) -> dict[str, Any]:
    entry: Any = copy.deepcopy(NINE | {"blocks": [HALF, REST], "conditions": {}})
    target = entry
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = value
    return dict(entry)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (["conditions"], "COND", "`conditions` must be an object of numbers, but is 'COND'"),
        (["conditions", "spliting"], 0.5, "no condition; did you mean `splitting`"),
        (["conditions", "background"], 1.5, "`background` must be a number of at least 0 and at"),
        (["conditions", "background"], True, "`background` must be a number .* but is True"),
        (["conditions", "device_ratio"], 0.5, "`device_ratio` must be a number of at least 1"),
        (["conditions", "pump_balance"], None, "`pump_balance` must be a number"),
        (["trials_fixed_in_advance"], 1, "must be true or false, but is 1"),
        (["trial_fixed_in_advance"], True, "did you mean `trials_fixed_in_advance`"),
        (["laser_only"], [], r"`laser_only` must be an object with counts, but is \[\]"),
        (["laser_only"], {"trials": 5}, "`laser_only`: `coincidences` must be given"),
        (["pi"], NINE, r"`blocks\[0\]`: `pi` must be given for the set and for each"),
        (["blocks"], [], r"`blocks` must be a list of counts, but is \[\]"),
        (["blocks", 1], 5, r"`blocks\[1\]`: must be an object with counts, but is 5"),
        (["blocks", 1, "read"], [45], r"`blocks\[1\]`: `read` must hold two counts"),
        (["blocks", 1, "trials"], 501, "add up to the whole set, but `trials` is 1000 .* 1001"),
        (["blocks", 0, "coincidences", "r2p2"], 5, "add up to the whole set, but `coincidences`"),
        (["coincidences", "r1p1"], 91, "`blocks` must add up|`r1p1` must not exceed"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(
    tmp_path: Path, place: list[str | int], value: object, message: str
) -> None:
    path = written(tmp_path, {"mine": altered(place, value)})
    with pytest.raises(ValueError, match=message) as error:
        load_evidence(path)
    assert str(error.value).startswith(f"{path}, set 'mine': ")


def test_impossible_counts_are_refused(tmp_path: Path) -> None:
    wrong = NINE | {"laser_only": HALF | {"read": [3, 40]}}
    with pytest.raises(ValueError, match="`r1p1` must not exceed `read 1` = 3, but is 4"):
        load_evidence(written(tmp_path, wrong))


def test_assumptions_of_the_command_line() -> None:
    declared, fixed = assumed_conditions(["splitting=0.5", "trials_fixed_in_advance=true"])
    assert (declared, fixed) == ({"splitting": 0.5}, True)
    for text, message in (
        ("splitting", "must be NAME=VALUE, but is 'splitting'"),
        ("splitting=half", "`splitting` must be a number, but is 'half'"),
        ("splitting=nan", "`splitting` must be a number of at least 0"),
        ("balance=0.1", "`balance` is no condition"),
        ("trials_fixed_in_advance=yes", "must be true or false, but is 'yes'"),
    ):
        with pytest.raises(ValueError, match=message):
            assumed_conditions([text])
    with pytest.raises(ValueError, match="`splitting` must be assumed once, but is given twice"):
        assumed_conditions(["splitting=0.5", "splitting=0.6"])
