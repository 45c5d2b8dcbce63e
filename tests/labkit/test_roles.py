"""The table of roles, and procedures' results."""

from types import SimpleNamespace

import pytest

from labkit.procedures import PROCEDURES, Procedure, Result
from labkit.station.config import StationConfig, read_station_file, require_roles
from labkit.station.roles import ROLES, Cast, RoleError

FILE = read_station_file("virtual")


class Meter:
    """Plays a power meter, in a lab without instruments."""

    name, power = "meter", 0.0

    def get_idn(self):
        return {}

    def safe_state(self):
        pass


def test_every_role_of_the_shipped_stations_is_in_the_table_with_a_meaning():
    files = [read_station_file(station) for station in ("virtual", "example", "others")]
    for file in files:
        require_roles(file)
    assert {role for file in files for role in file.config.roles} == set(ROLES)
    only_others = {"trigger", "switches"}
    for file in files[:2]:
        require_roles(file, set(ROLES) - only_others)
    assert all(role.meaning and role.name == name for name, role in ROLES.items())


@pytest.mark.parametrize("name", [name for name, role in ROLES.items() if role.required])
def test_required_role_that_nobody_plays_is_named(name):
    roles = {role: who for role, who in FILE.config.roles.items() if role != name}
    file = SimpleNamespace(path="s.yaml", config=SimpleNamespace(roles=roles))
    with pytest.raises(ValueError, match=f"s.yaml: labkit.roles: no instrument plays {name};"):
        require_roles(file)
    with pytest.raises(RoleError, match=r"s\.yaml: labkit\.roles"):
        getattr(Cast(roles, {}, "s.yaml"), name)


def test_role_gives_the_instrument_that_can_play_it_and_says_what_others_lack():
    meter = Meter()
    cast = Cast({"power_meter": "m", "filters": {"1a": "m"}, "tagger": "m"}, {"m": meter}, "s")
    assert cast.power_meter is meter
    with pytest.raises(RoleError, match="instrument 'm' cannot be filter 1a: it lacks voltage"):
        _ = cast.filters
    with pytest.raises(RoleError, match="cannot be tagger: it lacks count_rate"):
        _ = cast.tagger


def test_station_with_an_unknown_role_is_refused():
    with pytest.raises(ValueError, match="role 'lamp' is not known; roles are pump_laser"):
        StationConfig(
            roles={"lamp": "m"}, channels={}, calibration=FILE.config.calibration, lock_range=1.0
        )


@pytest.mark.parametrize("entry", PROCEDURES.values(), ids=PROCEDURES)
def test_every_procedure_returns_a_result_that_names_itself(entry):
    function, options = entry.load()
    returned = function.__globals__[function.__annotations__["return"].__name__]
    assert issubclass(returned, Result)
    assert PROCEDURES[returned.procedure] is entry
    assert "extra" in options.__pydantic_config__


def test_procedure_may_live_in_any_package():
    entry = Procedure(module="labkit.procedures.lock", function="lock", options="LockOptions")
    assert entry.load() == PROCEDURES["lock"].load()
