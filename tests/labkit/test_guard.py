"""The import guard names a foreign package that hides one of labkit's own."""

import subprocess
import sys
from pathlib import Path

import pytest

from labkit._guard import check_packages

ROOT = Path(__file__).parents[2]


def test_own_packages_pass():
    check_packages(ROOT)


def test_foreign_instruments_is_named_with_its_file(tmp_path):
    foreign = tmp_path / "instruments"
    foreign.mkdir()
    (foreign / "__init__.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; import labkit"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"loads the foreign file {foreign}" in done.stderr
    assert "InstrumentKit" in done.stderr


def test_missing_sibling_is_named(tmp_path):
    with pytest.raises(ImportError, match="foreign file"):
        check_packages(tmp_path)
