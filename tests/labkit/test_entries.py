"""Entries of a station file: every key is obeyed, or refused by its place with the nearest one."""

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

import pytest
from qcodes.instrument import Instrument
from qcodes.validators import Enum, Numbers

from labkit.station.config import read_station_file
from labkit.station.entries import converted, fitted, read_entry
from labkit.station.opening import StationError, open_station

LABKIT = """
labkit:
  roles: {pump_laser: one}
  channels: {pump_drive: 1}
  lock_range: 10.0
  calibration: {aom_full: 1.0, v_pi: 5.0, amplifier_gain: 8.0, aom_delay: 0.0, eom_delay: 0.0}
"""
OWN_CLASS = """
from qcodes.instrument import Instrument


class Lamp(Instrument):
    def __init__(self, name, max_power: float, levels: list[float] = (), **kwargs):
        super().__init__(name, **kwargs)
        self.max_power, self.levels = max_power, levels
        self.sent = []
        self.add_parameter("power", unit="W", set_cmd=self.sent.append, get_cmd=lambda: 1.0)
        self.add_parameter("seen", get_cmd=lambda: 1.0)
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Open a station whose one instrument is a class that stands beside its file."""
    import sys

    name = f"lamps_of_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(OWN_CLASS)
    monkeypatch.delitem(sys.modules, name, raising=False)

    def read(entry, labkit=LABKIT):
        path = tmp_path / "lab.yaml"
        path.write_text(f"{labkit}instruments:\n  two:\n    type: {name}.Lamp\n    {entry}\n"
                        f"  one: {{type: {name}.Lamp, init: {{max_power: 1.0}}}}\n")  # fmt: skip
        return read_station_file(path)

    yield read
    Instrument.close_all()


@contextmanager
def opened(file):
    with open_station(file) as instruments:
        yield instruments["two"]


def test_own_class_stands_beside_the_station_file_and_numbers_as_text_are_numbers(lab):
    with opened(lab("init: {max_power: '150e-3', levels: ['1', 2.0]}")) as lamp:
        assert (lamp.max_power, lamp.levels) == (0.15, [1.0, 2.0])


def test_parameters_are_limited_scaled_renamed_and_set_last(lab):
    file = lab(
        "init: {max_power: 1.0}\n    parameters:\n      power: {initial_value: '0.4', scale: "
        "10.0, limits: [0.0, 0.5], label: Light, alias: light, unit: mW, inter_delay: 0.001}"
    )
    with opened(file) as lamp:
        assert lamp.sent == pytest.approx([4.0])
        assert (lamp.power.label, lamp.power.unit) == ("Light", "mW")
        assert lamp.power.inter_delay == 0.001
        assert lamp.light is lamp.power
        with pytest.raises(ValueError, match=r"0.6"):
            lamp.power(0.6)


def test_added_parameter_stands_for_another(lab):
    file = lab("init: {max_power: 1.0}\n    add_parameters: {bright: {source: power, unit: W}}")
    with opened(file) as lamp:
        lamp.bright(0.5)
        assert lamp.sent == [0.5]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("intit: {max_power: 1.0}", r"instruments.two: intit: this key is not known; write init"),
        ("adress: X", "adress: this key is not known; write address"),
        ("parameters: {power: {limit: [0, 1]}}", r"power.limit: .*; write limits"),
        ("parameters: {power: {limits: [1, 0]}}", "`limits` must rise"),
        ("parameters: {power: {limits: [a, 1]}}", r"parameters.power.limits.0"),
        ("parameters: {power: {monitor: true}}", "`monitor` is not obeyed"),
    ],
)
def test_wrong_key_is_refused_on_reading_by_its_place(lab, entry, message):
    with pytest.raises(ValueError, match=message):
        lab(entry)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("init: {max_powr: 1.0}", r"`init.max_powr` is not known to Lamp; write max_power"),
        ("init: {}", "`init` must give max_power"),
        ("init: {max_power: much}", r"`init.max_power`: must be a number, but is 'much'"),
        ("init: {max_power: true}", r"`init.max_power`: must be a number, but is True"),
        ("init: {max_power: 1.0, levels: [1, x]}", r"`init.levels`\[1\]: must be a number"),
        ("address: X\n    init: {max_power: 1.0}", "`address` is not known to Lamp"),
        ("init: {max_power: 1}\n    parameters: {powr: {label: x}}", "powr.*; write power"),
        ("init: {max_power: 1}\n    parameters: {seen: {limits: [0, 1]}}", "cannot be set"),
        ("init: {max_power: 1}\n    parameters: {power: {alias: sent}}", "'sent' is taken"),
    ],
)
def test_wrong_value_is_refused_on_opening_by_its_place(lab, entry, message):
    with (
        pytest.raises(StationError, match=f"instrument 'two' .*{message}"),
        opened(lab(entry)),
    ):
        pass


def test_misspelt_keys_of_the_labkit_section_and_other_sections_are_named(lab):
    right = "init: {max_power: 1.0}"
    with pytest.raises(ValueError, match="lock_rnge: this key is not known; write lock_range"):
        lab(right, LABKIT.replace("lock_range", "lock_rnge"))
    with pytest.raises(ValueError, match="v_py: this key is not known; write v_pi"):
        lab(right, LABKIT.replace("v_pi", "v_py"))
    with pytest.raises(ValueError, match="section 'instrumnts' is not known"):
        lab(right, LABKIT + "instrumnts: {}\n")


def test_initial_value_of_what_makes_light_belongs_into_the_working_point(lab):
    file = lab("init: {max_power: 1.0}\n    parameters: {power: {initial_value: 1.0}}")
    text = file.text.replace("pump_laser: one", "pump_laser: two")
    file.path.write_text(text)
    with pytest.raises(ValueError, match=r"two.parameters.power.initial_value: .*working_point"):
        read_station_file(file.path)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("pathlib.PurePath", "`type` must be a QCoDeS instrument, but pathlib.PurePath makes a"),
        ("Lamp", "'Lamp' must be an importable name, like instruments.TektronixAFG3152C"),
        ("TektronixAFG3152D", "write instruments.TektronixAFG3152C"),
        ("unfinished.Lamp", r"must be an importable name, but: .*unfinished.py, line 1"),
    ],
)
def test_type_that_makes_no_instrument_is_told(lab, tmp_path, kind, told):
    (tmp_path / "unfinished.py").write_text("class Lamp(:\n")
    file = lab("init: {}")
    file.path.write_text(file.text.replace(file.instruments["two"]["type"], kind, 1))
    with pytest.raises(StationError, match=told), opened(read_station_file(file.path)):
        pass


def test_module_name_that_is_taken_is_told(lab, tmp_path):
    (tmp_path / "json.py").write_text("")
    file = lab("init: {max_power: 1.0}")
    import json

    assert json
    file.path.write_text(file.text.replace(file.instruments["two"]["type"], "json.Lamp", 1))
    with (
        pytest.raises(StationError, match="module name 'json' is taken"),
        opened(read_station_file(file.path)),
    ):
        pass


@pytest.mark.parametrize(
    ("value", "wanted", "result"),
    [
        ("5", int, 5), ("1e-3", float, 1e-3), (3, float, 3), ("x", str, "x"),
        (None, float | None, None), ("2.5", float | None, 2.5),
        ("dB", Literal["dB", "W"], "dB"), (["1"], Sequence[float], [1.0]),
        ({"a": "1"}, Mapping[str, float], {"a": 1.0}),
        (["1", "2"], tuple[float, float], [1.0, 2.0]),
        ("smu", str | float, "smu"), (True, bool, True),
    ],
)  # fmt: skip
def test_plain_value_as_a_type_asks_for_it(value, wanted, result):
    assert converted(value, wanted, "here") == result


@pytest.mark.parametrize(
    ("value", "wanted", "message"),
    [
        ("1.5", int, "here: must be a number, but is '1.5'"),
        (1, bool, "here: must be true or false"),
        (1012, str, "here: must be text, but is the number 1012; write it in quotes"),
        ("mW", Literal["dB", "W"], "here: must be one of dB, W, but is 'mW'"),
        ("x", float | None, "here: must be a number"),
        ([["a"]], Sequence[Sequence[float]], r"here\[0\]\[0\]: must be a number"),
        (1.5e-6, tuple[float, float], "here: must be a list of 2, but is 1.5e-06"),
        ([1.0, 2.0, 3.0], tuple[float, float], "here: must be a list of 2, but has 3"),
        ("1, 2", Sequence[float], "here: must be a list, but is '1, 2'"),
    ],
)
def test_plain_value_that_cannot_be_it_is_refused(value, wanted, message):
    with pytest.raises(ValueError, match=message):
        converted(value, wanted, "here")


def test_own_drivers_keep_their_units_and_limits_only_narrow(tmp_path):
    from instruments import ParameterPowerMeter, VoltageActuator
    from labkit.station.entries import apply_parameters

    dac = Instrument("dac")
    dac.add_parameter("volts", set_cmd=None, initial_value=0.0)
    dac.add_parameter("mode", set_cmd=None, initial_value="a", vals=Enum("a", "b"))
    eom = VoltageActuator("eom", "dac.volts", -1.0, 1.0, 1e6, 0.0)
    meter = ParameterPowerMeter("meter", "dac.volts", "W")
    kind = {"type": "x.Y"}
    try:
        for wrong, message in (
            ({"voltage": {"scale": 2.0}}, "cannot be obeyed"),
            ({"voltage": {"limits": [-2.0, 0.5]}}, "must lie within those of the driver, -1 to 1"),
        ):
            with pytest.raises(ValueError, match=message):
                apply_parameters(eom, read_entry(kind | {"parameters": wrong}, "e"))
        narrow = {"parameters": {"voltage": {"limits": [-0.5, 0.5]}}}
        apply_parameters(eom, read_entry(kind | narrow, "e"))
        assert (eom.voltage.vals.min_value, eom.voltage.vals.max_value) == (-0.5, 0.5)
        with pytest.raises(ValueError, match=r"0.9"):
            eom.voltage(0.9)
        assert isinstance(eom.voltage.vals, Numbers)
        with pytest.raises(ValueError, match=r"parameters.mode.initial_value.*'c'"):
            apply_parameters(
                dac, read_entry(kind | {"parameters": {"mode": {"initial_value": "c"}}}, "e")
            )
        with pytest.raises(ValueError, match="cannot be set"):
            apply_parameters(
                meter, read_entry(kind | {"parameters": {"power": {"limits": [0, 1]}}}, "e")
            )
    finally:
        Instrument.close_all()


def test_limits_also_bind_what_roles_do_by_methods():
    from instruments import PhotonSpotBias
    from labkit.station.entries import apply_parameters
    from simulation.lab.instruments.snspd_bias import SimulatedPhotonSpot

    twin = SimulatedPhotonSpot()
    bias = PhotonSpotBias("bias", twin, [15e-6], ramp_rate=1.0)
    entry = {"type": "x.Y", "parameters": {"channel1.current": {"limits": [0.0, 5e-6]}}}
    try:
        apply_parameters(bias, read_entry(entry, "e"))
        with pytest.raises(ValueError, match="6e-06"):
            bias.ramp_to(1, 6e-6)
        assert twin.words == []
    finally:
        bias.close()


def test_options_of_a_class_include_those_of_its_bases():
    from instruments import SRSSIM960

    options = {"address": "A", "output_min": "-1", "output_max": 1.0, "timeout": "2.5"}
    fit = fitted(SRSSIM960, options)
    assert (fit["output_min"], fit["output_max"]) == (-1.0, 1.0)
    with pytest.raises(ValueError, match=r"`init.tiemout` is not known .*; write timeout"):
        fitted(SRSSIM960, options | {"tiemout": 1})
