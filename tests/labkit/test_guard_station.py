"""Whatever the route to an instrument, interlocks are asked; queries are patient, settings not."""

from threading import Event
from time import sleep

import pytest
from qcodes.instrument import Instrument
from qcodes.validators import Numbers

from labkit.station import guard as guarding
from labkit.station.config import STATIONS, read_station_file
from labkit.station.guard import Guard
from labkit.station.interlocks import Interlock, InterlockError, ParameterRange
from labkit.station.references import find
from labkit.station.safety import make_safe


class Box(Instrument):
    """A source with a switch, and a temperature; `fails` queries in a row get no answer."""

    def __init__(self, name, **kwargs):
        super().__init__(name, **kwargs)
        self.kelvin, self.fails, self.asked, self.raw = 0.05, 0, 0, []
        self.add_parameter("power", set_cmd=None, initial_value=0.0, vals=Numbers(0, 10))
        self.add_parameter("light", set_cmd=None, initial_value=False)
        self.add_parameter("temperature", get_cmd=self._temperature)
        self.add_parameter("level", set_cmd=self._set_level)
        self.deaf, self.levels = 0, []

    def _set_level(self, value):
        if self.deaf:
            self.deaf -= 1
            message = "no answer"
            raise TimeoutError(message)
        self.levels.append(value)

    def _temperature(self):
        self.asked += 1
        if self.fails:
            self.fails -= 1
            message = "no answer"
            raise TimeoutError(message)
        return self.kelvin

    def write(self, cmd):
        self.raw.append(cmd)
        self.power.cache.set(float(cmd))

    def write_raw(self, cmd):
        Box.write(self, cmd)

    def ask_raw(self, cmd):
        if not cmd.endswith("?"):
            Box.write(self, cmd)
        return f"{self.power():g}"

    def engage(self):
        self.light(True)

    def safe_state(self):
        self.power(0.0)
        self.light(False)


COLD = Interlock(name="cold", require=ParameterRange(parameter="box.temperature", at_most=0.2))
WEAK = Interlock(
    name="weak", require=ParameterRange(parameter="box.power", at_most=1.0),
    when=ParameterRange(parameter="box.light", at_least=1),
)  # fmt: skip


class Told:
    def __init__(self):
        self.lines, self.alarms, self.safe = [], [], 0


@pytest.fixture
def box():
    box = Box("box")
    yield box
    box.close()


@pytest.fixture
def told(box):
    told = Told()

    def safe():
        told.safe += 1
        make_safe({"box": box})

    def read(path):
        return float(find({"box": box}, path)())

    guard = Guard(
        {"box": box}, (COLD, WEAK), {}, read=read, glance=read, make_safe=safe,
        tell=told.lines.append, alarm=told.alarms.append, patience=0.0,
    )  # fmt: skip
    told.guard = guard
    with guard.installed():
        yield told


def test_setting_is_refused_before_it_is_sent(box, told):
    box.light(True)
    with pytest.raises(InterlockError, match=r"box.power is not set to 5.0: interlock 'weak'"):
        box.power(5.0)
    assert box.power() == 0.0
    assert told.safe == 0


def test_either_side_of_a_rule_is_refused(box, told):
    box.power(5.0)
    with pytest.raises(InterlockError, match="'weak'"):
        box.light(True)
    assert box.light() is False


def test_while_it_is_warm_only_what_leads_to_safety_is_set(box, told):
    box.light(True)
    box.kelvin = 0.6
    for set_it in (lambda: box.power(5.0), box.engage, lambda: box.light(True)):
        with pytest.raises(InterlockError, match="interlock 'cold'"):
            set_it()
    box.light(False)
    assert box.light() is False


def test_what_ends_a_violation_is_allowed(box, told):
    box.light(True)
    box.power.cache.set(7.0)  # by hand at the front panel
    box.power(0.5)
    assert box.power() == 0.5


def test_route_past_the_parameters_is_found_at_once_and_made_safe(box, told):
    box.light(True)
    with pytest.raises(InterlockError, match=r"after box\.write: interlock 'weak'.*made safe"):
        box.write("9")
    assert (told.safe, box.power(), box.light()) == (1, 0.0, False)


def test_making_safe_asks_nobody(box, told):
    box.light(True)
    box.kelvin = 4.0
    assert make_safe({"box": box}).all_safe
    assert box.light() is False


@pytest.mark.parametrize(("fails", "survives"), [(1, True), (2, True), (3, False)])
def test_query_is_asked_again_and_that_is_told(box, told, fails, survives):
    box.fails = fails
    if survives:
        assert box.temperature() == 0.05
    else:
        with pytest.raises(TimeoutError):
            box.temperature()
    assert len(told.lines) == min(fails, 2)
    assert "box.temperature: asking again, since: no answer" in told.lines[0]


def test_lost_instrument_is_waited_for_after_an_alarm(box, told, monkeypatch):
    monkeypatch.setattr(guarding, "PAUSE", 0.01)
    told.guard._patience = 5.0
    box.fails = 6
    assert box.temperature() == 0.05
    assert "cannot be asked, waiting 5 s" in told.alarms[0]
    assert told.alarms[1:] == ["box.temperature answers again"]


def test_setting_whose_link_fails_is_made_again_after_an_alarm(box, told, monkeypatch):
    monkeypatch.setattr(guarding, "PAUSE", 0.01)
    told.guard._patience = 5.0
    box.deaf = 3
    box.level(2.0)
    assert box.levels == [2.0]
    assert "box.level cannot be set, waiting 5 s: no answer" in told.alarms[0]
    assert told.alarms[1:] == ["box.level can be set again"]


def test_setting_is_not_made_again_if_it_has_become_forbidden_meanwhile(box, told, monkeypatch):
    monkeypatch.setattr(guarding, "sleep", lambda _: setattr(box, "kelvin", 0.6))
    told.guard._patience = 5.0
    box.deaf = 1
    with pytest.raises(InterlockError, match="interlock 'cold'"):
        box.level(2.0)
    assert box.levels == []


def test_setting_whose_link_stays_dead_ends_in_its_error(box, told):
    box.deaf = 10
    with pytest.raises(TimeoutError):
        box.level(2.0)
    assert (box.deaf, told.alarms) == (9, [])


def test_violation_that_is_there_already_makes_safe_when_something_is_set(box, told):
    box.light(True)
    box.kelvin = 0.5
    with pytest.raises(InterlockError, match="as it is so already, all was made safe"):
        box.level(3.0)
    assert (told.safe, box.light()) == (1, False)


@pytest.mark.parametrize("route", ["ask", "ask_raw", "write_raw"])
def test_raw_route_that_changes_something_is_asked_about_and_a_question_is_not(route, told, box):
    box.light(True)
    command = getattr(box, route)
    with pytest.raises(InterlockError, match="but it is 5; all was made safe"):
        command("5")
    assert told.safe == 1
    if route != "write_raw":
        assert command("POWER?") == "0"


def test_interlocks_are_asked_while_nobody_does_anything(monkeypatch, box):
    monkeypatch.setattr(guarding, "IDLE", 0.02)
    made_safe, alarms, looks = Event(), [], []

    def glance(path):
        looks.append(path)
        return float(find({"box": box}, path)())

    guard = Guard(
        {"box": box}, (COLD,), {}, read=glance, glance=glance, make_safe=made_safe.set,
        tell=alarms.append, alarm=alarms.append, patience=1e9,
    )  # fmt: skip
    with guard.installed():
        box.kelvin = 0.5
        assert made_safe.wait(30.0)
        before = len(looks)
        while len(looks) < before + 3:
            sleep(0.01)
        assert len(alarms) == 1, "the same violation is told once"
        made_safe.clear()
        box.kelvin, box.fails = 0.05, 0
        while len(looks) < before + 6:
            sleep(0.01)
        box.fails = 10**9
        assert made_safe.wait(30.0)
    assert "interlocks cannot be asked" in alarms[-1]
    box.fails = 0


def test_call_that_does_not_return_is_found(box, told, monkeypatch):
    monkeypatch.setattr(guarding, "LONGEST_CALL", -1.0)
    seen = []
    with told.guard._within("box.light"):
        seen.append(told.guard.hanging())
    assert seen[0].startswith("box.light has not returned for")
    assert told.guard.hanging() == ""


def test_nothing_is_left_of_the_guard_afterwards(box):
    before = box.power.set, box.power.get
    guard = Guard(
        {"box": box}, (WEAK,), {}, read=float, glance=float, make_safe=list, tell=print,
        alarm=print, patience=0.0,
    )  # fmt: skip
    with guard.installed():
        assert box.power.set is not before[0]
        assert "engage" in vars(box)
    assert (box.power.set, box.power.get) == before
    assert "engage" not in vars(box)


def test_interlocks_that_say_the_same_twice_are_refused():
    from dataclasses import replace

    from labkit.station.interlocks import check_names

    check_names((COLD, WEAK))
    for double in (replace(WEAK, name="cold"), replace(WEAK, name="other")):
        with pytest.raises(ValueError, match="must differ in name and in what they say"):
            check_names((COLD, WEAK, double))


def biased(config):
    """Return the currents of all detectors that the working point biases."""
    detectors = config.working_point.detector_currents
    return {f"{config.roles['detector_bias']}.channel{n}.current" for n in detectors}


@pytest.mark.parametrize("name", STATIONS)
def test_interlocks_of_every_shipped_station_name_all_detectors(name):
    config = read_station_file(name).config
    rules = [rule for rule in config.interlocks if any(map(rule.names, biased(config)))]
    assert rules
    for rule in rules:
        assert {path for path in biased(config) if rule.names(path)} == biased(config)


STEADY = {"qcodes": ("awg_pulses.ch{}.state", "pulses.triggered")}
"""What says that a channel is on, and that its light comes in pulses, where that is no AFG."""


@pytest.mark.parametrize("name", STATIONS)
def test_interlocks_shut_both_attenuators_for_steady_light_of_either_drive(name):
    config = read_station_file(name).config
    generator = config.roles["pulse_generator"]
    output, pulsed = STEADY.get(name, (f"{generator}.ch{{}}.output", f"{generator}.ch{{}}.burst"))
    shut = {f"{config.roles[f'attenuator_{arm}']}.transmission" for arm in "ab"}
    for laser in ("pump", "read"):
        channel = config.channels[f"{laser}_drive"]
        (rule,) = (
            rule
            for rule in config.interlocks
            if rule.names(output.format(channel)) and rule.names(pulsed.format(channel))
        )
        assert biased(config) <= {path for one in rule.conditions for path in one.parameters}
        assert set(rule.require.parameters) == shut


@pytest.mark.parametrize("name", ["virtual", "example", "others"])
def test_interlocks_name_both_drives_and_both_attenuators(name):
    config = read_station_file(name).config
    shut = {f"{config.roles[f'attenuator_{arm}']}.transmission" for arm in "ab"}
    for laser in ("pump", "read"):
        channel = f"{config.roles['pulse_generator']}.ch{config.channels[f'{laser}_drive']}"
        (rule,) = (rule for rule in config.interlocks if rule.names(f"{channel}.burst"))
        named = {path for condition in rule.conditions for path in condition.parameters}
        assert named == biased(config) | {f"{channel}.burst", f"{channel}.output"}
        assert set(rule.require.parameters) == shut
        assert any(r.names(f"{channel}.load") for r in config.interlocks)
