"""The setting of a block as the model sees it, and what drawn parameters amount to there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

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
    """Many settings as arrays of shape (m, 1), for draws along the last axis.

    Attributes
    ----------
    delay, delta_phi, gate : ndarray
        `gate` is the mean length of both gates, s.
    e_pump, e_read : tuple of ndarray
        Devices A, B.
    line : ndarray
        1 where the filters are on the line, otherwise 0.
    """

    delay: Real
    delta_phi: Real
    gate: Real
    e_pump: tuple[Real, Real]
    e_read: tuple[Real, Real]
    line: Real

    @classmethod
    def of(cls, settings: Sequence[Setting]) -> "Settings":
        """Arrange settings."""

        def column(values: Iterable[float]) -> Real:
            return np.array(list(values), np.float64)[:, None]

        def both(energies: Sequence[tuple[float, float]]) -> tuple[Real, Real]:
            return column(first for first, _ in energies), column(second for _, second in energies)

        return cls(
            delay=column(s.delay for s in settings),
            delta_phi=column(s.delta_phi for s in settings),
            gate=column(sum(s.gates) / 2 for s in settings),
            e_pump=both([s.e_pump for s in settings]),
            e_read=both([s.e_read for s in settings]),
            line=column(s.on_line for s in settings),
        )

    def at(self, row: int) -> "Settings":
        """Return one setting, shapes ()."""
        return Settings(
            delay=self.delay[row, 0], delta_phi=self.delta_phi[row, 0], gate=self.gate[row, 0],
            e_pump=(self.e_pump[0][row, 0], self.e_pump[1][row, 0]),
            e_read=(self.e_read[0][row, 0], self.e_read[1][row, 0]), line=self.line[row, 0],
        )  # fmt: skip


def parameters_at(
    values: Values, setting: Setting | Settings, *, reference_delay: float
) -> DLCZParameters:
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
    setting : Setting or Settings
        Settings: values of shape (n,) become parameters of shape (m, n).
    reference_delay : float
        At which `phi` is stated, s.
    """
    at = Settings.of([setting]).at(0) if isinstance(setting, Setting) else setting
    v = {name: np.asarray(value, np.float64) for name, value in values.items()}
    found: dict[str, Real] = {}
    for x, arm in enumerate("AB"):
        by_pump, by_read = at.e_pump[x], at.e_read[x]
        rise = np.exp(-at.delay / v[f"lifetime_{arm}"]) - np.exp(-at.delay / v["bath_lifetime"])
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
        found |= {
            f"eta_{j}": v[f"eta_{j}"],
            f"leak_pump_{j}": v[f"leak_pump_{j}"] * _leaking(at.e_pump, j, v),
            f"leak_read_{j}": v[f"leak_read_{j}"] * _leaking(at.e_read, j, v),
            f"dark_{j}": -np.expm1(-v[f"dark_rate_{j}"] * _steady(at.line, j, v) * at.gate),
        }
    memory = {name: v[name] for name in ("afterpulse", "blindness", "crosstalk") if name in v}
    turned = 2 * np.pi * v["delta_omega_hz"] * reference_delay
    return DLCZParameters(
        **found,
        **memory,
        splitting=v["splitting"],
        contrast=v["contrast"],
        delay=at.delay,
        delta_phi=at.delta_phi,
        delta_omega_hz=v["delta_omega_hz"],
        phi_0=(v["phi"] - turned) / 2,
    )


def _steady(line: Real, detector: str, values: Mapping[str, Real]) -> Real:
    """Return the part of the steady clicks that is there with the filters where they are."""
    return np.asarray(1 - values.get(f"stray_share_{detector}", 0.0) * (1 - line))


def _leaking(energy: tuple[Real, Real], detector: str, values: Mapping[str, Real]) -> Real:
    """Return the leak at a detector relative to both arms' reference pulses."""
    through = values["splitting"] if detector == "1" else 1 - values["splitting"]
    of_a = values["leak_share"] * through
    of_b = (1 - values["leak_share"]) * (1 - through)
    return np.asarray((of_a * energy[0] + of_b * energy[1]) / (of_a + of_b))
