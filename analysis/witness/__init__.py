"""Entanglement witness: R_m as published, and a verdict with its conditions and valid tests."""

from analysis.witness.anytime import AnytimeTest, anytime_test
from analysis.witness.cells import Cells, cells_of, cells_of_blocks
from analysis.witness.conditions import Condition
from analysis.witness.estimate import Witness, witness
from analysis.witness.posterior import WitnessPosterior
from analysis.witness.profile import RatioEstimate, ratio_estimate
from analysis.witness.separable import largest_separable, separable_bound, symmetrised_witness
from analysis.witness.systematics import imbalance_correction, systematic_bound, witness_ratio
from analysis.witness.verdict import Verdict, judge

__all__ = [
    "AnytimeTest",
    "Cells",
    "Condition",
    "RatioEstimate",
    "Verdict",
    "Witness",
    "WitnessPosterior",
    "anytime_test",
    "cells_of",
    "cells_of_blocks",
    "imbalance_correction",
    "judge",
    "largest_separable",
    "ratio_estimate",
    "separable_bound",
    "symmetrised_witness",
    "systematic_bound",
    "witness",
    "witness_ratio",
]
