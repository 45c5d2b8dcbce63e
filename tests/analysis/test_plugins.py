"""Plug-ins: an installed package adds to labkit's tables; one that does not work harms nothing."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import instruments
from analysis import plugins
from analysis.plugins import PluginWarning, Table
from analysis.tagfile import open_tags
from analysis.tagfile.conversion import convert
from analysis.tagfile.formats import FORMATS
from labkit.cli import doctor
from labkit.procedures import PROCEDURES
from simulation.theory.models import MODELS, get, point

PLUGIN = Path(__file__).parents[1] / "data" / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Install the package of tests/data/plugin by pip, without a network; return where."""
    folder = tmp_path_factory.mktemp("plugin")
    source = shutil.copytree(PLUGIN, folder / "source")  # building leaves files behind
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-build-isolation", "--no-deps", "--target", folder / "site"]
    subprocess.run([*pip, *offline, source], check=True, capture_output=True)
    return folder / "site"


@pytest.fixture
def plugin(tmp_path, monkeypatch, installed):
    """Put the installed package on the path."""
    monkeypatch.syspath_prepend(installed)
    plugins.find_plugins.cache_clear()
    yield tmp_path
    plugins.find_plugins.cache_clear()
    for module in ("labkit_example_plugin", "labkit_example_driver"):
        sys.modules.pop(module, None)


def test_format_of_a_plugin_is_read_like_ours(plugin):
    path = plugin / "some.lines"
    path.write_text("LINES\n1000 0\n2000 1\n")
    assert open_tags(path).n_records == 2
    assert (next(iter(FORMATS)), list(FORMATS)[-1]) == ("ptu", "lines")


def test_format_without_a_writer_is_not_written(plugin):
    source = plugin / "some.csv"
    source.write_text("time_ps,channel\n1000,0\n")
    with pytest.raises(ValueError, match="format lines can be read, but not written"):
        convert(source, plugin / "some.lines")


@pytest.mark.filterwarnings("ignore::analysis.plugins.PluginWarning")
def test_model_of_a_plugin_is_evaluated_by_its_name(plugin):
    assert point("weak_yu2020") == point("yu2020")
    assert get("tan2020").name == "tan2020"


def test_plugins_that_do_not_work_are_named_and_left_out(plugin):
    with pytest.warns(PluginWarning) as told:
        names = list(MODELS)
    assert names[-1] == "weak_yu2020"
    assert names.count("tan2020") == 1
    messages = {str(warning.message) for warning in told}
    start = "of labkit-example-plugin (labkit.models: labkit_example_plugin:"
    assert messages == {
        f"plug-in 'broken' {start}MISSING) is left out: AttributeError: "
        "module 'labkit_example_plugin' has no attribute 'MISSING'",
        f"plug-in 'wrong' {start}LINES) is left out: it must be a Model, but is a Format",
        f"plug-in 'tan2020' {start}WEAK) is left out: 'tan2020' is labkit's own name",
    }


def test_procedure_of_a_plugin_is_loaded_like_ours(plugin):
    function, options = PROCEDURES["wait"].load()
    assert function.__name__ == "wait"
    assert options().seconds == 1.0


def test_driver_of_a_plugin_has_a_short_name_like_ours(plugin):
    assert instruments.EchoMeter.__module__ == "labkit_example_driver"
    with pytest.raises(AttributeError, match=r"'BrokenMeter' of plug-in labkit-example-plugin .*"):
        _ = instruments.BrokenMeter
    with pytest.raises(AttributeError, match="module 'instruments' has no attribute 'NoMeter'"):
        _ = instruments.NoMeter


def test_doctor_says_which_plugins_work(plugin):
    listed = doctor.plugins()
    assert len(listed) == 8
    trouble = {plugin.split("'")[1]: text for plugin, text in listed.items() if text}
    assert trouble.keys() == {"broken", "BrokenMeter"}
    assert trouble["broken"].startswith("AttributeError: ")


def test_our_own_entries_need_no_plugin_to_be_loaded(plugin):
    assert FORMATS["ptu"].suffixes == (".ptu",)
    assert "lock" in PROCEDURES
    assert "labkit_example_plugin" not in sys.modules


def test_missing_name_is_a_key_error_and_own_references_are_resolved():
    table = Table("labkit.models", dict, {"warnings": "analysis.plugins:GROUPS"})
    assert table["warnings"] is plugins.GROUPS
    with pytest.raises(KeyError, match="nothing"):
        table["nothing"]
