"""What all protocols owe the common interface: grids are their points, parameters are explained."""

import numpy as np
import pytest

from simulation.theory.models import get

AXES = {
    "bell2018": {"n_heat_A": [0.01, 0.2], "p_pump_B": [0.004, 0.01, 0.02]},
    "fan2026_storage": {"r": [0.4, 2.0], "n_1": [0.0, 0.2, 1.0]},
    "memory2020": {"n_0": [0.02, 0.2], "wcs_1": [0.001, 0.01, 0.05]},
    "network_herald": {"p_pump_B": [0.01, 0.03], "eta_s": [0.1, 0.3, 0.5]},
    "single_phonons2017": {"n_heat": [0.02, 0.2], "splitting": [0.3, 0.5, 0.6]},
    "swapping": {"n_heat": [0.01, 0.05], "length_km": [5.0, 40.0, 80.0]},
    "tan2020_readout": {"g_bp": [0.05, 0.1], "bandwidth": [1e-3, 0.1]},
    "teleportation2021": {"wcs_ratio": [2.0, 8.0], "visibility": [0.9, 0.95, 1.0]},
    "transducer": {"n_heat": [0.02, 0.2], "eta_mw": [0.2, 0.5, 0.9]},
}
LIGHT = {"swapping": ("P_link", "link", "swapped", "C", "R", "P_final", "V_final", "direct", "T")}
"""Results to compare where all of them would take long."""


@pytest.mark.parametrize("name", AXES)
def test_a_grid_is_its_points(name):
    model = get(name)
    (first, across), (second, up) = AXES[name].items()
    wanted = LIGHT.get(name, tuple(model.results))
    grid = model.evaluate(
        wanted, **{first: np.array(across)[:, None], second: np.array(up)[None, :]}
    )
    for i, x in enumerate(across):
        for j, y in enumerate(up):
            alone = model.evaluate(wanted, **{first: x, second: y})
            for result in wanted:
                np.testing.assert_allclose(
                    grid[result][i, j], alone[result], rtol=1e-9, atol=1e-13, err_msg=result
                )


@pytest.mark.parametrize(
    ("name", "words", "axis"),
    [
        ("memory2020", {"dephasing": "gaussian"}, {"tau": [1e-5, 1e-4]}),
        (
            "teleportation2021",
            {"detection": "script", "heating": "amplifier"},
            {"p_pump": [0.01, 0.012]},
        ),
        ("bell2018", {"heating": "power"}, {"scale": [0.5, 2.0]}),
    ],
)
def test_variants_take_arrays_too(name, words, axis):
    model = get(name)
    ((parameter, values),) = axis.items()
    together = model.evaluate(**words, **axis)
    for place, value in enumerate(values):
        alone = model.evaluate(**words, **{parameter: value})
        for result, array in together.items():
            np.testing.assert_allclose(array[place], alone[result], rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("name", AXES)
def test_every_parameter_and_result_says_what_it_is(name):
    model = get(name)
    assert all(item.meaning for item in model.parameters.quantities().values())
    assert all(result.meaning for result in model.results.values())
