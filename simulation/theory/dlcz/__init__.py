"""Exact Gaussian model of the pulsed DLCZ experiment with two mechanical devices (seed 003)."""

from simulation.theory.dlcz.budget import visibility_bound
from simulation.theory.dlcz.clicks import (
    ClickProbabilities,
    PairClicks,
    click_patterns,
    click_probabilities,
    g2_clicks,
    pair_clicks,
)
from simulation.theory.dlcz.parameters import DLCZParameters
from simulation.theory.dlcz.presets import riedinger2018, riedinger2018_matched
from simulation.theory.dlcz.scans import (
    at_delay,
    leading_order_g2,
    phase_scan,
    single_device_g2,
)
from simulation.theory.dlcz.state import DetectedState, detected_state, fringe_phase
from simulation.theory.dlcz.witness import (
    g2_moments,
    measurable_witness,
    symmetrised_witness,
    true_witness,
    visibility,
)

__all__ = [
    "ClickProbabilities",
    "DLCZParameters",
    "DetectedState",
    "PairClicks",
    "at_delay",
    "click_patterns",
    "click_probabilities",
    "detected_state",
    "fringe_phase",
    "g2_clicks",
    "g2_moments",
    "leading_order_g2",
    "measurable_witness",
    "pair_clicks",
    "phase_scan",
    "riedinger2018",
    "riedinger2018_matched",
    "single_device_g2",
    "symmetrised_witness",
    "true_witness",
    "visibility",
    "visibility_bound",
]
