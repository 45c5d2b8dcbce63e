"""Code that stands in the how-tos works."""

import re
from pathlib import Path

import pytest

HOWTO = Path(__file__).parents[2] / "docs" / "howto"


def code_of(page):
    text = (HOWTO / page).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.long
def test_the_procedure_of_my_own_counts_less_than_the_light_would_give(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "dark_rate"}
    procedure, by_hand = code_of("procedure.md")
    exec(compile(procedure, "procedure.md", "exec"), names)
    exec(compile(by_hand, "procedure.md", "exec"), names)
    rate = float(capsys.readouterr().out.splitlines()[-1])
    assert 0 < rate < 3, "clicks per second in both gates; with light they are 9"


def test_counts_of_many_machines_add(tmp_path, monkeypatch, capsys):
    from labkit.cli import run

    monkeypatch.chdir(tmp_path)
    (tmp_path / "counts").mkdir()
    for seed in ("1", "2"):
        command = ["simulate", "riedinger2018", "--trials", "1e8", "--seed", seed, "-o"]
        assert run([*command, f"{seed}.ptu"]) == 0
        assert run(["analyse", f"{seed}.ptu", "-o", f"counts/{seed}.json"]) == 0
    capsys.readouterr()
    names = {}
    exec(compile(code_of("cluster.md")[0], "cluster.md", "exec"), names)
    assert names["counts"].trials.number == 200_000_000
    assert "R_m(sym)" in capsys.readouterr().out
