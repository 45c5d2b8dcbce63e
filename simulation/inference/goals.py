"""What else the same devices and settings would show: a Bell violation, the heralded state."""

from dataclasses import dataclass, fields, replace

import numpy as np

from simulation.inference.budget import DrawInterval
from simulation.inference.operation import USUAL, Knobs, Operation
from simulation.theory.dlcz import DLCZParameters
from simulation.theory.protocols.bell2018 import Bell2018, solve
from simulation.theory.protocols.heralded import populations
from simulation.theory.protocols.witnesses import heralded_devices

SIGMAS = 3.0
"""By how much S is to violate its bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """By the model, at one setting.

    Attributes
    ----------
    S : DrawInterval
        CHSH of coincidences at the phases of Marinković et al. (2018) about the best one.
    bell_trials : DrawInterval
        For S > 2 by 3 σ; inf where there is no violation.
    fidelity, concurrence : DrawInterval
        Of the devices just before the read, given a click: with (|10⟩ + e^{iφ}|01⟩)/√2,
        F = (p₁₀ + p₀₁)/2 + |d|, and concurrence; mean of both heralds. Contrast and phase noise
        are taken as lost in the read.
    """

    S: DrawInterval
    bell_trials: DrawInterval
    fidelity: DrawInterval
    concurrence: DrawInterval

    def to_dict(self) -> dict[str, dict[str, float | None]]:
        """Return plain types."""
        return {entry.name: getattr(self, entry.name).to_dict() for entry in fields(self)}


def goals_at(operation: Operation, knobs: Knobs = USUAL) -> Goals:
    """Return what the model promises at some settings.

    Parameters
    ----------
    operation : Operation
    knobs : Knobs
    """
    parameters = operation.at(knobs).parameters
    own = {e.name: getattr(parameters, e.name) for e in fields(DLCZParameters)}
    # the settings of the Bell test are turned about the phase of best agreement
    best = operation.at(replace(knobs, theta=0.0)).parameters
    bell = solve(
        Bell2018(**own | {"delta_phi": best.delta_phi, "n_sigma": SIGMAS, "period": knobs.period}),
        ("S", "events", "time"),
    )
    found = [populations(heralded_devices(parameters, j)) for j in (1, 2)]
    fidelity = np.mean([(one.p10 + one.p01) / 2 + np.abs(one.d) for one in found], axis=0)
    return Goals(
        S=DrawInterval.of(np.asarray(bell["S"])),
        bell_trials=DrawInterval.of(np.asarray(bell["time"]) / knobs.period),
        fidelity=DrawInterval.of(fidelity),
        concurrence=DrawInterval.of(np.mean([one.concurrence for one in found], axis=0)),
    )
