"""What the data of a campaign say: draws of the parameters, what they leave open, and how it fits.

A model-based R_m from these draws is a prediction. It is never a witness: the claim stays with the
counts (`analysis.witness`).
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.labelled import Labelled, Variable
from analysis.netcdf import CONVENTIONS, write_groups
from simulation.inference.setting import Setting, parameters_at
from simulation.inference.table import PARAMETERS
from simulation.theory.dlcz import DLCZParameters

if TYPE_CHECKING:
    import xarray as xr

Real = NDArray[np.float64]

LEVELS = (0.16, 0.5, 0.84)
"""Quantiles that are printed."""

DETERMINED = 0.5
"""A parameter counts as determined below this part of its prior's standard deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSetCheck:
    """How well the model fits one data set.

    Attributes
    ----------
    name : str
        Procedure, and device where there is one.
    run : str
    settings : int
    numbers : int
        Of counts compared.
    deviance : float
        At the best fit; its expectation is about `numbers`, less the parameters it determines.
    p_value : float
        Posterior-predictive: how often data made by the model fit worse.
    worst : str
        The setting that fits worst, and by how many σ.
    """

    name: str
    run: str
    settings: int
    numbers: int
    deviance: float
    p_value: float
    worst: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """How the draws were made.

    Attributes
    ----------
    ess : float
        Effective sample size: of the importance weights, or of the ensemble.
    draws : int
        Proposals drawn, or positions visited.
    fallback : bool
        Whether the weights were too uneven and an ensemble was used.
    seed : int
    seconds : float
    """

    ess: float
    draws: int
    fallback: bool
    seed: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posterior:
    """Result of an inference.

    Attributes
    ----------
    draws : dict of str to ndarray, shape (n,)
        Equally weighted, SI units, by the names of `simulation.inference.table.PARAMETERS`; those
        that were held have the same value throughout.
    prior : dict of str to ndarray, shape (m,)
        Draws of the prior.
    best : dict of str to float
        Where the posterior density of the transformed parameters is largest.
    free : tuple of str
        Parameters that were not held.
    covariance : ndarray, shape (k, k)
        Of the transformed free parameters, at `best`.
    undetermined : dict of str to str
        By parameter: what is not determined by these data, in words.
    remarks : tuple of str
        Wrong models that fit better, conflicts with the priors, too few draws.
    correlations : tuple of str
        What is known together only: correlations above 0.9, in words.
    checks : tuple of DataSetCheck
    deviance, p_value : float
        Of all data.
    sampler : Sampler
    preset : str
        Where medians of the priors come from.
    reference : Setting
        At whose pulses p, n and b hold.
    levels : dict of str to float
        AOM levels of its pulses, if known.
    arms : tuple of float or None
        Transmissions of the attenuators A, B that belong to it; None if not known.
    runs : tuple of str
        Run folders and counts files.
    observed : dict of str to ndarray
        Counts by ``dataset`` rows: singles (s, 4), coincidences (s, 2, 2), trials (s,).
    drift : float
        Standard deviation of slow drifts, relative: the most probable, or what was allowed.
    """

    draws: dict[str, Real]
    prior: dict[str, Real]
    best: dict[str, float]
    free: tuple[str, ...]
    covariance: Real
    undetermined: dict[str, str]
    remarks: tuple[str, ...] = ()
    correlations: tuple[str, ...] = ()
    checks: tuple[DataSetCheck, ...] = ()
    deviance: float
    p_value: float
    sampler: Sampler
    preset: str
    reference: Setting
    levels: dict[str, float]
    arms: tuple[float, float] | None = None
    runs: tuple[str, ...]
    observed: dict[str, Real]
    drift: float

    @property
    def size(self) -> int:
        """Number of draws."""
        return len(next(iter(self.draws.values())))

    def determined(self, name: str) -> bool:
        """Tell whether the data determine a free parameter."""
        return name in self.free and name not in self.undetermined

    def parameters(self, setting: Setting | None = None) -> DLCZParameters:
        """Return the theory's parameters of all draws, batch shape (n,), at a setting.

        By default at the reference setting, for which the preset stands too.
        """
        chosen = setting or self.reference
        return parameters_at(self.draws, chosen, reference_delay=self.reference.delay)

    def best_parameters(self, setting: Setting | None = None) -> DLCZParameters:
        """Return the theory's parameters of the best fit."""
        chosen = setting or self.reference
        return parameters_at(self.best, chosen, reference_delay=self.reference.delay)

    def draw(self, number: int) -> dict[str, float]:
        """Return one draw, counted from 0."""
        if not 0 <= number < self.size:
            message = f"draw must be 0 to {self.size - 1}, but is {number}"
            raise ValueError(message)
        return {name: float(values[number]) for name, values in self.draws.items()}

    def interval(self, name: str) -> tuple[float, float, float]:
        """Return median, 16 % and 84 % quantiles of a parameter."""
        low, median, high = np.quantile(self.draws[name], LEVELS)
        return float(median), float(low), float(high)

    def to_dict(self) -> dict[str, object]:
        """Return plain types; a parameter that is not determined has no numbers, but words."""
        return {
            "parameters": {name: self._plain(name) for name in self.free},
            "held": {n: self.best[n] for n in self.best if n not in self.free},
            "remarks": list(self.remarks),
            "correlations": list(self.correlations),
            "check": {
                "deviance": self.deviance, "p_value": self.p_value,
                "worst": [f"{c.run}: {c.name}: {c.worst}" for c in self.checks if c.worst],
                "data_sets": [asdict(check) for check in self.checks],
            },
            "sampler": asdict(self.sampler),
            "preset": self.preset,
            "reference": asdict(self.reference),
            "levels": self.levels,
            "runs": list(self.runs),
            "drift": self.drift,
        }  # fmt: skip

    def _plain(self, name: str) -> dict[str, object]:
        low, _, high = (float(q) for q in np.quantile(self.prior[name], LEVELS))
        known = {
            "unit": PARAMETERS[name].unit, "prior_low": low, "prior_high": high,
            "determined": self.determined(name),
        }  # fmt: skip
        if not self.determined(name):
            return known | {"why": self.undetermined[name]}
        median, low, high = self.interval(name)
        return known | {"median": median, "low": low, "high": high}

    def to_datatree(self) -> "xr.DataTree":
        """Return ArviZ's groups posterior, prior, sample_stats, observed_data."""
        import xarray as xr

        root = xr.Dataset(attrs={"Conventions": CONVENTIONS, **self._about()})
        groups = {f"/{name}": data.to_xarray() for name, data in self._groups().items()}
        return xr.DataTree.from_dict({"/": root, **groups})

    def save(self, path: str | Path) -> None:
        """Write a netCDF file that ArviZ reads too; a file that is there is replaced."""
        write_groups(self._groups(), path, self._about())

    def _groups(self) -> dict[str, Labelled]:
        """Return all that is arrays."""

        def of(draws: Mapping[str, Real]) -> Labelled:
            variables = {
                name: (("chain", "draw"), values[None], _attributes(name))
                for name, values in draws.items()
            }
            return Labelled(variables=variables, coordinates={}, attributes={})

        counts: dict[str, Variable] = {
            name: (("dataset", *(f"{name}_{k}" for k in range(1, values.ndim))), values, {})
            for name, values in self.observed.items()
        }
        names = np.array(self.free)
        return {
            "posterior": of(self.draws),
            "prior": of(self.prior),
            "sample_stats": Labelled(
                variables={"covariance": (("parameter", "other"), self.covariance, {})},
                coordinates={n: ((n,), names, {}) for n in ("parameter", "other")},
                attributes=asdict(self.sampler) | {"fallback": int(self.sampler.fallback)},
            ),
            "observed_data": Labelled(variables=counts, coordinates={}, attributes={}),
        }

    def _about(self) -> dict[str, str]:
        return {"title": TITLE, "labkit_posterior": json.dumps(self._rest())}

    def _rest(self) -> dict[str, object]:
        """Everything that is no array, as plain types."""
        return {
            "best": self.best, "free": list(self.free), "undetermined": self.undetermined,
            "remarks": list(self.remarks), "correlations": list(self.correlations),
            "checks": [asdict(check) for check in self.checks],
            "deviance": self.deviance, "p_value": self.p_value, "sampler": asdict(self.sampler),
            "preset": self.preset, "reference": asdict(self.reference), "levels": self.levels,
            "arms": self.arms, "runs": list(self.runs), "drift": self.drift,
        }  # fmt: skip


TITLE = "Posterior of the pulsed DLCZ model by labkit infer; R_m from it is no witness"


def load_posterior(path: str | Path) -> Posterior:
    """Read what `Posterior.save` wrote.

    Raises
    ------
    OSError
        If there is no such file.
    ValueError
        If it holds no posterior of labkit's.
    """
    import xarray as xr

    with xr.open_datatree(path, engine="h5netcdf") as tree:
        text = tree.attrs.get("labkit_posterior")
        if text is None:
            message = f"{path}: must be a posterior by `labkit infer`, but has none of its marks"
            raise ValueError(message)
        groups = {
            name: {
                str(n): np.asarray(v.values, np.float64) for n, v in tree[name].data_vars.items()
            }
            for name in ("posterior", "prior", "sample_stats", "observed_data")
        }
    rest: dict[str, Any] = json.loads(text)
    arms = rest.pop("arms", None)
    return Posterior(
        draws={name: values[0] for name, values in groups["posterior"].items()},
        prior={name: values[0] for name, values in groups["prior"].items()},
        covariance=groups["sample_stats"]["covariance"],
        observed=groups["observed_data"],
        sampler=Sampler(**rest.pop("sampler")),
        reference=_setting(rest.pop("reference")),
        checks=tuple(DataSetCheck(**check) for check in rest.pop("checks")),
        free=tuple(rest.pop("free")),
        remarks=tuple(rest.pop("remarks")),
        correlations=tuple(rest.pop("correlations", ())),
        runs=tuple(rest.pop("runs")),
        arms=None if arms is None else (float(arms[0]), float(arms[1])),
        **rest,
    )


def _setting(plain: Mapping[str, Any]) -> Setting:
    kept: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in plain.items()}
    return Setting(**kept)


def _attributes(name: str) -> dict[str, str]:
    known = PARAMETERS[name]
    return {"units": known.unit, "long_name": known.meaning}
