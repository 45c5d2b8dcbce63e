"""What a block is compared with: verified blocks before it, and calibrations of its run."""

from collections.abc import Sequence
from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.constancy import reference_of
from analysis.gates import GateSet
from labkit.run.evidence import SPLITTING, STRAY_LIGHT, Epoch, epochs
from labkit.run.journal import Block

Real = NDArray[np.float64]

MEMORY = 12
"""Verified blocks before a block to which its rates are compared."""

WARMER, WARMER_BY = 1.5, 0.02
"""Factor, and K, by which a cryostat may be warmer than it was."""

FEWEST = 3
"""Verified blocks from which the scatter of a monitor is known."""

NOISY = 0.2
"""A power that scatters by more than this part of the allowed change is not watched."""


class Reference(NamedTuple):
    """Clicks per trial and their standard deviations, shape (gates, detectors)."""

    rates: Real
    sigmas: Real

    def by_gate(self, gates: GateSet) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
        """Return both by the gates' names, for each detector."""
        names = gates.names
        return (
            {name: self.rates[n].tolist() for n, name in enumerate(names)},
            {name: self.sigmas[n].tolist() for n, name in enumerate(names)},
        )


def since_balance(blocks: Sequence[Block]) -> Epoch:
    """Return what was verified since the arms were balanced last: before, rates were others."""
    return epochs(block for block in blocks if block.good)[-1]


def usual_rates(verified: Sequence[Block]) -> Reference | None:
    """Return what verified blocks of one setting click per trial, and how sure that is.

    The median of the last blocks, and its standard deviation, from the median absolute deviation
    and not less than counting statistics; None without blocks.

    Parameters
    ----------
    verified : sequence of Block
        Those that count, in order; a block that does not is never a reference.
    """
    blocks = [block for block in verified if block.good][-MEMORY:]
    blocks = [block for block in blocks if block.gates == blocks[-1].gates]
    if not blocks:
        return None
    singles = np.array([block.singles for block in blocks], float)
    trials = np.array([block.trials for block in blocks], float)[:, None, None]
    rates = singles / trials
    middle = np.median(rates, axis=0)
    scatter = 1.4826 * np.median(np.abs(rates - middle), axis=0)
    poisson = np.sqrt(np.maximum(singles.sum(axis=0), 1.0)) / trials.sum()
    return Reference(middle, np.maximum(1.2533 * scatter / sqrt(len(blocks)), poisson))


def calibrated_rates(epoch: Epoch, gates: GateSet) -> Reference | None:
    """Return what both arms together must click per trial, by the blocks of single arms.

    n = n_A + n_B − n_closed: what comes with both arms closed is in both. None if an arm was not
    measured alone in these gates.

    Parameters
    ----------
    epoch : Epoch
    gates : GateSet
    """
    arms = [_rates(epoch, gates, procedure=SPLITTING, light="both", arm=arm) for arm in "AB"]
    if arms[0] is None or arms[1] is None:
        return None
    (a, sigma_a), (b, sigma_b) = arms[0], arms[1]
    closed = _rates(epoch, gates, procedure=STRAY_LIGHT, light="closed")
    dark, sigma_dark = (np.zeros_like(a), np.zeros_like(a)) if closed is None else closed
    sigmas = np.sqrt(sigma_a**2 + sigma_b**2 + sigma_dark**2)
    return Reference(np.maximum(a + b - dark, 0.0), sigmas)


def _rates(epoch: Epoch, gates: GateSet, **setting: str) -> tuple[Real, Real] | None:
    found = [
        block
        for block in epoch.others
        if block.gates == gates and all(block.setting.get(k) == v for k, v in setting.items())
    ]
    if not found:
        return None
    return reference_of([block.singles for block in found], [block.trials for block in found])


def usual_bounds(verified: Sequence[Block], change: float) -> dict[str, tuple[float, float]]:
    """Return between what monitors must be, by the first verified blocks since the balance.

    A cryostat may be half as warm again, or 20 mK warmer; the power may differ by `change` and
    five times its scatter.

    Parameters
    ----------
    verified : sequence of Block
    change : float
        Relative change that is allowed.
    """
    blocks = verified[:MEMORY]
    if len(blocks) < FEWEST:
        return {}
    found = {}
    if kelvin := _readings(blocks, "temperature"):
        usual = float(np.median(kelvin))
        found["temperature"] = (0.0, max(WARMER * usual, usual + WARMER_BY))
    if len(power := _readings(blocks, "pump_power")) >= FEWEST:
        usual, scatter = float(np.median(power)), float(np.std(power, ddof=1))
        if scatter < NOISY * change * usual:
            found["pump_power"] = (
                (1 - change) * usual - 5 * scatter, (1 + change) * usual + 5 * scatter,
            )  # fmt: skip
    return found


def _readings(blocks: Sequence[Block], name: str) -> list[float]:
    return [block.monitors[name] for block in blocks if name in block.monitors]
