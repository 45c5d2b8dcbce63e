"""Entanglement witness R_m: its value, its exact posterior, its systematic corrections."""

from analysis.witness.estimate import Witness, witness
from analysis.witness.posterior import WitnessPosterior
from analysis.witness.systematics import imbalance_correction, systematic_bound, witness_ratio

__all__ = [
    "Witness",
    "WitnessPosterior",
    "imbalance_correction",
    "systematic_bound",
    "witness",
    "witness_ratio",
]
