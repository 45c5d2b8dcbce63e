"""Surveys of chips from CSV files, and ``labkit match``."""

import json

import numpy as np
import pytest

from labkit.chip_survey import match_chips, read_survey
from labkit.cli import run


@pytest.fixture
def surveys(tmp_path):
    """Two chips of 234 devices with 2 nm scatter, as in seed 003; one pair is made to match."""
    rng = np.random.default_rng(5)
    paths = []
    for name in ("north", "south"):
        nm = rng.normal(1551.2, 2.0, 234)
        nm[17] = 1553.8
        path = tmp_path / f"{name}.csv"
        rows = [f"D{n},{value:.7f},ok" for n, value in enumerate(nm)]
        path.write_text("\n".join(["device,wavelength_nm,remark", *rows]) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def test_match_finds_the_pair_and_the_papers_probability(surveys, tmp_path, capsys):
    picture = tmp_path / "match.png"
    assert run(["match", *map(str, surveys), "--plot", str(picture), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sets"][0]["devices"] == ["D17", "D17"]
    assert found["sets"][0]["spread_hz"] == pytest.approx(0.0, abs=1e3)
    assert found["sets"][0]["wavelength"] == pytest.approx(1553.8e-9)
    assert found["probability"] > 0.999
    assert found["by_formula"] > 0.999
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert run(["match", *map(str, surveys), "--most", "3"]) == 0
    assert "matching sets; chips with this scatter" in capsys.readouterr().out


def test_quartets_match_on_four_chips(tmp_path):
    rng = np.random.default_rng(6)
    chips = []
    for name in "abcd":
        path = tmp_path / f"{name}.csv"
        nm = [*rng.normal(1551.2, 2.0, 60), 1550.0 + 1e-4 * rng.random()]
        path.write_text(
            "device,wavelength_nm\n" + "\n".join(f"{n},{v}" for n, v in enumerate(nm)),
            encoding="utf-8",
        )
        chips.append(read_survey(path))
    found = match_chips(chips, draws=200)
    assert found.sets[0].devices == (60, 60, 60, 60)
    assert found.sets[0].spread_hz < 1e-13 * 299_792_458 / 1550e-9**2
    assert found.probability < found.by_formula + 4 * found.probability_sigma
    assert len(found.figure().get_yticklabels()) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,nm\nA,1551\n", "line 1 must name the columns device, wavelength_nm"),
        ("device,wavelength_nm\nA,soon\n", "line 2: `wavelength_nm` must be a number above 0"),
        ("device,wavelength_nm\n", "at least one device"),
        ("device,wavelength_nm\nA,1551\nA,1552\n", "'A' is listed twice"),
    ],
)
def test_survey_that_cannot_be_read_says_where(tmp_path, text, message):
    path = tmp_path / "chip.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_survey(path)


def test_one_chip_matches_nothing(surveys):
    with pytest.raises(ValueError, match="two or more chips"):
        match_chips([read_survey(surveys[0])])
