"""YAML files that are refused, by name and line."""

import pytest

from labkit.plain import read_yaml


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: each key must stand once, but 'a' is repeated"),
        ("? [a, b]\n: 3\n", "line 1: a key must be a word or a number, but is a list"),
        ("a: &x [*x]\n", "line 1: an anchor must not contain itself"),
        ("kind: [a\n", "must be YAML, but"),
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
