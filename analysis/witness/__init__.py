"""Entanglement witness R_m: its value, its exact posterior, its systematic corrections."""

from analysis.witness.estimate import Witness, witness
from analysis.witness.posterior import WitnessPosterior
from analysis.witness.ratio import witness_ratio
from analysis.witness.systematics import imbalance_correction, systematic_bound

__all__ = [
    "Witness",
    "WitnessPosterior",
    "imbalance_correction",
    "systematic_bound",
    "witness",
    "witness_ratio",
]
