"""Scans of the DLCZ experiment: one device alone, phase, delay with delayed heating."""

from dataclasses import replace

import numpy as np
import pytest

from simulation.theory.dlcz import g2_clicks, g2_moments, riedinger2018, visibility
from simulation.theory.dlcz.budget import visibility_bound
from simulation.theory.dlcz.scans import (
    at_delay,
    leading_order_g2,
    phase_scan,
    pump_heating,
    single_device_g2,
)


@pytest.mark.parametrize(("device", "measured", "sigma"), [("A", 7.5, 0.35), ("B", 9.6, 1.1)])
def test_each_device_alone_has_the_measured_correlation(device, measured, sigma):
    g = single_device_g2(riedinger2018(), device, g2=g2_clicks)
    assert abs(g - measured) < sigma


@pytest.mark.parametrize("device", ["A", "B"])
def test_equation_s2_is_low_by_the_order_it_drops(noiseless, device):
    p = noiseless(n_0_A=0.039, n_0_B=0.017, n_env_A=0.039, n_env_B=0.017, n_heat_A=0.075)
    exact, leading = single_device_g2(p, device), leading_order_g2(p, device)
    n_0, p_pump = (0.039 if device == "A" else 0.017), 0.01
    n_th = n_0 + (0.075 if device == "A" else 0.0)
    thermal = n_th + p_pump * (1 + n_0)
    assert exact - 1 == pytest.approx((1 + n_0) * (1 + p_pump) / thermal, rel=1e-12)
    assert leading - 1 == pytest.approx(1 / (n_th + p_pump), rel=1e-12)


def test_blocking_an_arm_takes_its_share_of_the_leak_along(noiseless):
    leaky = noiseless(leak_read_2=1e-4, leak_pump_2=1e-4)
    halved = replace(leaky, leak_read_2=5e-5, leak_pump_2=5e-5, eta_B=0.0)
    assert single_device_g2(leaky, "A") == pytest.approx(g2_moments(halved)[1, 1], rel=1e-12)


def test_phase_scan_is_the_fringe(noisy):
    phases = np.array([0.0, 0.7, 2.0])
    g = phase_scan(noisy(), phases)
    assert g.shape == (3, 2, 2)
    np.testing.assert_allclose(g[1], g2_clicks(noisy(delta_phi=0.7)), rtol=1e-12)


def test_the_present_delay_keeps_the_present_heating():
    p = riedinger2018()
    same = at_delay(p, p.delay)
    assert (same.n_heat_A, same.n_heat_B) == pytest.approx((0.075, 0.048), rel=1e-14)


def test_pump_heating_comes_late_and_then_decays():
    n = pump_heating(np.array([0.0, 0.5e-6, 2e-6, 30e-6]), lifetime=4e-6)
    assert n[0] == 0
    assert n[0] < n[1] < n[2] > n[3]


def test_interference_outlives_two_microseconds_but_fades():
    at = at_delay(riedinger2018(), np.array([0.123e-6, 1e-6, 3e-6]))
    v = visibility(at)
    assert np.all(np.diff(v) < 0)
    assert v[0] == pytest.approx(0.78, abs=0.01)


def test_visibility_bound_takes_the_worse_device():
    p = riedinger2018()
    g2_A, g2_B = (leading_order_g2(p, x) for x in "AB")
    assert visibility_bound(g2_A, g2_B) == pytest.approx((g2_A - 1) / (g2_A + 1), rel=1e-12)


def test_more_pump_heating_than_there_is_and_unknown_devices_are_refused():
    with pytest.raises(ValueError, match=r"`n_pump_heat` of B must lie in \[0, n_heat_B = 0.048\]"):
        at_delay(riedinger2018(), 1e-6, n_pump_heat=(0.03, 0.05))
    with pytest.raises(ValueError, match='`device` must be "A" or "B"'):
        single_device_g2(riedinger2018(), "C")
