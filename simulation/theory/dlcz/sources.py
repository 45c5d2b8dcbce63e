"""Sources of noise of the DLCZ model, and the model with some of them switched off."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.dlcz.clicks import PairClicks, g2_clicks, pair_clicks
from simulation.theory.dlcz.parameters import DLCZParameters
from simulation.theory.dlcz.scans import single_device_g2
from simulation.theory.dlcz.state import device_moments, fringe_phase
from simulation.theory.dlcz.witness import measurable_witness, symmetrised_witness

Real = NDArray[np.float64]

PUMP_HEAT: Final = (0.03, 0.03)
"""Phonons by the pump's absorption at the read pulse, of devices A, B (seed 003)."""

FAINT: Final = 1e-3
"""Pump probability left, as a part, where pairs are to come one at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoisyModel:
    """The model with what its parameters do not tell.

    Attributes
    ----------
    parameters : DLCZParameters
        Batch shape (...).
    pump_heat : ndarray, shape (..., 2)
        Of ``n_heat_A``, ``n_heat_B``, what is due to the pump pulse.
    pump_scale : float
        Clicks in the pump gate and coincidences per trial are those of `parameters` divided by
        this.
    """

    parameters: DLCZParameters
    pump_heat: Real
    pump_scale: float = 1.0

    def changed(self, **values: ArrayLike) -> "NoisyModel":
        """Return the model with other parameters."""
        return replace(self, parameters=replace(self.parameters, **values))  # type: ignore[arg-type]

    @property
    def g2_alone(self) -> Real:
        """g² of devices A, B alone at detector 2, shape (..., 2); see `single_device_g2`."""
        alone = [single_device_g2(self.parameters, device, g2=g2_clicks) for device in "AB"]
        return np.stack(np.broadcast_arrays(*alone), axis=-1)

    @property
    def witness(self) -> Real:
        """Mean of R_m(1) and R_m(2) of clicks, shape (...): expected, nothing is witnessed."""
        return witness_of(pair_clicks(self.parameters))


def witness_of(clicks: PairClicks) -> Real:
    """Return the mean of R_m(1) and R_m(2) that clicks amount to, shape (...)."""
    return symmetrised_witness(measurable_witness(clicks.g2))


def noisy_model(parameters: DLCZParameters, pump_heat: ArrayLike = PUMP_HEAT) -> NoisyModel:
    """Return the model with its pump's part of the heating.

    Parameters
    ----------
    parameters : DLCZParameters
    pump_heat : array_like, shape (..., 2)
        Phonons by the pump at the read pulse, of A and B.

    Raises
    ------
    ValueError
        If the pump is said to heat more than there is, or less than nothing.
    """
    heat = np.asarray(pump_heat, np.float64)
    total = parameters.per_device("n_heat")
    if not np.all((heat >= 0) & (heat <= total * (1 + 1e-9))):
        message = (
            f"`pump_heat` must lie between 0 and n_heat_A, n_heat_B = {total}, but is {pump_heat!r}"
        )
        raise ValueError(message)
    return NoisyModel(parameters=parameters, pump_heat=np.minimum(heat, total))


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source of noise.

    Attributes
    ----------
    label : str
        For people.
    off : callable
        Takes a `NoisyModel`; returns it without this source.
    """

    label: str
    off: Callable[[NoisyModel], NoisyModel]


def without(model: NoisyModel, names: Iterable[str]) -> NoisyModel:
    """Return the model with these sources switched off, by their names and in order of `SOURCES`.

    Raises
    ------
    ValueError
        If a source is unknown.
    """
    chosen = set(names)
    if unknown := sorted(chosen - set(SOURCES)):
        message = f"a source must be one of {', '.join(SOURCES)}, but is {unknown[0]!r}"
        raise ValueError(message)
    for name, source in SOURCES.items():
        if name in chosen:
            model = source.off(model)
    return model


def _cold(model: NoisyModel) -> NoisyModel:
    """n₀ = n_env = 0."""
    return model.changed(n_0_A=0.0, n_0_B=0.0, n_env_A=0.0, n_env_B=0.0)


def _heated(model: NoisyModel, heat: Real) -> NoisyModel:
    return model.changed(n_heat_A=heat[..., 0], n_heat_B=heat[..., 1])


def _no_pump_heat(model: NoisyModel) -> NoisyModel:
    """n_heat − pump's part; no prompt phonons."""
    left = np.maximum(model.parameters.per_device("n_heat") - model.pump_heat, 0.0)
    cooler = _heated(model, left).changed(n_prompt_A=0.0, n_prompt_B=0.0)
    return replace(cooler, pump_heat=np.zeros_like(model.pump_heat))


def _no_read_heat(model: NoisyModel) -> NoisyModel:
    """n_heat = pump's part."""
    return _heated(model, model.pump_heat)


def _no_leaks(model: NoisyModel) -> NoisyModel:
    names = ("leak_pump", "leak_read", "coherent_read")
    return model.changed(**{f"{name}_{j}": 0.0 for name in names for j in "12"})


def _no_darks(model: NoisyModel) -> NoisyModel:
    return model.changed(dark_1=0.0, dark_2=0.0)


def _balanced(model: NoisyModel) -> NoisyModel:
    """Equal Stokes and read photons from both arms, their geometric means kept; 50:50 combiner.

    η_X ∝ 1/⟨s_X†s_X⟩ and p_read,X ∝ 1/(⟨m_X†m_X⟩ η_X).
    """
    p = model.parameters
    moments = device_moments(p)
    eta = _levelled(p.per_device("eta"), moments.stokes)
    p_read = _levelled(p.per_device("p_read"), moments.mechanics * eta)
    return model.changed(
        splitting=0.5,
        eta_A=eta[..., 0],
        eta_B=eta[..., 1],
        p_read_A=p_read[..., 0],
        p_read_B=p_read[..., 1],
    )


def _levelled(factor: Real, rest: Real) -> Real:
    """Factors whose products with `rest` are equal over both devices, at most 1."""
    flux = factor * rest
    if not np.all(flux > 0):
        message = (
            "the arms cannot be balanced where a device gives no photons; open both arms and "
            "give p_pump and p_read above 0"
        )
        raise ValueError(message)
    balanced = np.sqrt(flux.prod(axis=-1, keepdims=True)) / rest
    return np.asarray(balanced / np.maximum(balanced.max(axis=-1, keepdims=True), 1.0))


def _alike(model: NoisyModel) -> NoisyModel:
    return model.changed(contrast=1.0)


def _best_phase(model: NoisyModel) -> NoisyModel:
    """θ = 0."""
    p = model.parameters
    return model.changed(delta_phi=np.asarray(p.delta_phi) - fringe_phase(p))


def _steady_phase(model: NoisyModel) -> NoisyModel:
    return model.changed(phase_noise=0.0)


def _single_pairs(model: NoisyModel) -> NoisyModel:
    """Limit of a faint pump at unchanged heralds.

    p_pump, pump leaks and darks times `FAINT`, `pump_scale` with them: g² keeps all noise but the
    ⟨m†m⟩ of other pairs. Darks of the read gate are kept among its leaked photons.
    """
    p = model.parameters
    values: dict[str, ArrayLike] = {}
    for name in ("p_pump_A", "p_pump_B", "leak_pump_1", "leak_pump_2"):
        values[name] = FAINT * np.asarray(getattr(p, name))
    for j in "12":
        dark = np.asarray(getattr(p, f"dark_{j}"))
        values[f"dark_{j}"] = FAINT * dark
        values[f"leak_read_{j}"] = getattr(p, f"leak_read_{j}") + (1 - FAINT) * dark
    return replace(model.changed(**values), pump_scale=FAINT * model.pump_scale)


def _forgetful(model: NoisyModel) -> NoisyModel:
    return model.changed(afterpulse=0.0, blindness=0.0, crosstalk=0.0)


SOURCES: Final = MappingProxyType(
    {
        "initial_phonons": Source(label="initial phonons", off=_cold),
        "pump_heating": Source(label="heating by the pump", off=_no_pump_heat),
        "read_heating": Source(label="heating by the read pulse", off=_no_read_heat),
        "leaks": Source(label="leaked drive light", off=_no_leaks),
        "darks": Source(label="dark clicks", off=_no_darks),
        "imbalance": Source(label="imbalance of the arms", off=_balanced),
        "distinguishability": Source(label="distinguishable photons", off=_alike),
        "phase_offset": Source(label="phase off the optimum", off=_best_phase),
        "phase_noise": Source(label="phase noise", off=_steady_phase),
        "detector_memory": Source(label="detectors' memory", off=_forgetful),
        "multi_pair": Source(label="more than one pair", off=_single_pairs),
    }
)
"""By name, in the order in which a waterfall switches them off."""
