"""One version and one list of changes, and how to cite it."""

from pathlib import Path

import pytest

from analysis.yamlfile import read_yaml
from labkit import __version__

ROOT = Path(__file__).parents[2]


def test_citation_and_changelog_are_of_this_version():
    cited = read_yaml(ROOT / "CITATION.cff")
    assert cited["version"] == __version__
    assert len(cited["references"]) == 5
    assert f"## [{__version__}] - {cited['date-released']}" in (ROOT / "CHANGELOG.md").read_text(
        "utf-8"
    )


@pytest.mark.parametrize("word", ["hatchling", "sphinx", "myst-nb", "typer", "rich"])
def test_what_builds_and_shows_is_pinned(word):
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower().splitlines()
    assert any(line.startswith(f"{word}==") for line in pins)
