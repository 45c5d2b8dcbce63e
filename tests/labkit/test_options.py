"""Options of procedures are refused before any instrument is touched."""

from math import inf, nan

import pytest

from labkit.experiment import options_of
from labkit.procedures import PROCEDURES


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("identify", {"optical": {"points": 3}}, "`points` must be at least 5, but is 3"),
        ("identify", {"mechanical": {"span_hz": 0.0}}, "`span_hz` must be > 0, but is 0"),
        ("filters", {"trials": 0}, "`trials` must be at least 1, but is 0"),
        ("balance", {"rounds": 0}, "`rounds` must be at least 1, but is 0"),
        ("lock", {"phase": nan}, "`phase` must be a finite number, but is nan"),
        ("thermometry", {"trials": 5}, "`trials` must be at least 10, but is 5"),
        ("pump_probe", {"delays": [1e-6, nan]}, "`delays` must be a finite number, but is nan"),
        ("pump_probe", {"delays": [1e-6, 2e-6]}, "`delays` must be at least 5 different ones"),
        ("g2", {"block": -1}, "`block` must be at least 1, but is -1"),
        ("phase_sweep", {"stop": 0.0}, "`start` and `stop` must differ, but both are 0"),
        ("phase_sweep", {"points": 3}, "`points` must be at least 4, but is 3"),
        ("phase_sweep", {"trials": 0}, "`trials` must be at least 1, but is 0"),
        ("balance", {"steps": 0}, "`steps` must be at least 1, but is 0"),
        ("null_test", {"bright_trials": 0}, "`bright_trials` must be at least 1, but is 0"),
        ("bell", {"trials": 0}, "`trials` must be at least 1, but is 0"),
        ("single_phonons", {"block": 0}, "`block` must be at least 1, but is 0"),
        ("delay_sweep", {"delays": []}, "`delays` must name at least one window, but is empty"),
        ("witness", {"goal": {"trials": 1e6, "bound": inf}}, "`bound` must be a finite number"),
        ("autopilot", {"witness": {"goal": {"trials": 1e6}, "attempts": 0}}, "`attempts` must be"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(kind, options, message):
    with pytest.raises(ValueError, match=f"file: options: .*{message}"):
        options_of(kind, options, "file")


@pytest.mark.parametrize("kind", [kind for kind in PROCEDURES if kind != "witness"])
def test_defaults_make_sense(kind):
    options_of(kind, {}, "file")
