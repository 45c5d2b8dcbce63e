"""Each driver fulfils its role: mypy checks the types below (see pyproject), pytest the members.

QCoDeS instruments have a ``__getattr__`` for everything, so that mypy misses what is not there.
"""

import inspect
import sys

import pytest
from qcodes.instrument import Instrument

from instruments import roles
from instruments.analog import MicronOpticsFFPTF2, SercaloVP1, VoltageActuator
from instruments.highfinesse_wavemeter import HighFinesseWS7
from instruments.keysight_81180a.driver import Keysight81180A
from instruments.newport_tlb6700.driver import NewportTLB6700
from instruments.picoquant_timeharp260.driver import PicoQuantTimeHarp260
from instruments.picoquant_timeharp260.snapi import PicoQuantSnapi
from instruments.redpitaya_lockbox import RedPitayaLockbox
from instruments.snspd_bias import PhotonSpotBias, QuantumOpusBias
from instruments.srs.sim960 import SRSSIM960, SRSSIM960InFrame
from instruments.swabian.timetagger import SwabianTimeTagger
from instruments.tektronix_afg3152c.driver import TektronixAFG3152C
from instruments.thermometers import LakeshoreModel372Thermometer, OxfordTritonThermometer
from instruments.thorlabs_pm100 import ThorlabsPM100

LASERS: tuple[type[roles.Laser], ...] = (NewportTLB6700,)
PULSE_GENERATORS: tuple[type[roles.PulseGenerator], ...] = (TektronixAFG3152C,)
WAVEFORM_GENERATORS: tuple[type[roles.WaveformGenerator], ...] = (Keysight81180A,)
PHASE_LOCKS: tuple[type[roles.PhaseLock], ...] = (SRSSIM960, SRSSIM960InFrame, RedPitayaLockbox)
ATTENUATORS: tuple[type[roles.Attenuator], ...] = (SercaloVP1,)
FILTERS: tuple[type[roles.TunableFilter], ...] = (MicronOpticsFFPTF2,)
ACTUATORS: tuple[type[roles.Actuator], ...] = (VoltageActuator,)
BIAS_SOURCES: tuple[type[roles.BiasSource], ...] = (PhotonSpotBias, QuantumOpusBias)
THERMOMETERS: tuple[type[roles.Thermometer], ...] = (
    LakeshoreModel372Thermometer,
    OxfordTritonThermometer,
)
POWER_METERS: tuple[type[roles.PowerMeter], ...] = (ThorlabsPM100,)
WAVEMETERS: tuple[type[roles.Wavemeter], ...] = (HighFinesseWS7,)
TAGGERS: tuple[type[roles.TimeTagger], ...] = (
    PicoQuantTimeHarp260,
    PicoQuantSnapi,
    SwabianTimeTagger,
)
DRIVERS: dict[type, tuple[type[roles.Device], ...]] = {
    roles.Laser: LASERS,
    roles.PulseGenerator: PULSE_GENERATORS,
    roles.WaveformGenerator: WAVEFORM_GENERATORS,
    roles.PhaseLock: PHASE_LOCKS,
    roles.Attenuator: ATTENUATORS,
    roles.TunableFilter: FILTERS,
    roles.Actuator: ACTUATORS,
    roles.BiasSource: BIAS_SOURCES,
    roles.Thermometer: THERMOMETERS,
    roles.PowerMeter: POWER_METERS,
    roles.Wavemeter: WAVEMETERS,
    roles.TimeTagger: TAGGERS,
}
PAIRS = [(role, driver) for role, drivers in DRIVERS.items() for driver in drivers]


def missing(role: type, driver: type) -> set[str]:
    """Members of the role that the driver does not define."""
    return {
        name
        for base in role.__mro__
        if base.__module__ == roles.__name__
        for name in vars(base)
        if not name.startswith("_") and not hasattr(driver, name)
    }


@pytest.mark.parametrize(("role", "driver"), PAIRS)
def test_driver_has_every_member_of_its_role(role: type, driver: type) -> None:
    assert missing(role, driver) == set()


def test_driver_of_another_role_is_found_out() -> None:
    assert missing(roles.Attenuator, NewportTLB6700) == {"transmission"}
    assert "setpoint" in missing(roles.PhaseLock, PhotonSpotBias)


@pytest.mark.parametrize(("role", "driver"), PAIRS)
def test_driver_states_its_thread_safety_and_that_it_was_not_verified(
    role: type, driver: type
) -> None:
    assert issubclass(driver, Instrument)
    stated = [inspect.getdoc(base) or "" for base in driver.__mro__]
    assert any("Thread-safe" in text for text in stated)
    module = " ".join((sys.modules[driver.__module__].__doc__ or "").split())
    assert "Not verified on hardware" in module
