"""The setting of a block as the model sees it, and what drawn parameters amount to there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simulation.theory.dlcz import DLCZParameters

Real = NDArray[np.float64]
Values = Mapping[str, ArrayLike]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a block of trials was measured at.

    Attributes
    ----------
    delay : float
        From pump to read, s; the reference's where there is one pulse only.
    delta_phi : float
        Phase of the read pulse, of B relative to A, rad.
    e_pump, e_read : tuple of float
        Energy of the pulses in the pump and read gates at devices A, B, relative to the pulse of
        the same name in the reference setting; 0 for no pulse or a closed arm.
    gates : tuple of float
        Length of the pump and read gates, s.
    on_line : bool
        Whether the filters before the detectors are on the scattered light's line.
    """

    delay: float
    delta_phi: float = 0.0
    e_pump: tuple[float, float] = (1.0, 1.0)
    e_read: tuple[float, float] = (1.0, 1.0)
    gates: tuple[float, float] = (60e-9, 60e-9)
    on_line: bool = True


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settings:
    """Many settings as arrays, for draws along the last axis.

    A phase sweep is one setting but for Δφ, so what is at a setting is computed for u distinct
    ones, and only then for the m phases.

    Attributes
    ----------
    delay, gate : ndarray, shape (u, 1)
        `gate` is the mean length of both gates, s. All of these have shape (1, 1) where one value
        is everywhere.
    e_pump, e_read : tuple of ndarray, shape (u, 1)
        Devices A, B.
    line : ndarray, shape (u, 1)
        1 where the filters are on the line, otherwise 0.
    delta_phi : ndarray, shape (m, 1)
    distinct : ndarray of int, shape (m,)
        Which of the u it is.
    """

    delay: Real
    gate: Real
    e_pump: tuple[Real, Real]
    e_read: tuple[Real, Real]
    line: Real
    delta_phi: Real
    distinct: NDArray[np.intp]

    @classmethod
    def of(cls, settings: Sequence[Setting]) -> "Settings":
        """Arrange settings."""
        places: dict[Setting, int] = {}
        distinct = [places.setdefault(replace(s, delta_phi=0.0), len(places)) for s in settings]

        def column(value: Callable[[Setting], float]) -> Real:
            found = np.array([value(one) for one in places], np.float64)[:, None]
            return found[:1] if np.all(found == found[:1]) else found

        return cls(
            delay=column(lambda s: s.delay),
            gate=column(lambda s: sum(s.gates) / 2),
            e_pump=(column(lambda s: s.e_pump[0]), column(lambda s: s.e_pump[1])),
            e_read=(column(lambda s: s.e_read[0]), column(lambda s: s.e_read[1])),
            line=column(lambda s: s.on_line),
            delta_phi=np.array([s.delta_phi for s in settings], np.float64)[:, None],
            distinct=np.array(distinct, np.intp),
        )

    @classmethod
    def single(cls, setting: Setting) -> "Settings":
        """Return one setting, all shapes ()."""

        def point(value: float) -> Real:
            return np.array(value, np.float64)

        (pump_a, pump_b), (read_a, read_b) = setting.e_pump, setting.e_read
        return cls(
            delay=point(setting.delay),
            gate=point(sum(setting.gates) / 2),
            e_pump=(point(pump_a), point(pump_b)),
            e_read=(point(read_a), point(read_b)),
            line=point(setting.on_line),
            delta_phi=point(setting.delta_phi),
            distinct=np.zeros((), np.intp),
        )


def parameters_at(values: Values, setting: Setting, *, reference_delay: float) -> DLCZParameters:
    """Return the theory's parameters for values of the inferred ones at a setting.

    With E the energies relative to the reference, Γ and γ the decay rates of mode and bath:
    p_pump → (1 + p_pump)^E − 1, p_read → 1 − (1 − p_read)^E, prompt phonons E n_prompt,
    n_heat = E_pump b (e^{−Γτ} − e^{−γτ}) + E_read n_read, and leaks as the energy of both arms.
    With the filters beside the line no scattered light arrives.

    Parameters
    ----------
    values : mapping of str to array_like
        By the names of `simulation.inference.table.PARAMETERS`, shapes (...); memory of the
        detectors is 0 where not given. ``stray_share_1``, of detector 1: part of its steady clicks
        that is light at the signal's frequency, which filters beside the line keep off; 0 where not
        given, as it is not inferred but held by models that are tried.
    setting : Setting
    reference_delay : float
        At which `phi` is stated, s.
    """
    found = _at(values, Settings.single(setting), reference_delay)
    return DLCZParameters(**found, delta_phi=setting.delta_phi)


def distinct_parameters(
    values: Values, settings: Settings, *, reference_delay: float
) -> DLCZParameters:
    """Return `parameters_at` of u distinct settings, at Δφ = 0 and without checks.

    Parameters
    ----------
    values : mapping of str to array_like
        Shapes (n,), made from coordinates; parameters have shapes that broadcast to (u, n).
    settings : Settings
    reference_delay : float
        s.
    """
    return DLCZParameters.unchecked(_at(values, settings, reference_delay) | {"delta_phi": 0.0})


def _at(values: Values, at: Settings, reference_delay: float) -> dict[str, Any]:
    """Return all parameters but Δφ by name."""
    v = {name: np.asarray(value, np.float64) for name, value in values.items()}
    found: dict[str, Any] = {}
    bath = np.exp(-at.delay / v["bath_lifetime"])
    for x, arm in enumerate("AB"):
        by_pump, by_read = at.e_pump[x], at.e_read[x]
        rise = np.exp(-at.delay / v[f"lifetime_{arm}"]) - bath
        found |= {
            f"n_0_{arm}": v[f"n_0_{arm}"],
            f"n_env_{arm}": v[f"n_0_{arm}"],
            f"n_prompt_{arm}": by_pump * v[f"n_prompt_{arm}"],
            f"n_heat_{arm}": np.maximum(
                by_pump * v[f"b_pump_{arm}"] * rise + by_read * v[f"n_read_{arm}"], 0.0
            ),
            f"p_pump_{arm}": np.expm1(by_pump * np.log1p(v[f"p_pump_{arm}"])),
            f"p_read_{arm}": -np.expm1(by_read * np.log1p(-v[f"p_read_{arm}"])),
            f"lifetime_{arm}": v[f"lifetime_{arm}"],
            f"eta_{arm}": v[f"eta_{arm}"] * at.line,
        }
    for j in "12":
        by_pump, by_read = _leaking(at, j, v)
        found |= {
            f"eta_{j}": v[f"eta_{j}"],
            f"leak_pump_{j}": v[f"leak_pump_{j}"] * by_pump,
            f"leak_read_{j}": v[f"leak_read_{j}"] * by_read,
            f"dark_{j}": -np.expm1(-v[f"dark_rate_{j}"] * _steady(at.line, j, v) * at.gate),
        }
    found |= {name: v[name] for name in ("afterpulse", "blindness", "crosstalk") if name in v}
    turned = 2 * np.pi * v["delta_omega_hz"] * reference_delay
    return found | {
        "splitting": v["splitting"],
        "contrast": v["contrast"],
        "delay": at.delay,
        "delta_omega_hz": v["delta_omega_hz"],
        "phi_0": (v["phi"] - turned) / 2,
    }


def _steady(line: Real, detector: str, values: Mapping[str, Real]) -> Real:
    """Return the part of the steady clicks that is there with the filters where they are."""
    return np.asarray(1 - values.get(f"stray_share_{detector}", 0.0) * (1 - line))


def _leaking(at: Settings, detector: str, values: Mapping[str, Real]) -> tuple[Real, Real]:
    """Return the leaks at a detector, pump and read gate, relative to both arms' reference."""
    through = values["splitting"] if detector == "1" else 1 - values["splitting"]
    of_a = values["leak_share"] * through
    of_b = (1 - values["leak_share"]) * (1 - through)
    pump, read = ((of_a * a + of_b * b) / (of_a + of_b) for a, b in (at.e_pump, at.e_read))
    return np.asarray(pump), np.asarray(read)
