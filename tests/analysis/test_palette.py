"""One palette for all pictures."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from analysis import palette

ROOT = Path(__file__).parents[2]
WEB = ("labkit/dashboard", "labkit/report")
"""Pages have style sheets of their own."""


def test_no_picture_has_colours_of_its_own():
    own = [
        str(path.relative_to(ROOT))
        for package in ("labkit", "analysis", "instruments", "simulation")
        for path in (ROOT / package).rglob("*.py")
        if path.name != "palette.py" and not path.relative_to(ROOT).as_posix().startswith(WEB)
        if re.search(r"[\"']#[0-9a-fA-F]{6}[\"']", path.read_text(encoding="utf-8"))
    ]
    assert own == []


@pytest.mark.parametrize("weights", [(0.2126, 0.7152, 0.0722), (0.0, 0.95, 0.05)])
def test_neighbouring_curves_differ_for_eyes_that_see_no_red(weights):
    """Colours one after the other are apart in blue–yellow or in lightness, red left out."""
    rgb = [[int(c[k : k + 2], 16) / 255 for k in (1, 3, 5)] for c in palette.COLORS]
    for first, second in pairwise(rgb):
        lightness = sum(w * (a - b) for w, a, b in zip(weights, first, second, strict=True))
        assert max(abs(lightness), abs(first[2] - second[2])) > 0.1
