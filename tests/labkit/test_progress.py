"""What a run tells whoever watches it."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from labkit.cli import run_display
from labkit.run.progress import WitnessProgress

HALF = WitnessProgress(
    trials=500, goal_trials=1000, block_trials=200, seconds=30.0, goal_seconds=None,
    click_rate=9.4, g2={"r2p1": 7.6}, ratio=0.74,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "of_block", "part"),
    [
        ({}, 0.0, 0.5),
        ({}, 0.5, 0.6),
        ({"trials": 990}, 1.0, 1.0),
        ({"goal_seconds": 40.0}, 0.0, 0.75),
        ({"goal_trials": None, "goal_seconds": 60.0}, 0.9, 0.5),
        ({"goal_trials": None}, 0.5, None),
    ],
)
def test_part_is_that_of_the_goal_that_is_nearest(changes, of_block, part):
    assert replace(HALF, **changes).part(of_block) == part


def test_text_names_rate_g2_and_witness():
    assert str(HALF) == "500 trials  9.4 clicks/s  g²(r2p1) 7.60  R 0.740"
    assert str(replace(HALF, trials=0)) == "no good block yet"


def shown(monkeypatch, *, terminal):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=160)
    monkeypatch.setattr(run_display, "remarks", console)
    with run_display.RunDisplay() as display:
        display.say("locked")
        display.report(HALF)
        display.advance(5.0, 10.0)
        display._bars.refresh()  # else drawn a tenth of a second later
    return screen.getvalue()


def test_terminal_shows_bars_of_run_and_block(monkeypatch):
    text = shown(monkeypatch, terminal=True)
    assert "locked" in text
    assert "60%" in text
    assert "R 0.740" in text
    assert "5 of 10 s of data" in text


def test_file_gets_lines_only(monkeypatch):
    assert shown(monkeypatch, terminal=False) == "locked\n"
