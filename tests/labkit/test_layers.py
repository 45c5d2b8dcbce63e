"""The layer contract catches a planted violation; no circles; a class name means one class."""

import re
import shutil
import subprocess
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
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
        ("simulation/lab/instruments/tlb6700.py", "import instruments.roles"),
    ],
)
def test_planted_violation_is_caught(copy, file, line):
    path = copy / file
    path.write_text((path.read_text() if path.exists() else "") + f"\n{line}\n")
    done = lint(copy)
    assert done.returncode == 1
    assert "BROKEN" in done.stdout


def find_cycle(graph):
    """Return files that import each other in a circle, or []; type-only imports count."""
    imports = {
        module: graph.find_modules_directly_imported_by(module) for module in sorted(graph.modules)
    }
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return error.args[1][:-1]
    return []


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False, cache_dir=None)


def test_files_import_each_other_in_no_circle(graph):
    assert find_cycle(graph) == []


def test_circle_is_named():
    graph = grimp.ImportGraph()
    for one, other in (("a.x", "a.y"), ("a.y", "a.z"), ("a.z", "a.x"), ("b", "a.x")):
        graph.add_import(importer=one, imported=other)
    assert sorted(find_cycle(graph)) == ["a.x", "a.y", "a.z"]


def test_public_class_name_means_one_class():
    files = (file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    found = Counter(
        found[1]
        for file in files
        for found in re.finditer(r"^class ([A-Z]\w*)", file.read_text(), re.MULTILINE)
    )
    assert {name for name, count in found.items() if count > 1} == set()
