"""Resonances of the devices by sweeps of the lasers, on the virtual lab."""

from contextlib import contextmanager

import numpy as np
import pytest

from labkit.experiment import read_experiment
from labkit.procedures.identify import IdentifyOptions, identify
from labkit.procedures.laser_sweep import FilterFollower
from labkit.procedures.mechanical_lines import MechanicalOptions
from labkit.procedures.optical_lines import OpticalOptions
from labkit.procedures.session import Session
from labkit.procedures.switch_on import SwitchOnOptions, switch_on
from labkit.run import create_run
from labkit.run.progress import Watcher
from labkit.station.config import read_station_file
from labkit.station.lab import Lab
from labkit.station.opening import open_instruments
from simulation.lab.world import World

pytestmark = pytest.mark.long

SEQUENCE = read_experiment("autopilot").sequence
BRIGHT = {"arm_output": (0.442, 0.316)}


@contextmanager
def working_lab(folder, **parameters):
    file = read_station_file("virtual")
    with (
        World.start(seed=5, parameters=BRIGHT | parameters) as world,
        open_instruments(file, {**world.addresses, **world.objects}) as instruments,
    ):
        run = create_run(folder, "test", {}, "", gates=SEQUENCE.gates)
        session = Session(lab=Lab(file, instruments), folder=run)
        switch_on(session, SEQUENCE, SwitchOnOptions())
        yield world, session


def settings(session):
    """What a procedure promises to set back."""
    lab = session.lab
    return [
        *(float(laser.wavelength()) for laser in lab.lasers.values()),
        *(float(element.voltage()) for element in lab.filters.values()),
        *(float(attenuator.transmission()) for attenuator in lab.attenuators.values()),
        *(lab.detector_bias.current(channel) * 1e6 for channel in (1, 2)),
    ]


def optical(**options):
    return IdentifyOptions(lines=("optical",), optical=OpticalOptions(**options))


@pytest.mark.parametrize("coupling", [0.5, 0.3])
def test_optical_resonances_are_found_where_they_are(tmp_path, coupling):
    """4 σ each; σ of 2 MHz and 1 % at the most."""
    with working_lab(tmp_path, coupling_ratio=coupling) as (world, session):
        before, constants = settings(session), world.plant.parameters
        found = identify(session, SEQUENCE, optical(points=25)).optical
        assert settings(session) == pytest.approx(before, rel=1e-6)
    for device, true_hz in zip("AB", constants.resonance_hz, strict=True):
        line = found.lines[device]
        assert abs(line.centre_hz.value - true_hz) < 4 * line.centre_hz.sigma < 8e6
        width = line.fit.width
        assert abs(width.value - constants.kappa / (2 * np.pi)) < 4 * width.sigma < 20e6
        left = line.on_resonance
        assert abs(left.value - (1 - 2 * coupling) ** 2) < 4 * left.sigma < 0.02
    mismatch = found.mismatch_hz
    assert abs(mismatch.value - constants.cavity_mismatch_hz) < 4 * mismatch.sigma


def test_light_is_off_when_the_detectors_are_biased_again(tmp_path):
    with working_lab(tmp_path) as (world, session):
        bias, lit = session.lab.detector_bias, []
        ramp = bias.ramp_to

        def watched(channel, current):
            if current > 0:
                lit.append(world.wiring.aom_drive[1].drive)
            ramp(channel, current)

        bias.ramp_to = watched
        identify(session, SEQUENCE, optical(points=5))
        assert lit == [None, None]


def broken_off(session, error):
    """Break an optical sweep off in its middle."""

    class Breaking(Watcher):
        def step(self, steps):
            if steps and (steps[-1].procedure, steps[-1].number) == ("optical resonances", 11):
                raise error

    session.watcher = Breaking()
    with pytest.raises(error):
        identify(session, SEQUENCE, optical(points=21))


def test_sweep_that_finds_nothing_sets_everything_back(tmp_path):
    with working_lab(tmp_path) as (world, session):
        before = settings(session)
        broken_off(session, ValueError)
        assert settings(session) == pytest.approx(before, rel=1e-6)
        assert world.wiring.aom_drive[1].drive is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_broken_off_sweep_makes_the_lab_safe_and_sets_nothing_back(tmp_path, error):
    """To set back would open attenuators again, and wait for an instrument that is lost."""
    with working_lab(tmp_path) as (world, session):
        broken_off(session, error)
        assert not any(port.state.emission for port in world.wiring.laser.values())
        assert world.wiring.aom_drive[1].drive is None
        assert min(world.wiring.actuator[f"attenuator_{x}"].voltage for x in "ab") > 4.99
        assert max(abs(port.current) for port in world.wiring.bias.values()) < 2.1e-6


def test_sweep_beside_the_resonance_says_which_device_shows_none(tmp_path):
    beside = optical(points=7, span_hz=0.2e9, centre_wavelength=1553.82e-9)
    with (
        working_lab(tmp_path) as (_, session),
        pytest.raises(ValueError, match="device A: no optical resonance"),
    ):
        identify(session, SEQUENCE, beside)


def test_follower_keeps_a_curved_filter_on_the_laser(tmp_path, monkeypatch):
    """A piezo whose tuning changes by 3 % over the sweep, as real ones do."""
    with working_lab(tmp_path) as (world, session):
        element = world.plant.light.filters["pump"]
        straight = type(element).centre_hz.fget

        def curved(self):
            offset = straight(self) - 192.9465e12
            return 192.9465e12 + offset * (1 + 0.03 * offset / 7e9)

        monkeypatch.setattr(type(element), "centre_hz", property(curved))
        follower = FilterFollower(session, "pump", session.lab.power_meter.power, 0.5)
        follower.explore(-7e9, -3e9)
        passed = []
        for detuning in np.linspace(-7e9, -3e9, 17):
            follower.go(float(detuning))
            passed.append(follower.passed())
        follower.go_home()
        assert min(passed) > 0.5


def test_mechanical_frequencies_and_mismatch_are_found(tmp_path):
    """4 σ; the filters before the detectors, 15 MHz off their calibration here, drop out."""
    scan = MechanicalOptions(points=13, pump_trials=200_000, read_trials=2_000_000)
    options = IdentifyOptions(lines=("mechanical",), mechanical=scan)
    with working_lab(tmp_path) as (world, session):
        for place in ("1a", "1b", "2a", "2b"):
            world.inject({"kind": "filter_drift", "target": place, "value": 15e6})
        before = settings(session)
        found = identify(session, SEQUENCE, options).mechanical
        assert settings(session) == pytest.approx(before, rel=1e-6)
        blocks = session.blocks
    for device, true_hz in zip("AB", (5.1e9, 5.145e9), strict=True):
        omega = found.omega_m_hz[device]
        assert abs(omega.value - true_hz) < 4 * omega.sigma < 8e6
    delta = found.delta_omega_hz
    assert abs(delta.value - 45e6) < 4 * delta.sigma < 10e6
    assert found.filter_hz == pytest.approx(192.941471231e12 + 15e6, abs=8e6)
    assert len(blocks) == 2 * 2 * 13


def test_picture_shows_both_kinds_of_lines(tmp_path):
    options = IdentifyOptions(
        optical=OpticalOptions(points=9),
        mechanical=MechanicalOptions(points=9, pump_trials=200_000, read_trials=1_000_000),
    )
    with working_lab(tmp_path) as (_, session):
        result = identify(session, SEQUENCE, options)
    labels = [axes.get_xlabel() for axes in result.plot().axes]
    assert labels == ["detuning from 1553.8000 nm (GHz)", "laser from the filters (GHz)"]
    assert set(result.to_dict()) == {"optical", "mechanical", "diagnosis"}
    assert result.diagnosis == ()
    assert "optical mismatch (B − A)" in str(result)
    assert "mechanical mismatch (B − A)" in str(result)


def test_nothing_to_look_for_is_refused():
    with pytest.raises(ValueError, match="`lines` must name optical, mechanical or both"):
        IdentifyOptions(lines=())


class BareLab:
    """A laser whose dial is 40 pm (5 GHz) off, and its filter of 50 MHz at 1.5 GHz/V."""

    def __init__(self):
        self.dial, self.volts, self.said = 1553.8e-9, 5.0, []
        self.lasers, self.filters = {"pump": self}, {"pump": self}
        self.lab, self.say, self.home_hz = self, self.said.append, self.laser_frequency("pump")

    def laser_frequency(self, _):
        return 299792458 / (self.dial + 40e-12)

    def wavelength(self, new=None):
        self.dial = self.dial if new is None else new
        return self.dial

    def voltage(self, new=None):
        self.volts = self.volts if new is None else new
        return self.volts

    def power(self):
        off = self.laser_frequency("pump") - self.home_hz - 1.5e9 * (self.volts - 5.0)
        return 1e-3 / (1 + (off / 25e6) ** 2)


def test_follower_goes_by_the_wavemeter_where_the_dial_is_off():
    bare = BareLab()
    follower = FilterFollower(bare, "pump", bare.power, 0.3)
    follower.explore(-5e9, 3e9)
    assert follower.hz_per_volt == pytest.approx(1.5e9, rel=1e-3)
    for detuning in np.linspace(-5e9, 3e9, 9):
        follower.go(float(detuning))
        assert follower.passed() > 0.95
