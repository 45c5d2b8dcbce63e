"""YAML files that are refused, by name and line."""

import pytest

from analysis.yamlfile import parse_yaml, read_yaml, yaml_text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: each key must stand once, but 'a' is repeated"),
        ("? [a, b]\n: 3\n", "line 1: a key must be a word or a number, but is a list"),
        ("a: &x 1\nb: &x 2\n", "line 2: each anchor must stand once, but &x is repeated"),
        ("a: &x [*x]\n", "line 1: an anchor must not contain itself"),
        ("kind: [a\n", "line 2: must be YAML, but"),
    ],
)
def test_file_that_cannot_be_meant_is_refused(tmp_path, text, message):
    path = tmp_path / "e.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"e.yaml: {message}"):
        read_yaml(path)


def test_anchor_may_stand_in_many_places(tmp_path):
    path = tmp_path / "e.yaml"
    path.write_text("a: &x {b: 1}\nc: *x\nd: [*x, *x]\n", encoding="utf-8")
    assert read_yaml(path) == {"a": {"b": 1}, "c": {"b": 1}, "d": [{"b": 1}, {"b": 1}]}


def test_who_changes_what_was_read_changes_it_for_nobody_else():
    text = "a: &x {b: 1}\nc: *x\n"
    first = parse_yaml(text, "e")
    first["a"]["b"] = 2
    assert first["c"] == {"b": 2}
    assert parse_yaml(text, "e") == {"a": {"b": 1}, "c": {"b": 1}}


def test_numbers_without_a_dot_are_numbers_and_words_are_words(tmp_path):
    assert parse_yaml("a: 50e-6\nb: on\nc: 40_000_000\n", "e") == {
        "a": 50e-6, "b": "on", "c": 40_000_000,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["[" * 3000 + "]" * 3000, "- " * 3000 + "1", "{a: " * 3000])
def test_deep_nesting_is_refused_by_name(text):
    with pytest.raises(ValueError, match=r"e.yaml: line 1: .* nested at most 50 deep"):
        parse_yaml(text, "e.yaml")


def test_text_of_plain_types_reads_back_also_under_yaml_1_1():
    plain = {"period": 5e-5, "on": True, "list": [1, 2.5, None], "map": {"1": "yes", "z": -1e300}}
    assert parse_yaml(yaml_text(plain), "e") == plain
    assert "period: 5.0e-05" in yaml_text(plain)
