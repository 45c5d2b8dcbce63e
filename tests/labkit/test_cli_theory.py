"""``labkit theory``: what it prints, writes and refuses."""

import json
import sys

import numpy as np
import pytest
import xarray as xr

from labkit import __version__
from labkit.cli import main


@pytest.fixture
def labkit(monkeypatch, capsys):
    """Run a command line; returns exit code, stdout and stderr."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["labkit", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        printed = capsys.readouterr()
        return end.value.code or 0, printed.out, printed.err

    return run


def test_list_names_all_models(labkit):
    code, out, _ = labkit("theory", "list")
    models = [line.split()[0] for line in out.splitlines() if not line.startswith(" ")]
    assert code == 0
    assert models == [
        "fan2026_cascade",
        "fan2026_pulsed",
        "liu2024",
        "riedinger2018",
        "tan2020",
        "yu2020",
        "bell2018",
        "fan2026_storage",
        "memory2020",
        "network_herald",
        "single_phonons2017",
        "swapping",
        "tan2020_readout",
        "teleportation2021",
        "transducer",
    ]


def test_show_gives_defaults_units_and_sources(labkit):
    code, out, _ = labkit("theory", "show", "fan2026_pulsed")
    assert code == 0
    assert all(word in out for word in ("energy_1", "4e-12", "derived", "Eq. (12)", "E_12"))


def test_point_as_json_has_parameters_and_results(labkit):
    code, out, _ = labkit("theory", "point", "yu2020", "--set", "delta_1=0.9", "--set",
                          "delta_2=-1.1", "--json")  # fmt: skip
    answer = json.loads(out)
    assert code == 0
    assert list(answer) == ["model", "parameters", "results"]
    assert answer["parameters"]["delta_2"] == -1.1
    assert answer["parameters"]["temperature"] == 0.02
    assert answer["results"]["E_N"] == pytest.approx(0.0680791354, rel=1e-8)
    assert answer["results"]["stable"] is True


def test_complex_results_are_pairs_and_components_are_named(labkit):
    cascade = json.loads(labkit("theory", "point", "fan2026_cascade", "--json")[1])["results"]
    assert cascade["G_1_hz"] == pytest.approx([617837, -33782], abs=1)
    dlcz = json.loads(labkit("theory", "point", "riedinger2018", "--json")[1])["results"]
    assert list(dlcz["p_click"]) == ["p1", "p2", "r1", "r2"]
    assert list(dlcz["g2"]) == ["r1p1", "r2p1", "r1p2", "r2p2"]
    assert list(dlcz["R_m"]) == ["1", "2", "sym"]
    assert list(dlcz["R"]) == ["1", "2"]


def test_what_is_infinite_is_null_and_said(labkit):
    code, out, err = labkit("theory", "point", "riedinger2018", "--json", "--set", "p_read_A=0",
                            "--set", "p_read_B=0", "--set", "lifetime_A=inf")  # fmt: skip
    answer = json.loads(out)
    assert code == 0
    assert answer["parameters"]["lifetime_A"] is None
    assert answer["results"]["R_m_moments"]["1"] is None
    assert "R_m_moments 1 is inf, shown as null" in err


def test_point_as_text_has_units_and_meanings(labkit):
    code, out, _ = labkit("theory", "point", "liu2024", "--set", "variant=slh")
    assert code == 0
    assert "growth_rate" in out
    assert "omega_m" in out


def test_unstable_point_is_one_line_and_exit_code_1(labkit):
    code, out, err = labkit("theory", "point", "liu2024", "--json")
    assert (code, out) == (1, "")
    assert "growth rate +0.266029" in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("point", "yu2021"), "no model 'yu2021'; nearest: yu2020"),
        (("point", "yu2020", "--set", "delta1=1"), "no parameter 'delta1'; nearest: delta_1"),
        (("point", "yu2020", "--set", "delta_1"), "--set must be NAME=VALUE"),
        (("point", "yu2020", "--set", "delta_1=high"), "`delta_1` must be a number"),
        (("point", "tan2020", "--set", "eta=1.5"), "`eta` must lie in [0, 1], but is 1.5"),
        (("sweep", "tan2020", "--x", "eta:0:1", "-o", "no.nc"), "--x must be NAME:START:STOP:N"),
        (("sweep", "tan2020", "--x", "eta:0:1:3", "-o", "gone/a.nc"), "there is no folder gone"),
        (("sweep", "tan2020", "--x", "eta:0:1:3", "-o", "a.csv"), "--output must end in .nc"),
        (("sweep", "tan2020", "--x", "eta:0:1:1" + 15 * "0", "-o", "a.nc"), "Unable to allocate"),
        (("point", "tan2020", "--set", "eta=0", "--set", "eta=1"), "--set eta must be given once"),
        (("figure", "yu2020-2a", "--page", "gone/p.md"), "there is no gone"),
        (("figure", "yu2020-2a", "--out", __file__), "--out must be a folder"),
        (("figure", "yu2020-9"), "no figure 'yu2020-9'; nearest: yu2020-"),
        (("figure",), "name figures or give --all; there are fan2026-2"),
    ],
)
def test_mistakes_are_named(labkit, arguments, message):
    code, _, err = labkit("theory", *arguments)
    assert code == 1
    assert message in err


def test_only_the_named_results_are_computed_and_written(labkit, tmp_path):
    file = tmp_path / "line.nc"
    line = ("theory", "sweep", "yu2020", "--x", "delta_1:0.9:1.1:3", "-o", file)
    assert labkit(*line, "--only", "E_N, n_phonon")[0] == 0
    with xr.open_dataset(file) as data:
        assert set(data.data_vars) == {"E_N", "n_phonon", "stable"}
    code, _, err = labkit(*line, "--overwrite", "--only", "EN")
    assert code == 1
    assert "no result 'EN' of yu2020; nearest: E_N" in err


def test_sweep_writes_a_labelled_grid(labkit, tmp_path):
    file = tmp_path / "grid.nc"
    code, _, _ = labkit("theory", "sweep", "fan2026_cascade", "--x", "delta_c:0:2:5", "--y",
                        "eta:0:1:3", "--set", "delta_1=-1", "-o", file)  # fmt: skip
    assert code == 0
    with xr.open_dataset(file, engine="h5netcdf") as data:
        assert dict(data.sizes) == {"delta_c": 5, "eta": 3, "part": 2}
        assert data["G_1_hz"].dims == ("delta_c", "eta", "part")
        assert data["delta_c"].attrs["units"] == "omega_b"
        assert data.attrs["delta_1"] == -1
        assert data.attrs["Conventions"] == "ACDD-1.3"
        assert data.attrs["title"] == "fan2026_cascade over delta_c, eta"
        assert data.attrs["labkit_version"] == __version__
        reference = data["E_mb"].sel(delta_c=1.0, eta=1.0)
        assert float(reference) == pytest.approx(0.1978932897, rel=1e-8)


def test_sweep_flags_what_has_no_steady_state_and_replaces_only_when_told(labkit, tmp_path):
    arguments = ("theory", "sweep", "tan2020", "--x", "delta_1:-1:1:2", "-o", tmp_path / "s.nc")
    _, _, err = labkit(*arguments)
    assert "1 without a steady state (nan, flagged)" in err
    with xr.open_dataset(tmp_path / "s.nc", engine="h5netcdf") as data:
        assert data["stable"].values.tolist() == [False, True]
        assert np.isnan(data["E_bm"].values).tolist() == [True, False]
    code, _, err = labkit(*arguments)
    assert code == 1
    assert "use --overwrite" in err
    assert labkit(*arguments, "--overwrite")[0] == 0


def test_figure_writes_pictures_and_a_page(labkit, tmp_path):
    page = tmp_path / "page.md"
    code, out, _ = labkit("theory", "figure", "yu2020-2a", "riedinger2018-S1",
                          "--out", tmp_path / "png", "--points", "5", "--page", page)  # fmt: skip
    assert code == 0
    assert out.split() == [
        str(tmp_path / "png" / "riedinger2018-S1.png"),
        str(tmp_path / "png" / "yu2020-2a.png"),
        str(page),
    ]
    assert "(png/yu2020-2a.png)" in page.read_text(encoding="utf-8")


def test_words_of_digits_stay_words(labkit):
    pattern = ("--set", "herald=011", "--set", "reads=x1x", "--json")
    code, out, _ = labkit("theory", "point", "network_herald", *pattern)
    assert code == 0
    assert json.loads(out)["parameters"]["herald"] == "011"


def test_words_that_do_not_fit_are_refused(labkit):
    code, _, err = labkit("theory", "point", "network_herald", "--set", "herald=012")
    assert code == 1
    assert "`herald` must be a word of 1 (click), 0 (silent), x (not asked)" in err
