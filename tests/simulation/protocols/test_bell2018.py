"""Bell test and witnesses of heralded states: 40-digit values."""

import numpy as np
import pytest

from simulation.theory.dlcz import DLCZParameters
from simulation.theory.models import point
from simulation.theory.protocols.bell2018 import MODEL
from simulation.theory.protocols.witnesses import HERALDED

PAPER_003 = DLCZParameters.defaults() | {"delta_phi": 0.0, "phi_0": 0.0, "delta_omega_hz": 0.0}
WEAK = {
    **{f"p_pump_{x}": 0.008 for x in "AB"},
    **{f"{name}_{x}": 0.03 for name in ("n_0", "n_env", "p_read") for x in "AB"},
    **{f"n_heat_{x}": 0.05 for x in "AB"},
    **{f"lifetime_{x}": 3.3e-6 for x in "AB"},
    **{f"eta_{x}": 0.001 for x in "AB"},
    "dark_1": 0.0,
    "dark_2": 0.0,
}


def test_seed_003_parameters():
    found = point(MODEL, **PAPER_003)
    assert found["coincidences"] == pytest.approx(
        [9.72624890258e-9, 1.29137045496e-7, 1.28131106219e-7, 2.48290717831e-8], rel=2e-11
    )
    assert found["E_cardinal"] == pytest.approx(
        [-0.763176550526, 0.060195530225, 0.806761624471], rel=2e-11
    )
    assert found["E"] == pytest.approx([-0.513374892973] * 3 + [0.595408971096], rel=2e-11)
    assert found["S"] == pytest.approx(2.135533650010, rel=1e-11)
    assert found["S_exclusive"] == pytest.approx(2.136470842910, rel=1e-11)
    assert found["P_coinc"] == pytest.approx(3.01527442088e-7, rel=1e-11)
    assert found["events"] == pytest.approx(5594.8442, rel=1e-8)


def test_our_set():
    found = point(MODEL)
    assert found["S"] == pytest.approx(2.25834425462, rel=1e-11)
    assert found["S_exclusive"] == pytest.approx(2.26007392494, rel=1e-11)
    assert np.abs(found["E"]) == pytest.approx([0.564586063654] * 4, rel=1e-11)
    assert found["E_cardinal"][0] == pytest.approx(-0.798445218400, rel=1e-11)
    assert found["P_coinc"] == pytest.approx(7.84650532646e-7, rel=1e-11)
    assert found["events"] == pytest.approx(1469.8285, rel=1e-7)


@pytest.mark.parametrize(
    ("changes", "s"),
    [
        ({"splitting": 0.45}, 2.21977873225),
        ({"splitting": 0.4}, 2.10408216546),
        ({"dark_1": 2e-6, "dark_2": 2e-6}, 2.25098495105),
        ({"leak_read_1": 2e-5, "leak_read_2": 2e-5}, 2.19344052347),
        ({"n_heat_A": 0.0, "n_heat_B": 0.0}, 2.59382563107),
        ({"n_heat_A": 0.02, "n_heat_B": 0.02}, 2.50044965071),
        ({"n_heat_A": 0.05, "n_heat_B": 0.05}, 2.37233871214),
        ({"n_heat_A": 0.1, "n_heat_B": 0.1}, 2.18568263852),
        ({"n_heat_A": 0.15, "n_heat_B": 0.15}, 2.02624015111),
        ({"n_heat_A": 0.2, "n_heat_B": 0.2}, 1.88846419835),
        ({"n_heat_A": 0.103414762367, "n_heat_B": 0.103414762367}, 2.174),
        ({"n_heat_A": 0.158992102255, "n_heat_B": 0.158992102255}, 2.0),
    ],
)
def test_what_lowers_s(changes, s):
    assert point(MODEL, **changes)["S"] == pytest.approx(s, rel=1e-11)


@pytest.mark.parametrize(
    ("scale", "s", "probability", "events", "days"),
    [
        (0.5, 2.40217518201, 3.688996541e-7, 569.20498, 0.8929),
        (1, 2.33949650185, 7.574681597e-7, 821.98987, 0.6280),
        (2, 2.22099248892, 1.595187655e-6, 2039.5058, 0.7399),
        (3, 2.11335277878, 2.513387244e-6, 8078.8273, 1.8601),
        (5, 1.92610737977, 4.589654194e-6, np.inf, np.inf),
        (8, 1.69932557723, 8.29697446e-6, np.inf, np.inf),
    ],
)
def test_read_power(scale, s, probability, events, days):
    found = point(MODEL, scale=scale, heating="power")
    assert found["S"] == pytest.approx(s, rel=1e-11)
    assert found["P_coinc"] == pytest.approx(probability, rel=1e-9)
    assert found["events"] == pytest.approx(events, rel=1e-7)
    assert found["time"] / 86400 == pytest.approx(days, abs=6e-5)


def test_weak_symmetric_limit():
    found = point(MODEL, **WEAK)
    assert found["S"] == pytest.approx(2.39776466534, rel=1e-11)
    assert found["S_fields"] == pytest.approx(2.39776744387, rel=1e-11)


HERALD_TABLE = {
    "p00": (0.0985941570918, 0.0921649936565, 0.0987017934313),
    "p10": (0.332938838580, 0.335095569391, 0.314735680560),
    "p01": (0.354246173124, 0.356874432628, 0.324172354141),
    "p11": (0.0597514862097, 0.0602074319756, 0.0691408291266),
    "abs_d": (0.334736477450, 0.337688996646, 0.308540752363),
    "C": (0.515965334010, 0.526394536678, 0.451862573195),
    "q10": (0.415942868328, 0.418726667757, 0.405550758618),
    "q01": (0.407284675235, 0.410332525291, 0.397989870259),
    "q11": (0.0781782993451, 0.0787758132956, 0.0977575776920),
    "C_clicks": (0.510779377753, 0.521808208162, 0.445463003109),
    "R": (0.435501257663, 0.431292324606, 0.565159680196),
    "HZ1": (-0.131696952201, -0.134998143649, -0.105127025437),
    "transposed": (-0.256126593210, -0.261880614739, -0.224973263814),
    "duan": (2.15864032452, 2.16704696374, 2.23097474513),
}


@pytest.mark.parametrize(
    ("column", "changes", "herald"),
    [(0, PAPER_003, "herald_1"), (1, PAPER_003, "herald_2"), (2, {}, "herald_1")],
)
def test_witnesses_of_the_heralded_devices(column, changes, herald):
    found = MODEL.evaluate([herald], **changes)[herald]
    for name, row in HERALD_TABLE.items():
        assert found[HERALDED.index(name)] == pytest.approx(row[column], rel=1e-11), name


def test_read_light_is_entangled_but_dim():
    found = dict(zip(HERALDED, MODEL.evaluate(["light_1"], **PAPER_003)["light_1"], strict=True))
    assert found["p10"] == pytest.approx(8.71547511259e-4, rel=1e-11)
    assert found["p01"] == pytest.approx(8.10567050398e-4, rel=1e-11)
    assert found["p11"] == pytest.approx(2.14448615871e-7, rel=1e-11)
    assert found["abs_d"] == pytest.approx(7.01613627747e-4, rel=1e-11)
    assert found["C"] == pytest.approx(4.77834906461e-4, rel=1e-11)
    assert found["C_clicks"] == pytest.approx(4.77714794030e-4, rel=1e-9)


def test_unheralded_pairs():
    found = MODEL.evaluate(["pair_A", "pair_B", "pair_A_detected", "pair_B_detected"], **PAPER_003)
    assert found["pair_A"] == pytest.approx(
        [0.971901735704, 1.21597533028, 0.992609426864, 0.934316195621, 0.0980172187688], rel=1e-11
    )
    assert found["pair_B"] == pytest.approx(
        [0.900375047387, 1.11379155036, 0.987769426211, 0.889099179974, 0.169583732666], rel=1e-11
    )
    assert found["pair_A_detected"][0] == pytest.approx(0.999295231772, rel=1e-11)
    assert found["pair_B_detected"][0] == pytest.approx(0.999226204598, rel=1e-11)


def test_no_coincidences_are_refused():
    with pytest.raises(ValueError, match="no coincidence"):
        point(MODEL, eta_1=0.0, eta_2=0.0, dark_1=0.0, dark_2=0.0)
