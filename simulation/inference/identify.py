"""What the data leave open, in words, and the cheapest calibration that would settle it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from simulation.inference.likelihood import DRIFT, DRIFTS
from simulation.inference.model import probabilities
from simulation.inference.posterior import DETERMINED
from simulation.inference.prior import Prior
from simulation.inference.sampling import Maximum
from simulation.inference.setting import Setting, Settings

Real = NDArray[np.float64]

TIED = 0.9
"""Correlations above this are told in words."""

MOST_TRIALS = 1e11
"""A calibration that needs more is none."""

WIDER = 2.0
"""A parameter that its own or others' priors hold, not the data, is loose with priors that wide."""

FEW = (
    "not determined by these data: too few settings for their scatter about the fit; the usual "
    "drifts are allowed for"
)

_POWERS = np.arange(6.0, np.log10(MOST_TRIALS) + 1e-9, 0.25)
"""Of ten: numbers of trials that a calibration is thought of with."""

_STEP = 1e-4

_SPREAD = float(
    np.sqrt(np.mean([sum(part**2 for part in parts.values()) for parts in DRIFTS.values()]))
)
"""Of what drifts, in units of the drift."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRun:
    """A run that could be made: settings that share its trials alike, and what is counted.

    Attributes
    ----------
    name : str
    settings : tuple of Setting
    gates : tuple of str
        Which gates each has: "pr", "p" or "r".
    """

    name: str
    settings: tuple[Setting, ...]
    gates: tuple[str, ...]


def calibrations(reference: Setting, read_over_pump: float) -> tuple[CalibrationRun, ...]:
    """Return the usual calibrations at a reference setting.

    Parameters
    ----------
    reference : Setting
    read_over_pump : float
        Energy of the read pulse over that of the pump pulse.
    """
    found = [
        _of("filters beside the line (`stray_light`)", [(replace(reference, on_line=False), "pr")]),
        _of("both arms closed (`stray_light`)", [(_lit(reference, (0.0, 0.0), (0.0, 0.0)), "pr")]),
        _of(
            "phase sweep (`phase_sweep`)",
            [(_turned(reference, k * np.pi / 2), "pr") for k in range(4)],
        ),
        _of(
            "delay sweep (`delay_sweep`)",
            [
                (replace(_turned(reference, k * np.pi / 2), delay=reference.delay + late), "pr")
                for late in (0.0, 1e-6)
                for k in range(4)
            ],
        ),
    ]
    for device, arms in (("A", (1.0, 0.0)), ("B", (0.0, 1.0))):
        alone = _lit(reference, arms, arms)
        strong = (5 * arms[0], 5 * arms[1])
        bright = (read_over_pump * arms[0], read_over_pump * arms[1])
        red = _lit(reference, (0.0, 0.0), (arms[0] / read_over_pump, arms[1] / read_over_pump))
        found += [
            _of(f"blocked-arm g² of {device} (`g2`)", [(alone, "pr")]),
            _of(
                f"thermometry of {device} (`thermometry`)",
                [(_lit(reference, arms, (0.0, 0.0)), "p"), (red, "r"),
                 (replace(red, on_line=False), "r")],
            ),
            _of(
                f"pump-probe of {device} (`pump_probe`)",
                [
                    *((replace(_lit(reference, strong, arms), delay=late), "pr")
                      for late in (1e-7, 4e-7, 1.5e-6, 5e-6)),
                    (_lit(reference, (0.0, 0.0), arms), "r"),
                    (_lit(reference, bright, (0.0, 0.0)), "p"),
                ],
            ),
        ]  # fmt: skip
    return tuple(found)


def undetermined(
    maximum: Maximum, draws: Real, reference: Setting, read_over_pump: float
) -> dict[str, str]:
    """Return, by parameter that the data do not determine, why and what would.

    Determined is what is known to half of its prior's width, and would be with all priors `WIDER`:
    efficiencies below 1 and phonons above 0 can hold a product's factors where the data do not.

    Parameters
    ----------
    maximum : Maximum
    draws : ndarray, shape (n, k)
        Coordinates.
    reference : Setting
    read_over_pump : float
    """
    prior = maximum.likelihood.prior
    wide = np.diag(linalg.inv(_wide_information(maximum)))
    open_, held = (sd > DETERMINED * prior.sd for sd in (draws.std(axis=0), np.sqrt(wide)))
    loose = [number for number in range(len(prior.free)) if open_[number] or held[number]]
    drift = maximum.likelihood.drift(maximum.z)  # calibrations are not better than this
    if not loose:
        return {}
    helps = {}
    for one in calibrations(reference, read_over_pump):
        trials = information_per_trial(one, prior, maximum, reference.delay, drift)
        helps[one.name] = [trials.information(10**power) for power in _POWERS]
    said: dict[int, str] = {}
    for information, mine in (
        (maximum.information, [number for number in loose if open_[number]]),
        (_wide_information(maximum), [number for number in loose if not open_[number]]),
    ):
        if mine:
            known = {name: _spreads(information, more) for name, more in helps.items()}
            said |= {number: _words(prior, information, number, known) for number in mine}
    found = {prior.free[number]: said[number] for number in loose}
    return found | ({DRIFT: FEW} if DRIFT in found else {})


def _wide_information(maximum: Maximum) -> Real:
    """Return the information with all priors `WIDER`: what is left of it is of the data."""
    of_prior = maximum.information - maximum.data_information
    return np.asarray(maximum.data_information + of_prior / WIDER**2)


def degeneracies(draws: Real, free: Sequence[str]) -> tuple[str, ...]:
    """Return which parameters are known only together, in words."""
    correlation = np.atleast_2d(np.corrcoef(draws.T))
    found = []
    for i in range(len(free)):
        for j in range(i):
            value = correlation[i, j]
            if abs(value) > TIED:
                what = "product" if value < 0 else "ratio"
                known = f"mostly the {what} of {free[j]} and {free[i]} is known"
                found.append(f"{known} (correlation {value:+.2f})")
    return tuple(found)


def information_per_trial(
    calibration: CalibrationRun,
    prior: Prior,
    maximum: Maximum,
    reference_delay: float,
    drift: float,
) -> "CalibrationTrials":
    """Return what a calibration would tell, as a function of its trials."""
    k = len(maximum.z)
    points = np.concatenate(
        [maximum.z[None], maximum.z + _STEP * np.eye(k), maximum.z - _STEP * np.eye(k)]
    )
    clicks = probabilities(
        prior.values(points), Settings.of(calibration.settings), reference_delay=reference_delay
    )
    rates = np.maximum(clicks.singles, 1e-300)
    joint = np.maximum(clicks.coincidences, 1e-300)
    g2 = np.log(joint / (rates[..., 2:, None] * rates[..., None, :2]))
    logs = np.log(rates)
    has = np.array([["p" in g, "p" in g, "r" in g, "r" in g] for g in calibration.gates])
    both = np.array([g == "pr" for g in calibration.gates])

    def slopes(values: Real) -> Real:
        return np.asarray((values[:, 1 : k + 1] - values[:, k + 1 :]) / (2 * _STEP))

    single = np.moveaxis(slopes(logs), 1, -1)[has]
    paired = np.moveaxis(slopes(g2), 1, -1)[both].reshape(-1, k)
    return CalibrationTrials(
        single=single, rates=rates[:, 0][has], paired=paired, joint=joint[:, 0][both].ravel(),
        settings=len(calibration.settings),
        spread=drift * _SPREAD,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibrationTrials:
    """Fisher information of a calibration against its trials.

    Attributes
    ----------
    single, paired : ndarray, shape (q, k)
        Slopes of ln singles and of ln g².
    rates, joint : ndarray, shape (q,)
        Clicks per trial.
    settings : int
        Share the trials alike.
    spread : float
        Relative spread of singles by drifts.
    """

    single: Real
    paired: Real
    rates: Real
    joint: Real
    settings: int
    spread: float

    def information(self, trials: float) -> Real:
        """Return the information of so many trials, shape (k, k)."""
        each = trials / self.settings
        weight = 1 / (1 / (each * self.rates) + self.spread**2)
        return np.asarray(
            (self.single * weight[:, None]).T @ self.single
            + (self.paired * (each * self.joint)[:, None]).T @ self.paired
        )


def _words(prior: Prior, information: Real, number: int, spreads: Mapping[str, Real]) -> str:
    covariance = linalg.inv(information)
    scale = np.sqrt(np.diag(covariance))
    with_others = covariance[number] / (scale[number] * scale)
    with_others[number] = 0.0
    most = int(np.argmax(np.abs(with_others)))
    text = "not determined by these data"
    if abs(with_others[most]) > TIED:
        what = "product" if with_others[most] < 0 else "ratio"
        text += f": only its {what} with {prior.free[most]}"
    goal = DETERMINED * prior.sd[number]
    best: tuple[float, str] | None = None
    for name, spread in spreads.items():
        enough = np.flatnonzero(spread[:, number] <= goal)
        if len(enough) and (best is None or 10 ** _POWERS[enough[0]] < best[0]):
            best = float(10 ** _POWERS[enough[0]]), name
    if best is None:
        return f"{text}; none of the usual calibrations alone would"
    return f"{text}; {best[1]} of {best[0]:.0e} trials would"


def _spreads(information: Real, more: Sequence[Real]) -> Real:
    """Return the standard deviations with each of so much more information, shape (p, k)."""
    return np.sqrt([np.diag(linalg.inv(information + one)) for one in more])


def _of(name: str, settings: list[tuple[Setting, str]]) -> CalibrationRun:
    return CalibrationRun(
        name=name, settings=tuple(s for s, _ in settings), gates=tuple(g for _, g in settings)
    )


def _lit(reference: Setting, pump: tuple[float, float], read: tuple[float, float]) -> Setting:
    return replace(reference, e_pump=pump, e_read=read)


def _turned(reference: Setting, angle: float) -> Setting:
    return replace(reference, delta_phi=reference.delta_phi + angle)
