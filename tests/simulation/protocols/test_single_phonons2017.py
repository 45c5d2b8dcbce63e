"""Heralded single phonons: 40-digit values, and limits known exactly."""

import pytest

from simulation.theory.models import point
from simulation.theory.protocols.single_phonons2017 import MODEL

BRIGHT = {"eta_s": 0.5, "eta_r": 0.5, "p_read": 0.5, "dark": 0.0}

G2 = [
    ({}, 0.404565485441),
    ({"dark": 0.0}, 0.404002294339),
    ({"splitting": 0.4}, 0.404581133536),
    ({"leak_read": 1e-5}, 0.429424710497),
    ({"n_heat": 0.02}, 0.155330889775),
    ({"n_heat": 0.2}, 0.650956356055),
    ({"p_pump": 0.003}, 0.382698181244),
    ({"delay": 50e-6}, 0.586264496194),
    (BRIGHT, 0.393353244104),
    (BRIGHT | {"p_pump": 0.1}, 0.531926921118),
    ({"n_heat": 0.0809446871531}, 0.35),
    ({"n_heat": 0.199559613226}, 0.65),
]


@pytest.mark.parametrize(("changes", "g2"), G2)
def test_heralded_autocorrelation(changes, g2):
    assert point(MODEL, **changes)["g2"] == pytest.approx(g2, rel=5e-12)


def test_base_point():
    found = point(MODEL)
    assert found["g2_fields"] == pytest.approx(0.404475632506, rel=5e-12)
    assert found["P_h"] == pytest.approx(3.63667770399e-4, rel=5e-12)
    assert found["P_read"] == pytest.approx([6.33994698968e-4] * 2, rel=5e-12)
    assert found["P_r1r2"] == pytest.approx(1.62614804906e-7, rel=5e-12)
    assert found["g2_unheralded"] == pytest.approx(1.99398849066, rel=5e-12)
    assert found["g2_cross"] == pytest.approx([9.32835391762] * 2, rel=5e-12)
    assert found["hom_C"] == pytest.approx(3.25023461553e-7, rel=5e-12)


def test_bright_thresholds_lie_below_the_field_value():
    found = point(MODEL, **BRIGHT, p_pump=0.1)
    assert found["g2_fields"] == pytest.approx(0.587748497121, rel=5e-12)


@pytest.mark.parametrize(
    ("n_heat", "visibility"),
    [(0.10, 0.711912078155), (0.02, 0.865532003886), (0.0, 0.922594278846)],
)
def test_hong_ou_mandel(n_heat, visibility):
    assert point(MODEL, n_heat=n_heat)["hom_V"] == pytest.approx(visibility, rel=5e-12)


def test_rare_triples_keep_all_digits():
    faint = {"p_pump": 1e-6, "eta_s": 1e-3, "eta_r": 1e-3, "p_read": 1e-3, "dark": 0.0}
    found = point(MODEL, **faint)
    assert found["P_h"] * found["P_r1r2"] < 1e-21
    assert found["g2"] == pytest.approx(found["g2_fields"], rel=3e-6)


def test_a_read_that_never_clicks_is_refused():
    with pytest.raises(ValueError, match="undefined where the herald or a read detector"):
        point(MODEL, eta_r=0.0, dark=0.0)
