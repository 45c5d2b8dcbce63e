"""The README: short, and what it shows is what this version does, in the order given."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.cli import run

README = Path(__file__).parents[2] / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
SCRIPT = "import sys; from labkit.cli import main; sys.argv[0] = 'labkit'; main()"


def commands():
    for kind, body in BLOCKS:
        if kind == "sh":
            yield from (shlex.split(line, comments=True) for line in body.splitlines() if line)


def test_it_is_short():
    assert len(TEXT.splitlines()) <= 150


def test_ten_lines_of_python_print_what_is_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    program, first, *simulate = next(commands())
    assert (program, first) == ("labkit", "simulate")
    assert run([first, *simulate]) == 0
    number = [kind for kind, _ in BLOCKS].index("python")
    (_, code), (_, shown) = BLOCKS[number : number + 2]
    assert len(code.split("\n")) <= 11
    capsys.readouterr()
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out == shown


@pytest.mark.long
def test_every_command_works_in_the_order_given(tmp_path):
    for program, *words in commands():
        assert program == "labkit"
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, *words], cwd=tmp_path, capture_output=True, text=True,
            env=os.environ | {"PYTHONIOENCODING": "utf-8"}, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{words}: {done.stderr}"
