"""Second-order coherence g² of two gates from counts, with its posterior and interval."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.counts_file import count_of, must_not_exceed, trials_of
from analysis.incomplete_gamma import gammainc, gammaincinv, log_density

LEVEL = 0.68
"""Probability inside an interval: from the 16 % to the 84 % quantile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GammaPosterior:
    """Posterior of a rate ratio g after ``events`` counts where g = 1 predicts ``exposure``.

    Likelihood g^C e^(-gλ) with a flat prior on g >= 0, that is a Gamma distribution of
    shape C + 1 and rate λ; its mode is C/λ.

    Attributes
    ----------
    events : float
        Number of counted events, C; a plan's expected number need not be whole.
    exposure : float
        Expected events at g = 1, λ > 0.
    """

    events: float
    exposure: float

    @property
    def mode(self) -> float:
        """Most probable g, equal to the maximum of the likelihood."""
        return self.events / self.exposure

    def density(self, g: ArrayLike) -> NDArray[np.float64]:
        """Probability density at g (per unit g); zero below g = 0."""
        g = np.asarray(g, dtype=float)
        impossible = g <= 0.0 if self.events else g < 0.0
        return np.where(impossible, 0.0, np.exp(self.log_density(g)))

    def log_density(self, g: ArrayLike) -> NDArray[np.float64]:
        """Logarithm of the density at g; what is not positive is taken for the smallest number."""
        found = log_density(self.events + 1.0, self.exposure * np.asarray(g, dtype=float))
        found += math.log(self.exposure)
        return found

    def cdf(self, g: ArrayLike) -> NDArray[np.float64]:
        """Probability that the true value is below g."""
        mean = self.exposure * np.maximum(np.asarray(g, dtype=float), 0.0)
        return gammainc(self.events + 1.0, mean)

    def quantile(self, q: ArrayLike) -> NDArray[np.float64]:
        """Value below which the true g lies with probability q (0 to 1)."""
        return gammaincinv(self.events + 1.0, q) / self.exposure


@dataclass(frozen=True, slots=True, kw_only=True)
class G2:
    """Normalised coincidence rate of two gates, g² = C N / (n_a n_b).

    Attributes
    ----------
    coincidences : int
        Trials with a click in both gates, C.
    singles_a, singles_b : int
        Trials with a click in gate a (for example the read pulse) and in gate b (the herald).
    trials : int
        Measured trials, N, empty ones included.
    level : float
        Probability inside [`low`, `high`].
    """

    coincidences: int
    singles_a: int
    singles_b: int
    trials: int
    level: float

    @property
    def accidentals(self) -> float:
        """Coincidences expected from independent gates, λ = n_a n_b / N."""
        return self.singles_a * self.singles_b / self.trials

    @property
    def posterior(self) -> GammaPosterior:
        """Posterior of g² (flat prior, λ taken as known)."""
        return GammaPosterior(events=self.coincidences, exposure=self.accidentals)

    @property
    def value(self) -> float:
        """Maximum of the likelihood, C/λ."""
        return self.coincidences / self.accidentals

    @property
    def one_sided(self) -> bool:
        """True without coincidences: the interval is then [0, `level` quantile]."""
        return self.coincidences == 0

    @property
    def low(self) -> float:
        """Lower end: the (1 - level)/2 quantile; 0 if one-sided."""
        return 0.0 if self.one_sided else float(self.quantile((1.0 - self.level) / 2.0))

    @property
    def high(self) -> float:
        """Upper end: the (1 + level)/2 quantile; if one-sided, the `level` quantile."""
        return float(self.quantile(self.level if self.one_sided else (1.0 + self.level) / 2.0))

    @property
    def heralding(self) -> float:
        """Probability of a click in gate a, given one in gate b: C / n_b."""
        return self.coincidences / self.singles_b

    @property
    def heralding_interval(self) -> tuple[float, float]:
        """Quantiles of the binomial posterior Beta(C + 1, n_b - C + 1), sided as for g²."""
        from scipy import special  # slow to load

        tails = (1.0 - self.level) / 2.0, (1.0 + self.level) / 2.0
        shape = self.coincidences + 1, self.singles_b - self.coincidences + 1
        if self.one_sided:
            return 0.0, float(special.betaincinv(*shape, self.level))
        low, high = (float(special.betaincinv(*shape, tail)) for tail in tails)
        return low, high

    def density(self, g: ArrayLike) -> NDArray[np.float64]:
        """Posterior density of g² at g."""
        return self.posterior.density(g)

    def cdf(self, g: ArrayLike) -> NDArray[np.float64]:
        """Posterior probability that g² is below g."""
        return self.posterior.cdf(g)

    def quantile(self, q: ArrayLike) -> NDArray[np.float64]:
        """Posterior quantile of g²."""
        return self.posterior.quantile(q)

    def to_dict(self) -> dict[str, float]:
        """Return value and interval, as the command line prints them in JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        return (
            f"{self.value:.3f}  [{self.low:.3f}, {self.high:.3f}]  "
            f"{self.coincidences} coincidences, {self.accidentals:.2f} accidental"
        )


def g2(
    coincidences: int,
    singles_a: int,
    singles_b: int,
    trials: int,
    level: float = LEVEL,
    *,
    names: tuple[str, str, str] = ("coincidences", "singles_a", "singles_b"),
) -> G2:
    """Estimate g² between two gates.

    The likelihood of C coincidences is ∝ g^C e^(-gλ) with accidentals λ = n_a n_b / N, whose
    maximum is C/λ. The interval runs between the 16 % and 84 % quantiles of the posterior with
    flat prior, Gamma(C + 1, λ); without coincidences it is one-sided, from 0 to the 68 % quantile.
    λ is taken as known: its relative error √(1/n_a + 1/n_b) is far below 1/√C when coincidences
    are rare.

    Parameters
    ----------
    coincidences : int
        Trials with clicks in both gates.
    singles_a, singles_b : int
        Trials with a click in gate a (heralded) and in gate b (herald).
    trials : int
        Measured trials.
    level : float
        Probability inside the interval, between 0 and 1.
    names : tuple of str
        What errors call the three counts, for example ``("r1p1", "read 1", "pump 1")``.

    Raises
    ------
    ValueError
        If a count is negative, not whole or larger than what contains it, if there were no
        trials, or if a gate has no singles (g² is then undefined).

    Notes
    -----
    Riedinger et al., Nature 556, 473 (2018), supplement "Statistical Analysis", quotes "±34 %
    around" the maximum of the likelihood for g². That differs from the quantiles used here by
    a small shift for few counts; the witness R_m of the paper is quoted with 16 % and 84 %.
    """
    pair, name_a, name_b = names
    check_level(level)
    n = trials_of(trials)
    n_a, n_b, c = (
        count_of(name_a, singles_a),
        count_of(name_b, singles_b),
        count_of(pair, coincidences),
    )
    for name, count in ((name_a, n_a), (name_b, n_b)):
        must_not_exceed(name, count, "trials", n)
        must_not_exceed(pair, c, name, count)
        if count == 0:
            message = (
                f"`{name}` must be at least 1 for g² to be defined, but is 0; "
                "measure longer or check the gate and the detector"
            )
            raise ValueError(message)
    return G2(coincidences=c, singles_a=n_a, singles_b=n_b, trials=n, level=level)


def autocorrelation(
    coincidences: int, singles_1: int, singles_2: int, trials: int, level: float = LEVEL
) -> G2:
    """Estimate the unheralded g²(0) of one gate from its two detectors behind the beam splitter.

    The estimator and its interval are those of `g2`; 2 for a single thermal mode, 1 for
    coherent or uncorrelated light.

    Parameters
    ----------
    coincidences : int
        Trials in which both detectors clicked in the gate.
    singles_1, singles_2 : int
        Trials with a click of detector 1, of detector 2.
    trials : int
        Measured trials.
    level : float
        Probability inside the interval.

    Raises
    ------
    ValueError
        As for `g2`.
    """
    names = ("coincidences", "singles_1", "singles_2")
    return g2(coincidences, singles_1, singles_2, trials, level, names=names)


def pooled_g2(estimates: Iterable[G2]) -> GammaPosterior:
    """Combine gate pairs that share one true g²: likelihood maximum ΣC / Σλ.

    Parameters
    ----------
    estimates : iterable of G2
        For example the two cross-detector pairs r2p1 and r1p2.

    Raises
    ------
    ValueError
        If there is nothing to combine.
    """
    pairs = tuple(estimates)
    if not pairs:
        message = "`estimates` must hold at least one g², but is empty"
        raise ValueError(message)
    return GammaPosterior(
        events=sum(pair.coincidences for pair in pairs),
        exposure=sum(pair.accidentals for pair in pairs),
    )


def check_level(level: float) -> None:
    """Raise ValueError unless a level of confidence lies between 0 and 1."""
    if not 0 < level < 1:
        message = f"`level` must lie between 0 and 1, but is {level}"
        raise ValueError(message)
