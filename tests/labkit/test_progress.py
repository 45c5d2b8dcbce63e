"""What a run tells whoever watches it."""

import io
import re
from dataclasses import replace
from math import pi

import pytest
from rich.console import Console

from labkit.cli import run_display
from labkit.run.progress import Step, WitnessProgress, said_setting

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
    assert re.fullmatch(r"\d\d:\d\d:\d\d  locked\n", shown(monkeypatch, terminal=False))


class Clock:
    """Seconds that pass when told to."""

    now = 0.0

    def __call__(self):
        return self.now


def test_points_of_a_scan_are_no_lines_and_its_time_left_is_told_every_minute(monkeypatch):
    screen, clock = io.StringIO(), Clock()
    console = Console(file=screen, force_terminal=False, width=160)
    monkeypatch.setattr(run_display, "remarks", console)
    outer = Step(procedure="autopilot", number=8, of=9, what="phase sweep")
    with run_display.RunDisplay(clock) as display:
        display.step((outer,))
        for number in range(1, 10):
            place = said_setting("delta_phi", (number - 1) * pi / 4)
            display.step((outer, Step(procedure="phase_sweep", number=number, of=9, what=place)))
            clock.now += 25.0
            display.point(f"{place}: g² 6.1 crossed, 1.2 same")
        display.say("optimal phase 0.12 π")
    lines = [line[10:] for line in screen.getvalue().splitlines()]
    assert lines[0] == "autopilot 8 of 9 (phase sweep)"
    assert lines[-1] == "optimal phase 0.12 π"
    assert lines[1] == (
        "autopilot 8 of 9 (phase sweep) · phase sweep 4 of 9 (Δφ = 0.75 π) · 150 s left"
    ).replace("150 s", "2 min")
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("delta_phi", 1.25 * pi, "Δφ = 1.25 π"), ("delay", 123e-9, "delay = 123 ns"),
        ("voltage", 5.12345, "voltage = 5.123"),
    ],
)  # fmt: skip
def test_settings_are_said_as_users_say_them(name, value, said):
    assert said_setting(name, value) == said
