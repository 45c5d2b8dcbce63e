"""Published counts and results of the witness measurement, to print beside one's own.

Source: Riedinger et al., Nature 556, 473 (2018), supplement "Statistical Analysis".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from analysis.counts_file import WitnessCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedValue:
    """A value with its published 68 % interval, value +plus -minus."""

    value: float
    plus: float
    minus: float

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.value - self.minus

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.value + self.plus

    def __str__(self) -> str:
        return f"{self.value} +{self.plus} -{self.minus}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedWitness:
    """What the paper prints for one set of counts.

    Attributes
    ----------
    counts : WitnessCounts
    witness : Mapping[str, PublishedValue]
        R_m by "1", "2" (heralding detector) and "sym".
    confidence : Mapping[float, float]
        P(R_m,sym < bound), by bound: 1, and 0.995 with systematic errors.
    confidence_1 : Mapping[float, float]
        P(R_m,1 < bound), if printed.
    """

    counts: WitnessCounts
    witness: Mapping[str, PublishedValue]
    confidence: Mapping[float, float]
    confidence_1: Mapping[float, float] = field(default_factory=dict)


RIEDINGER_2018: Mapping[str, PublishedWitness] = MappingProxyType(
    {
        "optimal": PublishedWitness(
            counts=WitnessCounts(
                trials=1_114_000_000,
                pump=(111134, 184114),
                read=(108723, 167427),
                coincidences={"r1p1": 9, "r2p1": 130, "r1p2": 129, "r2p2": 37},
            ),
            witness={
                "1": PublishedValue(value=0.612, plus=0.152, minus=0.057),
                "2": PublishedValue(value=0.846, plus=0.210, minus=0.090),
                "sym": PublishedValue(value=0.74, plus=0.12, minus=0.06),
            },
            confidence={1.0: 0.984, 0.995: 0.983},
        ),
        "extended": PublishedWitness(
            counts=WitnessCounts(
                trials=1_949_000_000,
                pump=(196080, 322608),
                read=(194023, 300373),
                coincidences={"r1p1": 16, "r2p1": 223, "r1p2": 242, "r2p2": 67},
            ),
            witness={
                "1": PublishedValue(value=0.66, plus=0.114, minus=0.055),
                "2": PublishedValue(value=0.806, plus=0.129, minus=0.071),
                "sym": PublishedValue(value=0.74, plus=0.08, minus=0.05),
            },
            confidence={1.0: 0.9984, 0.995: 0.9982},
            confidence_1={0.995: 0.9950},
        ),
    }
)
"""By set of phases: the optimal one, and the extended range that includes Δφ = 0."""


def herald_probability(which: str) -> float:
    """Heralds per trial, both detectors, of a published set ("optimal" or "extended")."""
    counts = RIEDINGER_2018[which].counts
    return sum(counts.pump) / counts.trials


def coincidence_probability(which: str) -> float:
    """Coincidences of a herald and a read click per trial, all four pairs, of a published set."""
    counts = RIEDINGER_2018[which].counts
    return sum(counts.coincidences.values()) / counts.trials


def pooled_g2(which: str) -> float:
    """Return g² of different detectors, both pairs pooled, of a published set."""
    counts = RIEDINGER_2018[which].counts
    accidental = counts.read[0] * counts.pump[1] + counts.read[1] * counts.pump[0]
    coincident = counts.coincidences["r1p2"] + counts.coincidences["r2p1"]
    return coincident * counts.trials / accidental


def find_published(counts: WitnessCounts) -> PublishedWitness | None:
    """Return the published results of exactly these counts, or None if they are not published."""
    return next((entry for entry in RIEDINGER_2018.values() if entry.counts == counts), None)
