"""What a station's working point asks for in vain is told before anything is set."""

from types import SimpleNamespace

import pytest
from qcodes.instrument import Instrument
from qcodes.validators import Numbers

from labkit.procedures.switch_on import SwitchOnOptions, switch_on
from labkit.station.config import StationConfig, WorkingPoint
from labkit.station.working_point import working_point_problems

CURRENT = SimpleNamespace(current=SimpleNamespace(validate=Numbers(0, 15e-6).validate))


@pytest.fixture
def lab():
    laser = Instrument("laser")
    laser.add_parameter("power", initial_value=0.0, set_cmd=None, vals=Numbers(0, 0.02))
    config = SimpleNamespace(
        roles={"pulse_generator": "afg", "detector_bias": "snspd"},
        channels={"pump_drive": 1, "read_drive": 2, "eom_drive": 1, "mixing_chamber": 6},
        working_point=WorkingPoint(
            parameters={"laser.power": 0.01}, detector_currents={1: 1e-6, 2: 1e-6}
        ),
    )
    yield SimpleNamespace(
        instruments={"laser": laser},
        file=SimpleNamespace(path="lab.yaml", config=config),
        detector_bias=SimpleNamespace(channels=(CURRENT, CURRENT)),
        pulse_generator=SimpleNamespace(n_channels=2),
    )
    laser.close()


def test_what_can_be_set_is_no_problem(lab):
    assert working_point_problems(lab) == []


@pytest.mark.parametrize(
    ("parameters", "currents", "channel", "told"),
    [
        ({"laser.powr": 0.01}, {}, 1, r"parameters\.laser\.powr: .*no 'powr'"),
        ({"lasr.power": 0.01}, {}, 1, r"no instrument 'lasr'"),
        ({"laser": 1.0}, {}, 1, r"parameters\.laser: must name a parameter"),
        ({"laser.power": "10 mW"}, {}, 1, r"laser\.power: cannot be '10 mW'"),
        ({"laser.power": 10.0}, {}, 1, r"laser\.power: cannot be 10\.0: .*between 0 and 0\.02"),
        ({}, {3: 1e-6}, 1, r"detector_currents\.3: the detector bias has channels 1 to 2"),
        ({}, {2: 1e-3}, 1, r"detector_currents\.2: cannot be 0\.001"),
        ({}, {}, 7, r"labkit\.channels\.pump_drive: afg has outputs 1 to 2, not 7"),
    ],
)
def test_what_cannot_be_set_is_told_and_nothing_is_set(lab, parameters, currents, channel, told):
    point = {"laser.power": 0.02} | parameters
    lab.file.config.working_point = WorkingPoint(parameters=point, detector_currents=currents)
    lab.file.config.channels["pump_drive"] = channel
    with pytest.raises(ValueError, match=f"^lab.yaml: .*{told}"):
        switch_on(SimpleNamespace(lab=lab), None, SwitchOnOptions())
    assert lab.instruments["laser"].power() == 0.0


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"lock_range": -1.0}, "`lock_range` must be above 0 V"),
        ({"lock_range": float("nan")}, "`lock_range` must be above 0 V"),
        ({"channels": {"pump_drve": 1}}, "channels.pump_drve: .*; write pump_drive"),
    ],
)
def test_range_and_channels_are_checked_when_read(wrong, told):
    given = {"roles": {}, "channels": {}, "calibration": None, "lock_range": 10.0}
    with pytest.raises(ValueError, match=told):
        StationConfig(**given | wrong)
