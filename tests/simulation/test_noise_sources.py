"""The DLCZ model with sources of noise switched off, one at a time."""

from dataclasses import replace

import numpy as np
import pytest

from simulation.theory.dlcz import pair_clicks, riedinger2018
from simulation.theory.dlcz.sources import FAINT, SOURCES, noisy_model, without

PAPER = noisy_model(riedinger2018())


@pytest.mark.parametrize(
    ("names", "r_m"),
    [
        ((), 0.691978),
        (("phase_offset",), 0.625648),
        (("pump_heating", "read_heating"), 0.353083),
        (("read_heating", "pump_heating"), 0.353083),
        (("pump_heating",), 0.521902),
        (("read_heating",), 0.514229),
        (("leaks",), 0.465670),
    ],
)
def test_witness_of_the_paper_without_a_source(names, r_m):
    """Reference numbers of the preset, 1e-5."""
    assert float(without(PAPER, names).witness) == pytest.approx(r_m, abs=1e-5)


def test_distinguishable_photons_cost_as_much_as_the_phase_they_imitate():
    best = without(PAPER, ["phase_offset"])
    dull = best.changed(contrast=0.94)
    assert float(dull.witness) == pytest.approx(0.708424, abs=1e-5)
    assert float(without(dull, ["distinguishability"]).witness) == pytest.approx(
        float(best.witness), rel=1e-12
    )
    assert float(best.changed(contrast=np.cos(0.1 * np.pi)).witness) == pytest.approx(
        float(PAPER.witness), abs=1e-5
    )


def test_source_that_is_not_there_costs_nothing():
    for name in ("distinguishability", "phase_noise", "detector_memory"):
        assert float(without(PAPER, [name]).witness) == float(PAPER.witness)


def test_order_of_switching_off_does_not_matter():
    names = list(SOURCES)
    forth, back = (without(PAPER, order).witness for order in (names, names[::-1]))
    assert float(forth) == float(back)
    assert 0 < float(forth) < 1e-4, "without noise g² grows without limit"


def test_one_pair_at_a_time_is_the_limit_of_a_faint_pump():
    """With a = 1/(g² − 1) of one pair at a time, 1/(g² − 1) = (a + p)/(1 + p)."""
    faint = {"eta_1": 0.05, "eta_2": 0.05, "dark_1": 0.0, "dark_2": 0.0}
    p = replace(riedinger2018(), **faint, leak_pump_1=0.0, leak_pump_2=0.0)
    model = noisy_model(p)
    alone = without(model, ["multi_pair"])
    for x, p_pump in enumerate(p.per_device("p_pump")):
        now, then = 1 / (model.g2_alone[x] - 1), 1 / (alone.g2_alone[x] - 1)
        assert now == pytest.approx((then + p_pump) / (1 + p_pump), rel=1e-4)


def test_one_pair_at_a_time_keeps_darks_of_the_read_gate():
    dark = noisy_model(replace(riedinger2018(), dark_1=1e-4, dark_2=2e-4))
    alone = without(dark, ["multi_pair"])
    assert alone.pump_scale == FAINT
    now, then = (pair_clicks(one.parameters).singles for one in (dark, alone))
    np.testing.assert_allclose(then[2:], now[2:], rtol=0.04)
    np.testing.assert_allclose(then[:2] / FAINT, now[:2], rtol=0.01)


def test_balanced_arms_give_equal_photons():
    model = without(noisy_model(riedinger2018()), ["imbalance"])
    open_ = [without(model, ["leaks", "darks"]).changed(**{f"eta_{x}": 0.0}) for x in "BA"]
    a, b = (pair_clicks(one.parameters).singles for one in open_)
    np.testing.assert_allclose(a, b, rtol=2e-3)


def test_unknown_source_and_impossible_heat_are_refused():
    with pytest.raises(ValueError, match=r"must be one of initial_phonons, .* but is 'noise'"):
        without(PAPER, ["noise"])
    with pytest.raises(ValueError, match="`pump_heat` must lie between 0 and n_heat"):
        noisy_model(riedinger2018(), (0.08, 0.03))
    closed = noisy_model(replace(riedinger2018(), eta_A=0.0))
    with pytest.raises(ValueError, match="open both arms"):
        without(closed, ["imbalance"])
