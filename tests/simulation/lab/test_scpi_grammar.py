import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulation.lab.servers.scpi_grammar import (
    LONGEST_KNOWN,
    MessageFramer,
    make_block,
    read_block,
    spellings,
    split_message,
    split_suffixes,
    units_of,
)


def units(message):
    return [(unit.header, unit.is_query, unit.arguments) for unit in split_message(message)]


def test_relative_header_continues_the_path_and_common_commands_keep_it():
    assert units(b"SOUR1:VOLT 1;OFFS 2;*OPC?;HIGH?;:OUTP 1") == [
        ("sour1:volt", False, (b"1",)),
        ("sour1:offs", False, (b"2",)),
        ("*opc", True, ()),
        ("sour1:high", True, ()),
        ("outp", False, (b"1",)),
    ]


def test_separators_inside_blocks_and_quotes_do_not_separate():
    assert units(b'DATA EMEM,#15;,\n 1;NAME "a;b,#1"') == [
        ("data", False, (b"EMEM", b"#15;,\n 1")),
        ("name", False, (b'"a;b,#1"',)),
    ]


@given(st.binary(max_size=200), st.lists(st.integers(1, 40), max_size=20))
def test_block_survives_any_bytes_and_any_fragmentation(data, cuts):
    stream = b"TRAC " + make_block(data) + b"\n*OPC?\n"
    framer, messages, position = MessageFramer(), [], 0
    for size in [*cuts, len(stream)]:
        messages += framer.feed(stream[position : position + size])
        position += size
    assert messages[1] == b"*OPC?"
    assert read_block(units(messages[0])[0][2][0]) == data


@pytest.mark.parametrize("block", [b"#14abc", b"#14abcde", b"#x", b"4abcd"])
def test_block_with_wrong_byte_count_is_none(block):
    assert read_block(block) is None


def test_spellings_are_long_short_and_optional():
    assert set(spellings("OUTPut#[:STATe]")) == {
        f"{name}{mark}{node}"
        for name in ("output", "outp")
        for mark in ("", "#")
        for node in ("", ":state", ":stat")
    }


def test_left_out_optional_node_counts_as_a_suffix_not_written():
    assert spellings("[SOURce#]:VOLTage")["volt"] == (False,)


def test_suffixes_are_read_from_every_node():
    assert split_suffixes("pid:in1:out2:setp") == ("pid:in#:out#:setp", [1, 2])


def test_framer_tells_that_a_block_is_unfinished():
    framer = MessageFramer()
    assert not list(framer.feed(b"TRAC #210abc"))
    assert framer.inside_block
    assert framer.pending == 12


@pytest.mark.parametrize("message", [b"OUTP1:IMP?", b":A:B 1;C? MAX", b'A "x;y"', b"#13abc", b""])
def test_what_was_asked_before_is_understood_alike(message):
    for _ in range(2):
        assert list(units_of(message)) == list(split_message(message))
    long = message + b" " * LONGEST_KNOWN
    assert list(units_of(long)) == list(split_message(long))
