"""Pulse sequences: what they say of themselves, and which timing rules refuse them."""

from dataclasses import replace

import pytest

from labkit.sequence import Detection, Hardware, Pulse, PulseSequence, TimingError, check_timing
from labkit.sequence.pulses import riedinger2018_sequence

PAPER = riedinger2018_sequence()


def test_paper_sequence_keeps_every_rule():
    check_timing(PAPER, Hardware())


def test_pump_is_shifted_down_and_read_up_in_arm_a():
    """The supplement's sign of the serrodyne, not the main text's."""
    assert PAPER.pulse("pump").shift_hz == -45e6
    assert PAPER.pulse("read").shift_hz == +45e6
    assert PAPER.pulse("lock").shift_hz == 0


def test_gates_follow_the_pulses_with_edges_jitter_and_cable_delay():
    late = replace(PAPER, detection=replace(PAPER.detection, cable_delay=100e-9))
    pump, read = late.gates.gates
    assert pump.start == pytest.approx(400e-9 - 8e-9 - 1.2e-9 + 100e-9)
    assert read.stop == pytest.approx(563e-9 + 8e-9 + 1.2e-9 + 100e-9)
    assert late.gates.names == ("pump", "read")


def test_moving_the_read_pulse_leaves_the_others():
    moved = PAPER.with_delay(1e-6)
    assert moved.delay == pytest.approx(1e-6)
    assert moved.pulse("lock") == PAPER.pulse("lock")
    assert moved.pulse("pump") == PAPER.pulse("pump")


def test_sequence_survives_plain_types():
    assert PulseSequence.from_dict(PAPER.to_dict()) == PAPER


@pytest.mark.parametrize(
    ("sequence", "message"),
    [
        (PAPER.with_delay(50e-9), "'pump' and 'read' must not overlap"),
        (PAPER.with_pulse("pump", edge=1e-9), "'pump': edge must be at least the AOM rise time"),
        (PAPER.with_pulse("pump", start=1e-9), "must not begin before the trigger"),
        (PAPER.with_pulse("lock", start=49.9e-6), "'lock': light must end within the period"),
        (PAPER.with_pulse("lock", shift_hz=45e6), "'lock': must not be shifted"),
        (PAPER.with_pulse("read", shift_hz=300e6), "shift must lie between 0.5 and 200 MHz"),
        (PAPER.with_pulse("read", level=1.5), "'read': level must be 0 to 1, but is 1.5"),
        (PAPER.with_pulse("read", duration=0.0), "'read': duration must be > 0"),
        (PAPER.without_pulse("lock").with_delay(9e-6), "T3 range of 8192 ns"),
        (PAPER.with_delay(5.5e-6), "'lock' and 'read' must not overlap|must lie outside the gates"),
        (PAPER.with_pulse("lock", start=20e-6), "7 mechanical lifetimes"),
        (PAPER.with_pulse("lock", duration=4e-6), "at most 5 % of the time"),
        (PAPER.with_pulse("lock", gated=True, start=9e-6), "'lock': its gate must end within"),
        (replace(PAPER, period=6e-6), "light must end within the period of 6000 ns"),
        (replace(PAPER, pulses=()), "at least one gate|at least one pulse"),
    ],
)
def test_broken_rule_names_pulse_and_rule(sequence, message):
    with pytest.raises(TimingError, match=message):
        check_timing(sequence, Hardware())


def test_all_broken_rules_are_told_at_once():
    bad = PAPER.with_pulse("pump", edge=1e-9).with_pulse("read", level=2.0)
    with pytest.raises(TimingError) as error:
        check_timing(bad, Hardware())
    assert str(error.value).count("\n- ") == 2


def test_read_within_the_dead_time_of_the_pump_is_refused():
    with pytest.raises(TimingError, match="dead time of 100 ns"):
        check_timing(PAPER, Hardware(dead_time=100e-9))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"laser": "blue"}, "x.yaml: pulses.pump.laser: Input should be 'pump' or 'read'"),
        ({"strat": 1}, "pulses.pump.strat: this key is not known; write start"),
        ({"start": "soon"}, "pulses.pump.start: Input should be a valid number"),
    ],
)
def test_bad_sequence_file_names_file_pulse_and_key(change, message):
    plain = PAPER.to_dict()
    plain["pulses"]["pump"] |= change
    with pytest.raises(ValueError, match=message):
        PulseSequence.from_dict(plain, where="x.yaml")


def test_two_pulses_of_one_name_are_refused():
    pulse = Pulse(name="pump", laser="pump", start=0.1e-6, duration=40e-9)
    with pytest.raises(ValueError, match="names must differ"):
        PulseSequence(period=50e-6, pulses=(pulse, replace(pulse, start=1e-6)))


def test_unknown_pulse_lists_the_names():
    with pytest.raises(KeyError, match="there are pump, read, lock"):
        PAPER.pulse("reed")


def test_it_prints_itself_in_aligned_lines():
    text = str(PAPER)
    assert "-45 MHz" in text
    assert "not counted" in text
    assert len(text.splitlines()) == 4


def test_timing_diagram_has_a_row_per_channel_and_a_broken_axis():
    from labkit.sequence.drawing import timing_diagram

    figure = timing_diagram(PAPER)
    assert len(figure.axes) == 8
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert [text for text in labels if text] == ["pump", "read", "EOM phase", "gates"]


@pytest.mark.parametrize("name", ["start", "duration", "edge", "level", "shift_hz", "phase"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_number_of_a_pulse_may_be_nan_or_infinite(name, value):
    """Rules are comparisons, and nan breaks none."""
    with pytest.raises(ValueError, match=f"pulse 'pump': `{name}` must be a finite number"):
        riedinger2018_sequence().with_pulse("pump", **{name: value})


@pytest.mark.parametrize("period", [float("nan"), 0.0, -50e-6])
def test_period_must_be_a_time(period):
    with pytest.raises(ValueError, match="`period` must be"):
        replace(riedinger2018_sequence(), period=period)


@pytest.mark.parametrize("change", [{"jitter": -1e-9}, {"cable_delay": float("nan")}])
def test_detection_must_be_possible(change):
    with pytest.raises(ValueError, match=r"`(jitter|cable_delay)` must be"):
        Detection(**change)
