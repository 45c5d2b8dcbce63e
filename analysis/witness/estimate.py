"""Entanglement witness R_m from counts: both heralding detectors and their combination."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from types import MappingProxyType

from analysis.correlation import G2, LEVEL, GammaPosterior, g2
from analysis.counts import Counts
from analysis.counts_file import (
    PAIRS,
    WitnessCounts,
    count_of,
    field_of,
    trials_of,
    two_counts,
    witness_counts,
)
from analysis.witness.distribution import RatioDistribution
from analysis.witness.posterior import WitnessPosterior, product_posterior, ratio_posterior
from analysis.witness.systematics import witness_ratio

FEW_COINCIDENCES = 20
"""Coincidences per heralding detector below which the prior matters; see `Witness.cautions`."""


DESCRIPTIVE = "posterior probability of R_m below the bound; describes, decides nothing"


def caution_lines(cautions: Mapping[str, str]) -> list[str]:
    """Return `Witness.cautions` as lines, one for all posteriors with the same reason."""
    named: dict[str, list[str]] = {}
    for name, reason in cautions.items():
        named.setdefault(reason, []).append(f"R_m({name})")
    return [f"{', '.join(names)}: {reason}" for reason, names in named.items()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """R_m heralded by detector 1, by detector 2, and symmetrised, with the g² behind it.

    Attributes
    ----------
    g2 : Mapping[str, G2]
        By pair: r1p1, r2p1, r1p2, r2p2.
    detector : Mapping[int, WitnessPosterior]
        Posterior of R_m(θ, j), by heralding detector j = 1, 2.
    sym : WitnessPosterior
        Normalised product of both densities. Its plug-in is the mean of both plug-ins, the
        "averaging" of the paper's main text, which names no weights.
    """

    g2: Mapping[str, G2]
    detector: Mapping[int, WitnessPosterior]
    sym: WitnessPosterior

    @property
    def named(self) -> dict[str, WitnessPosterior]:
        """The three posteriors by the names used in JSON: "1", "2", "sym"."""
        return {"1": self.detector[1], "2": self.detector[2], "sym": self.sym}

    @property
    def cautions(self) -> dict[str, str]:
        """Posteriors that must not be read as entanglement, by name.

        With fewer coincidences than accidentals (g_1 + g_2 < 1) R_m is negative; such values lie
        below every bound but witness nothing. With few coincidences the flat prior on g², which
        favours large g² and so small R_m, decides instead of the data.
        """
        found = {}
        for name, posterior in self.named.items():
            heralds = (1, 2) if name == "sym" else (int(name),)
            counted = min(self._coincidences(j) for j in heralds)
            if posterior.negative > 1e-3:
                found[name] = (
                    f"R_m < 0 with probability {posterior.negative:.2g}, which `as_published` "
                    "includes but which witnesses nothing: fewer coincidences than accidentals"
                )
            elif counted < FEW_COINCIDENCES:
                found[name] = (
                    f"only {counted} coincidences: the flat prior on g², not the data, decides "
                    f"`as_published`; count at least {FEW_COINCIDENCES} per heralding detector"
                )
        return found

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Hand over the counts to another process, which estimates anew: the same, bit for bit."""
        first, second = self.g2["r1p1"], self.g2["r2p2"]
        pump, read = (first.singles_b, second.singles_b), (first.singles_a, second.singles_a)
        coincidences = tuple(self.g2[pair].coincidences for pair in PAIRS)
        return _estimated, (coincidences, pump, read, first.trials, first.level)

    def _coincidences(self, herald: int) -> int:
        return sum(self.g2[f"r{i}p{herald}"].coincidences for i in (1, 2))

    def to_dict(self) -> dict[str, dict[str, float | None]]:
        """Return the ``witness`` object of the command line's JSON."""
        return {name: posterior.to_dict() for name, posterior in self.named.items()}

    def as_published(self, bound: float = 1.0) -> dict[str, float | str]:
        """Return the ``as_published`` object of the JSON: posterior probabilities of R_m < bound.

        No verdict rests on them: a flat prior, no conditions, and no allowance for looking often.

        Parameters
        ----------
        bound : float
            Bound for separable states: 1, or less to allow for systematic errors.
        """
        below = {name: posterior.confidence(bound) for name, posterior in self.named.items()}
        return {"meaning": DESCRIPTIVE, "bound": bound, **below}

    def __str__(self) -> str:
        lines = [f"g² {pair}    {self.g2[pair]}" for pair in PAIRS]
        lines += [f"R_m({j})     {posterior}" for j, posterior in self.detector.items()]
        return "\n".join([*lines, f"R_m(sym)   {self.sym}"])


def witness(
    counts: Counts | WitnessCounts | Mapping[str, int],
    pump: Iterable[int] = (),
    read: Iterable[int] = (),
    trials: int = 0,
    level: float = LEVEL,
) -> Witness:
    """Estimate the entanglement witness from counts.

    Each g² has the posterior of `analysis.correlation.g2`; R_m(θ, j) is propagated exactly by
    quadrature. The point value is the mode of its density, the interval its 16 % and 84 %
    quantiles. The symmetrised witness treats the two heralding detectors as independent
    measurements: the normalised product of both densities.

    Parameters
    ----------
    counts : Counts, WitnessCounts, or mapping of str to int
        Counts with gates pump and read and detectors 1 and 2, from which all follows. Or the
        coincidences alone, trials with a click of read pulse at detector i and pump pulse at j:
        "r1p1", "r2p1", "r1p2", "r2p2".
    pump, read : iterable of two int, optional
        With coincidences: trials with a click of detector 1, of detector 2, in the gate.
    trials : int, optional
        With coincidences: measured trials, empty ones included.
    level : float
        Probability inside the intervals.

    Raises
    ------
    ValueError
        If a count, gate or detector is missing, a count is impossible, a gate has no singles (g²
        undefined), or both detectors exclude each other.

    Notes
    -----
    Source: Riedinger et al., Nature 556, 473 (2018), Eq. (3) and supplement "Statistical
    Analysis". Equal g² and zero coincidences are no error: the posterior is then wide, with
    heavy tails ∝ |R_m|^(-3/2), and the plug-in may be None.
    """
    if isinstance(counts, Counts):
        counts = witness_counts(counts)
    if isinstance(counts, WitnessCounts):
        pump, read, trials = counts.pump, counts.read, counts.trials
        counts = counts.coincidences
    found = tuple(count_of(pair, field_of(counts, pair)) for pair in PAIRS)
    singles = two_counts("pump", pump), two_counts("read", read)
    return _estimated(found, *singles, trials_of(trials), level)


@lru_cache(maxsize=64)
def _estimated(
    coincidences: tuple[int, ...],
    pump: tuple[int, int],
    read: tuple[int, int],
    trials: int,
    level: float,
) -> Witness:
    """Estimate once what a run's procedure, its record and its report ask for."""
    pump_1, pump_2 = pump
    read_1, read_2 = read
    singles = {"pump 1": pump_1, "pump 2": pump_2, "read 1": read_1, "read 2": read_2}
    pairs = {
        pair: g2(
            count,
            singles[f"read {pair[1]}"],
            singles[f"pump {pair[3]}"],
            trials,
            level,
            names=(pair, f"read {pair[1]}", f"pump {pair[3]}"),
        )
        for pair, count in zip(PAIRS, coincidences, strict=True)
    }
    detector = {j: _heralded(pairs[f"r1p{j}"], pairs[f"r2p{j}"], level) for j in (1, 2)}
    plugins = [detector[j].plugin for j in (1, 2)]
    mean = None if None in plugins else sum(p for p in plugins if p is not None) / 2.0
    return Witness(
        g2=MappingProxyType(pairs),
        detector=MappingProxyType(detector),
        sym=product_posterior(detector[1], detector[2], plugin=mean),
    )


def expected_confidence(
    trials: float,
    pump: tuple[float, float],
    read: tuple[float, float],
    coincidences: Mapping[str, float],
    bound: float = 1.0,
) -> float:
    """Return the posterior probability of R_m(sym) < bound at the expected counts of a plan.

    As `witness` gives it for whole counts; expected ones need not be whole.

    Parameters
    ----------
    trials : float
    pump, read : tuple of float
        Clicks per trial of detectors 1, 2.
    coincidences : mapping of str to float
        Per trial, by pair.
    bound : float
    """
    first, second = (
        ratio_posterior(
            RatioDistribution(
                a=_expected(trials, f"r1p{j}", pump, read, coincidences),
                b=_expected(trials, f"r2p{j}", pump, read, coincidences),
            ),
            plugin=None,
            level=LEVEL,
        )
        for j in (1, 2)
    )
    return product_posterior(first, second, plugin=None).confidence(bound)


def _expected(
    trials: float,
    pair: str,
    pump: tuple[float, float],
    read: tuple[float, float],
    coincidences: Mapping[str, float],
) -> GammaPosterior:
    exposure = trials * read[int(pair[1]) - 1] * pump[int(pair[3]) - 1]
    return GammaPosterior(events=trials * coincidences[pair], exposure=exposure)


def _heralded(first: G2, second: G2, level: float) -> WitnessPosterior:
    distribution = RatioDistribution(a=first.posterior, b=second.posterior)
    ratio = float(witness_ratio(first.value, second.value))
    plugin = ratio if isfinite(ratio) else None
    return ratio_posterior(distribution, plugin=plugin, level=level)
