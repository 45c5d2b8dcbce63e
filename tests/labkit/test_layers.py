"""The layer contract catches a planted violation."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("labkit", "simulation", "instruments", "analysis")


@pytest.fixture
def copy(tmp_path):
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint(folder):
    code = "from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_tree_keeps_its_layers(copy):
    done = lint(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("analysis/gates.py", "import labkit.report"),
        ("analysis/gates.py", "import qcodes"),
        ("analysis/gates.py", "import instruments"),
        ("simulation/theory/planted.py", "import h5py"),
        ("simulation/theory/planted.py", "import simulation.recordings.ptu"),
        ("simulation/theory/planted.py", "from pathlib import Path"),
        ("simulation/lab/instruments/tlb6700.py", "import instruments.roles"),
    ],
)
def test_planted_violation_is_caught(copy, file, line):
    path = copy / file
    path.write_text((path.read_text() if path.exists() else "") + f"\n{line}\n")
    done = lint(copy)
    assert done.returncode == 1
    assert "BROKEN" in done.stdout
