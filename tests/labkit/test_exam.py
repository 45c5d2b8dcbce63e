"""Exams: one hidden fault, the same for the same seed, sealed until asked for."""

import json

import pytest

from labkit.station.config import read_station_file
from labkit.station.opening import start_world
from simulation.lab.exam import AILMENTS, draw_fault, said, seal, unseal
from simulation.lab.plant_faults import PlantFault


def test_exam_is_sealed_until_the_answer_is_asked_for(tmp_path, labkit):
    path = tmp_path / "exam.yaml"
    assert labkit("lab", "exam", "--seed", 4, "-o", path)[0] == 0
    fault = draw_fault(4)
    text = path.read_text(encoding="utf-8")
    assert str(fault["kind"]) not in text.partition("world:")[2].partition("instruments:")[0]
    code, out, _ = labkit("lab", "exam", "--answer", path, "--json")
    assert code == 0
    assert json.loads(out)["fault"] == fault
    assert AILMENTS[fault["kind"]].meaning in labkit("lab", "exam", "--answer", path)[1]
    assert labkit("lab", "exam", "--seed", 4, "-o", path)[0] == 1, "nothing is overwritten"


def test_world_of_an_exam_has_the_fault(tmp_path, labkit):
    seed = next(n for n in range(100) if draw_fault(n)["kind"] == "arm_transmission")
    path = tmp_path / "exam.yaml"
    labkit("lab", "exam", "--seed", seed, "-o", path)
    fault = draw_fault(seed)
    file = read_station_file(path)
    with start_world(file):
        pass
    from simulation.lab.exam import ExamWorld

    with ExamWorld.start(**file.config.world.options) as world:
        place = "AB".index(fault["target"])
        assert world.plant.constants.arm_transmission[place] == fault["value"]


def test_every_kind_is_a_fault_of_the_plant_and_is_drawn():
    drawn = {draw_fault(seed)["kind"] for seed in range(300)}
    assert drawn == set(AILMENTS)
    for kind in AILMENTS:
        fault = draw_fault(1, kind)
        assert PlantFault.from_plain(fault).kind == kind
        assert AILMENTS[kind].meaning in said(fault)
        ailment = AILMENTS[kind]
        if ailment.high:
            assert ailment.low <= abs(fault["value"]) <= ailment.high


def test_changed_seal_is_refused(tmp_path, labkit):
    sealed = seal(draw_fault(1), 1)
    assert unseal(sealed) == draw_fault(1)
    for wrong in ("", sealed[1:], sealed[:-1], "a" + sealed):
        with pytest.raises(ValueError, match="its hash does not match"):
            unseal(wrong)
    path = tmp_path / "lab.yaml"
    path.write_text(read_station_file("virtual").text, encoding="utf-8")
    code, _, error = labkit("lab", "exam", "--answer", path)
    assert code == 1
    assert "must be an exam" in error
    with pytest.raises(ValueError, match="`kind` must be one of"):
        draw_fault(1, "gremlin")
