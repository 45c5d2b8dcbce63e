"""CHSH from coincidences of four settings: S with its interval, and what local models allow.

Each setting (b, r) gives coincidences of four detector pairs; with equal and different detectors

    E = (N_same − N_different)/N,     S = |E(b1 r1) + E(b1 r2) + E(b2 r1) − E(b2 r2)|,

of coincidences alone (fair sampling). Source: Marinković et al., An optomechanical Bell test,
arXiv:1806.10615, with labkit's detector names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from analysis.binomial import Interval, at_least, weighted_sum
from analysis.correlation import LEVEL
from analysis.counts_file import count_of

if TYPE_CHECKING:
    from analysis.counts import Counts

SETTINGS: Final = ("b1 r1", "b1 r2", "b2 r1", "b2 r2")
SIGNS: Final = (1, 1, 1, -1)
PAIRS: Final = ("r1p1", "r1p2", "r2p1", "r2p2")
_SAME: Final = ("r1p1", "r2p2")


@dataclass(frozen=True, slots=True, kw_only=True)
class CHSH:
    """S of four settings, and the evidence against S ≤ 2.

    Attributes
    ----------
    S : Interval
        Plug-in value, and the quantiles of the posterior of S: each setting's share of equal
        detectors has a flat prior, the four Beta distributions are convolved exactly.
    E : Mapping[str, float]
        By setting.
    coincidences : Mapping[str, int]
        By setting.
    sigma : float
        √(Σ (1 − E²)/N), the large-count error of S.
    above : float
        Posterior probability that the sum whose sign S has exceeds 2.
    p_local : float
        Probability that a local model wins so often in the CHSH game (at most 3/4 per
        coincidence): exact binomial tail. Valid when the setting of each coincidence is drawn at
        random and coincidences are fairly sampled.
    """

    S: Interval
    E: Mapping[str, float]
    coincidences: Mapping[str, int]
    sigma: float
    above: float
    p_local: float

    def to_dict(self) -> dict[str, object]:
        """Return everything as plain types."""
        return {
            "S": self.S.to_dict(),
            "E": dict(self.E),
            "coincidences": dict(self.coincidences),
            "sigma": self.sigma,
            "above": self.above,
            "p_local": self.p_local,
        }

    def __str__(self) -> str:
        rows = [
            f"E({name})  {value:+.4f}  {self.coincidences[name]:,} coincidences"
            for name, value in self.E.items()
        ]
        rows.append(f"S         {self.S}  (σ {self.sigma:.4f}); local models have S ≤ 2")
        rows.append(f"P(S > 2)  {self.above:.6g};  p-value of local models {self.p_local:.3g}")
        return "\n".join(rows)


def chsh(counts: Mapping[str, Mapping[str, int]], level: float = LEVEL) -> CHSH:
    """Estimate S from the coincidences of four settings.

    Parameters
    ----------
    counts : mapping of setting to mapping of pair to int
        Settings "b1 r1", "b1 r2", "b2 r1", "b2 r2"; pairs "r1p1", "r1p2", "r2p1", "r2p2".
    level : float
        Probability inside the interval of S.

    Returns
    -------
    CHSH

    Raises
    ------
    ValueError
        If a setting or pair is missing, a count is impossible or a setting has no coincidence.
    """
    same, total = [], []
    for setting in SETTINGS:
        pairs = {pair: _count(counts, setting, pair) for pair in PAIRS}
        number = sum(pairs.values())
        if number == 0:
            message = f"setting {setting!r} must have at least 1 coincidence, but has none"
            raise ValueError(message)
        same.append(sum(pairs[pair] for pair in _SAME))
        total.append(number)
    E = 2 * np.array(same) / np.array(total) - 1
    plain = float(E @ SIGNS)
    sign = 1 if plain >= 0 else -1
    weights = [2.0 * sign * s for s in SIGNS]
    posterior = weighted_sum(same, total, weights, constant=-sign * float(sum(SIGNS)))
    tail = (1 - level) / 2
    wins = sum(k if sign * s > 0 else n - k for k, n, s in zip(same, total, SIGNS, strict=True))
    return CHSH(
        S=Interval(
            value=abs(plain),
            low=posterior.quantile(tail),
            high=posterior.quantile(1 - tail),
            level=level,
        ),
        E=dict(zip(SETTINGS, E.tolist(), strict=True)),
        coincidences=dict(zip(SETTINGS, total, strict=True)),
        sigma=float(np.sqrt(np.sum((1 - E**2) / np.array(total)))),
        above=posterior.above(2.0),
        p_local=at_least(wins, sum(total), 0.75),
    )


def coincidences_of(counts: "Counts") -> dict[str, int]:
    """Return the four coincidences of one setting from counts with gates ``pump`` and ``read``."""
    return {
        f"r{i}p{j}": counts.coincidence(("read", i), ("pump", j)) for i in (1, 2) for j in (1, 2)
    }


def _count(counts: Mapping[str, Mapping[str, int]], setting: str, pair: str) -> int:
    if setting not in counts or pair not in counts[setting]:
        message = f"`counts` must give {pair} of setting {setting!r}, but does not"
        raise ValueError(message)
    return count_of(f"{pair} of {setting}", counts[setting][pair])
