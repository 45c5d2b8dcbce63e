"""Figures of seed 004 (Yu, Shen & Li, Phys. Rev. Lett. 124, 213604)."""

from collections.abc import Mapping

import numpy as np

from simulation.figures.data import Axis, Curves, FigureData, Map
from simulation.figures.grid import Results, as_line, as_map, evaluate, on_grid, span
from simulation.theory.models import get
from simulation.theory.models.yu2020 import Yu2020, entangled_up_to

MODEL = "yu2020"
TEXT = "values of the text (ω_b/2π = 10 MHz, κ/2π = 1 MHz, g/2π = 3.8 MHz, G/2π = 4.5 MHz, 20 mK)"


def figure_2(points: int, changes: Mapping[str, float]) -> FigureData:
    """E_N over the detunings, and over the ratios of decay rates and couplings."""
    return FigureData(
        name="yu2020-2",
        title="Yu, Shen & Li Fig. 2: entanglement of two microwave fields",
        panels=(
            _detunings("a", "E_N", "negativity $E_N$", None, points, changes),
            _ratios(points, changes),
        ),
        columns=2,
        parameters=f"{TEXT}; Δ_m = 0.9 ω_b; (b) Δ1 = −Δ2 = ω_b.",
        reproduces="two lobes around Δ1 = −Δ2 = ±ω_b; in (b) close couplings and a smaller decay "
        "rate of cavity 2, on the red sideband, are best (0.160 at κ2/κ1 = 0.30, g2/g1 = 0.78).",
        differs="the maxima of (a), 0.137, are at (0.81, −0.77) ω_b and its mirror image; at "
        "exactly Δ1 = −Δ2 = ω_b it is 0.098.",
    )


def figure_3(points: int, changes: Mapping[str, float]) -> FigureData:
    """E_N against temperature, at the optimum of Fig. 2(b)."""
    temperature = span(0.0, 0.25, points)
    optimum, ratios = optimal_ratios(changes)
    cases = ({**changes, **optimum}, changes)
    best, equal = (evaluate(MODEL, ["E_N"], {**case, "temperature": temperature}) for case in cases)
    panel = Curves(
        panel="",
        x=Axis(label="temperature T (mK)", values=1e3 * temperature),
        label="negativity $E_N$",
        lines=(
            as_line(best, "E_N", label="optimum of Fig. 2(b)"),
            as_line(
                equal, "E_N", label="$\\kappa_2=\\kappa_1$, $g_2=g_1$", color=1, style="dashed"
            ),
        ),
    )
    ends = [_survival_mk(case) for case in cases]
    return FigureData(
        name="yu2020-3",
        title="Yu, Shen & Li Fig. 3: entanglement against temperature",
        panels=(panel,),
        columns=1,
        parameters=f"{TEXT}; Δ_m = 0.9 ω_b, Δ1 = −Δ2 = ω_b; optimum at κ2/κ1 = {ratios[0]:.2f}, "
        f"g2/g1 = {ratios[1]:.2f}.",
        reproduces="a monotonic fall to zero far above the temperature of the paper's cryostat.",
        differs=f"it ends at {ends[0]} at the optimum and {ends[1]} for equal cavities, not at "
        "140 mK.",
    )


def figure_4(points: int, changes: Mapping[str, float]) -> FigureData:
    """Duan sum over the detunings and over both decay rates."""
    kappa = span(0.2e6, 5e6, points)
    fixed = {"delta_1": 0.9, "delta_2": -1.1, **changes}
    results = on_grid(MODEL, ["duan"], {"kappa_1_hz": kappa}, {"kappa_2_hz": kappa}, fixed)
    decay = as_map(
        results,
        "duan",
        panel="b",
        x=Axis(label="decay rate $\\kappa_1/2\\pi$ (MHz)", values=1e-6 * kappa),
        y=Axis(label="decay rate $\\kappa_2/2\\pi$ (MHz)", values=1e-6 * kappa),
        label=DUAN,
        below=2.0,
    )
    return FigureData(
        name="yu2020-4",
        title="Yu, Shen & Li Fig. 4: Duan criterion (blank above 2)",
        panels=(_detunings("a", "duan", DUAN, 2.0, points, changes), decay),
        columns=2,
        parameters=f"{TEXT}; Δ_m = 0.9 ω_b; (b) Δ1 = 0.9 ω_b, Δ2 = −1.1 ω_b.",
        reproduces="two areas near Δ1 = −Δ2 = ±ω_b; entanglement at much larger decay rates.",
        differs="at exactly Δ1 = −Δ2 = ω_b the sum is 2.064, above the bound; it is below 2 near "
        "(0.875, −1.085) ω_b.",
    )


DUAN = "Duan sum $\\langle\\delta X_+^2\\rangle+\\langle\\delta Y_-^2\\rangle$"


def optimal_ratios(changes: Mapping[str, float]) -> tuple[dict[str, float], tuple[float, float]]:
    """Return the parameters of the largest E_N of Fig. 2(b), and its ratios κ2/κ1, g2/g1."""
    ratio = span(0.02, 2.0, 100)
    values = np.nan_to_num(np.asarray(_over_ratios(ratio, changes)["E_N"], np.float64))
    row, column = np.unravel_index(int(np.argmax(values)), values.shape)
    best = (float(ratio[column]), float(ratio[row]))
    kappa_1, g_1 = _first_cavity(changes)
    return {"kappa_2_hz": best[0] * kappa_1, "g_2_hz": best[1] * g_1}, best


def _detunings(
    letter: str, name: str, label: str, below: float | None, points: int,
    changes: Mapping[str, float],
) -> Map:  # fmt: skip
    delta = span(-2.0, 2.0, points)
    results = on_grid(MODEL, [name], {"delta_1": delta}, {"delta_2": delta}, changes)
    return as_map(
        results,
        name,
        panel=letter,
        x=Axis(label="detuning $\\Delta_1/\\omega_b$", values=delta),
        y=Axis(label="detuning $\\Delta_2/\\omega_b$", values=delta),
        label=label,
        below=below,
    )


def _ratios(points: int, changes: Mapping[str, float]) -> Map:
    ratio = span(0.02, 2.0, points)
    return as_map(
        _over_ratios(ratio, changes),
        "E_N",
        panel="b",
        x=Axis(label="ratio of decay rates $\\kappa_2/\\kappa_1$", values=ratio),
        y=Axis(label="ratio of couplings $g_2/g_1$", values=ratio),
        label="negativity $E_N$",
    )


def _over_ratios(ratio: np.ndarray, changes: Mapping[str, float]) -> Results:
    kappa_1, g_1 = _first_cavity(changes)
    return on_grid(
        MODEL, ["E_N"], {"kappa_2_hz": ratio * kappa_1}, {"g_2_hz": ratio * g_1}, changes
    )


def _first_cavity(changes: Mapping[str, float]) -> tuple[float, float]:
    values = {**get(MODEL).parameters.defaults(), **changes}
    return float(values["kappa_1_hz"]), float(values["g_1_hz"])


def _survival_mk(parameters: Mapping[str, float]) -> str:
    """Highest temperature with entanglement, whatever the points of the curve."""
    ends = entangled_up_to(Yu2020(**parameters))
    return f"{1e3 * ends:.0f} mK" if ends else "no temperature"
