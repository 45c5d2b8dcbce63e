"""The import guard names a foreign package that hides or overwrites one of labkit's own."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labkit._guard import PACKAGES, check_packages

ROOT = Path(__file__).parents[2]


@pytest.fixture
def site(tmp_path):
    """A folder with what `import labkit` needs, as an installation has it."""
    for package in ("labkit", *PACKAGES):
        (tmp_path / package).mkdir()
        for file in ("__init__.py", "__init__.pyi", "_guard.py", "lazy_names.py"):
            if (ROOT / package / file).exists():
                shutil.copy(ROOT / package / file, tmp_path / package)
    return tmp_path


def distribution(folder, name, version, file):
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text(f"{file},,\n{info.name}/METADATA,,\n")


def import_labkit(*folders):
    code = f"import sys; sys.path[:0] = {[str(folder) for folder in folders]!r}; import labkit"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


def test_own_packages_pass(site):
    check_packages(ROOT)
    assert import_labkit(site) == ""


def test_package_that_hides_ours_is_named_with_its_file(site, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "instruments").mkdir()
    (other / "instruments" / "__init__.py").write_text("")
    distribution(other, "instrumentkit", "0.6.0", "instruments/__init__.py")
    message = import_labkit(other, site)
    assert f"loads the foreign file {other / 'instruments'}" in message
    assert "it belongs to instrumentkit 0.6.0; uninstall that" in message


def test_users_own_folder_is_not_to_be_uninstalled(site, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    (home / "analysis").mkdir()
    (home / "analysis" / "plot.py").write_text("")
    (home / "analysis" / "__init__.py").write_text("")
    message = import_labkit(home, site)
    assert "a folder or file of your own named 'analysis'; rename it" in message
    assert "uninstall" not in message


def test_package_that_overwrote_ours_is_named_with_the_repair(site):
    (site / "instruments" / "__init__.py").write_text("from .units import ureg\n")
    distribution(site, "instrumentkit", "0.6.0", "instruments/__init__.py")
    distribution(site, "labkit", "0.1.0", "instruments/__init__.py")
    message = import_labkit(site)
    assert f"{site / 'instruments' / '__init__.py'} must be labkit's own file" in message
    assert "instrumentkit 0.6.0 overwrote it; uninstall that, then reinstall labkit" in message


def test_changed_file_without_a_culprit_blames_nobody(site):
    (site / "simulation" / "__init__.py").write_text("")
    assert "something changed it; reinstall labkit" in import_labkit(site)


def test_file_that_an_uninstallation_took_along_is_missed(site):
    (site / "instruments" / "__init__.py").unlink()
    (site / "instruments" / "roles.py").write_text("")
    assert "'instruments' must be beside labkit" in import_labkit(site)


def test_sibling_of_another_home_is_refused(tmp_path):
    with pytest.raises(ImportError, match="foreign file"):
        check_packages(tmp_path)
