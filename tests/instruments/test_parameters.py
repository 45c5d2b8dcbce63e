"""Tables of parameters: rows of a class become QCoDeS parameters of each instrument."""

import pytest
from qcodes.instrument import Instrument
from qcodes.validators import Numbers

from instruments.bases.parameters import (
    Declared,
    add_parameters,
    choice,
    declared,
    number,
    number_in,
    reading,
    switch,
    whole_steps,
)


class Bench(Instrument):
    """An instrument that remembers what it is told."""

    frequency = number("SOUR{number}:FREQ", "Hz", "Repetitions", 1, 1e6, form=".3g")
    burst = switch("SOUR{number}:BURS", "Burst")
    slope = choice("TRIG:SLOP", "Slope", {"rising": "POS", "falling": "NEG"})
    level = reading("MEAS{number}:LEV?", "V", "Level of {number}")
    span = Declared[float]("Span", "V", vals=lambda self: Numbers(0, self.highest))
    second = Declared[float](only=lambda self: self.number == 2, initial_cache_value=0.0)

    def __init__(self, name, number=1, highest=5.0):
        super().__init__(name)
        self.number, self.highest = number, highest
        self.held = {}
        self.sent = []
        add_parameters(self)

    @span.getter
    def _get_span(self):
        return 2 * float(self.held["span"])

    @span.setter
    def _set_span(self, volts):
        self.held["span"] = volts / 2

    def write_raw(self, cmd):
        self.sent.append(cmd)
        header, _, value = cmd.partition(" ")
        self.held[header] = value

    def ask_raw(self, cmd):
        return self.held[cmd.rstrip("?")]


class Wider(Bench):
    """One row more."""

    extra = number("EXTR", "V", "Extra", 0, 1)


def test_headers_name_the_channel_and_values_their_form():
    bench = Bench("bench", number=2)
    bench.frequency(12345.678)
    bench.burst(True)
    bench.slope("falling")
    assert bench.sent == ["SOUR2:FREQ 1.23e+04", "SOUR2:BURS 1", "TRIG:SLOP NEG"]
    assert (bench.frequency(), bench.burst(), bench.slope()) == (12300.0, True, "falling")
    assert "``SOUR2:FREQ``" in bench.frequency.__doc__


def test_readings_cannot_be_set_and_take_the_owners_label():
    bench = Bench("bench", number=2)
    bench.held["MEAS2:LEV"] = "0.25"
    assert bench.level() == 0.25
    assert bench.level.label == "Level of 2"
    with pytest.raises(NotImplementedError):
        bench.level(1.0)


def test_methods_get_and_set_within_the_owners_limits():
    one, two = Bench("one", highest=1.0), Bench("two", highest=3.0)
    two.span(3.0)
    assert (two.held["span"], two.span()) == (1.5, 3.0)
    with pytest.raises(ValueError, match="must be between 0 and 1"):
        one.span(3.0)


def test_a_row_may_be_of_some_owners_only():
    one, two = Bench("one"), Bench("two", number=2)
    assert "second" not in one.parameters
    assert two.second.label == "second"
    with pytest.raises(AttributeError, match="second"):
        _ = one.second


def test_rows_of_bases_come_first_and_belong_to_each_instrument():
    assert [*declared(Wider)] == [*declared(Bench), "extra"]
    one, two = Wider("one"), Wider("two")
    assert one.extra is one.parameters["extra"]
    assert one.extra is not two.extra
    assert isinstance(Wider.extra, Declared)


def test_what_is_no_whole_step_is_refused_with_the_nearest():
    assert whole_steps(3e-9, 1e-9, "delay", "s") == 3
    with pytest.raises(ValueError, match=r"multiple of 1e-09 s, .* nearest is 3e-09"):
        whole_steps(3.2e-9, 1e-9, "delay", "s")


@pytest.mark.parametrize("reply", ["15.000000E+01", "015", "1_0", "nan", "inf", "1,5", "", "."])
def test_reply_that_is_no_number_of_an_instrument_is_refused(reply):
    with pytest.raises(ConnectionError, match="is not what this setting can be"):
        number_in(reply)


@pytest.mark.parametrize(
    ("reply", "value"),
    [("50", 50), ("-0.5", -0.5), ("1.5E-06", 1.5e-6), ("+0.2E-2", 2e-3), ("9.9E+37", 9.9e37)],
)
def test_reply_in_each_form_of_a_number_is_read(reply, value):
    assert number_in(reply) == value


def test_reply_beyond_what_can_be_set_is_refused():
    with pytest.raises(ConnectionError, match="must be 0 to 5"):
        number_in("15", low=0, high=5)
