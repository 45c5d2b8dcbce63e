"""Microwave–optical pairs: 40-digit values."""

import pytest

from simulation.theory.models import point
from simulation.theory.protocols.transducer import MODEL

ROWS = [
    (
        {},
        (5.86096682107e-6, 0.632679154561, 0.05136018, 0.311525572778),
        (0.961656450, 0.917940032, 0.939798240842),
        (0.924916335, 0.845500453, 0.885208393980),
    ),
    (
        {"n_heat": 0.2},
        (5.86096682107e-6, 0.715279154561, 0.13396018, 0.678976931658),
        (0.898501344, 0.785833351, 0.842167347448),
        (0.842258625, 0.677227192, 0.759742908756),
    ),
    (
        {"p_pump": 1e-3},
        (5.68067841679e-5, 0.652148740239, 0.0519018, 0.305579263647),
        (0.963779548, 0.927009265, 0.945394406510),
        (0.926281145, 0.852123558, 0.889202351343),
    ),
    (
        {"dark": 5e-6},
        (1.06609396484e-5, 0.370945036558, 0.05136018, 0.515473750068),
        (0.904791441, 0.717519629, 0.811155534919),
        (0.878381374, 0.679273257, 0.778827315658),
    ),
    (
        {"eta_mw": 0.2},
        (5.86096682107e-6, 0.221077679512, 0.0240204, 0.410986043272),
        (0.916109879, 0.826361507, 0.871235693188),
        (0.901996784, 0.798652243, 0.850324513338),
    ),
    (
        {"p_pump": 0.05, "eta_o": 0.5},
        (0.0248661140907, 0.697562518442, 0.08139, 0.399689986617),
        (0.947617773, 0.895725900, 0.921671836112),
        (0.895513529, 0.793086333, 0.844299930603),
    ),
]


@pytest.mark.parametrize(("changes", "herald", "photon", "moments"), ROWS)
def test_heralds_and_time_bins(changes, herald, photon, moments):
    found = point(MODEL, **changes)
    values = [found[name] for name in ("P_h", "n_h", "n_u", "g2_h")]
    assert values == pytest.approx(herald, rel=1e-11)
    assert [found[name] for name in ("F_z", "V_x")] == pytest.approx(photon[:2], abs=1e-9)
    assert found["F_sub"] == pytest.approx(photon[2], rel=1e-11)
    assert [found[name] for name in ("P_z", "V_mom")] == pytest.approx(moments[:2], abs=1e-9)
    assert found["F_mom"] == pytest.approx(moments[2], rel=1e-10)


def test_chsh_of_the_moments():
    assert point(MODEL)["S"] == pytest.approx(2.39756309562, rel=1e-11)
    assert point(MODEL, n_heat=0.2)["S"] == pytest.approx(1.92579745965, rel=1e-11)


def test_parameters_of_the_supplement():
    found = point(MODEL, p_pump=9.35e-5, eta_mw=0.604, dark=0.0)
    assert found["n_h"] == pytest.approx(0.668471945739, rel=1e-11)
    assert found["g2_h"] == pytest.approx(0.300908545099, rel=1e-11)
    assert found["F_sub"] == pytest.approx(0.948255213795, rel=1e-11)


def test_the_device_gives_the_published_conversion_and_heralds():
    found = point(MODEL)
    assert found["conversion"] == pytest.approx(0.60405059972, rel=1e-11)
    assert found["pair_probability"] == pytest.approx(9.353e-5, rel=1e-4)
    of_power = point(MODEL, sigma_of="power")["pair_probability"]
    assert of_power == pytest.approx(1.3227e-4, rel=1e-4)
    # 0.26 heralds per second through the stated collection, published
    assert found["pair_probability"] * 0.0555 / 20e-6 == pytest.approx(0.26, rel=0.01)


def test_half_the_piezo_coupling_converts_less():
    assert point(MODEL, g_piezo_hz=0.6e6)["conversion"] == pytest.approx(0.534, abs=5e-4)
