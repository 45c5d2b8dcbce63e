import pytest

from simulation.lab.instrument_faults import InstrumentFault
from simulation.lab.servers.scpi_values import VOLTS, Number, Switch, Word
from simulation.lab.servers.simulated_scpi import Held, SimulatedScpi


class Source(SimulatedScpi):
    channels = (1, 2)
    error_depth = 3
    settings = (
        Held("SOURce#:VOLTage[:LEVel]", "voltage", Number(low=0, high=2, units=VOLTS), 0.5),
        Held("OUTPut#[:STATe]", "output", Switch(), False),
        Held("MODE", "mode", Word(("NORMal", "BURSt")), "NORM"),
    )


@pytest.fixture
def source():
    return Source("ACME,X1,0,1")


def ask(device, text):
    reply = device.execute(text.encode())
    return None if reply is None else reply.decode().strip()


@pytest.mark.parametrize(
    "command", ["SOUR2:VOLT 1.5", "source2:voltage:level 1500 mV", ":Sour2:Volt:Lev 1.5V"]
)
def test_spelling_and_unit_do_not_matter(source, command):
    ask(source, command)
    assert source.number("voltage", 2) == 1.5
    assert source.number("voltage", 1) == 0.5


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("SOUR1:VOLT 2.1", -222),
        ("SOUR1:VOLT", -109),
        ("SOUR1:VOLT 1 kV", -131),
        ("SOUR1:VOLT high", -104),
        ("SOUR3:VOLT 1", -114),
        ("FREQ 1", -113),
        ("MODE BURSTS", -224),
        ("OUTP1 2", -224),
        ("*IDN 3", -113),
    ],
)
def test_what_is_refused_gets_its_standard_code(source, command, code):
    ask(source, command)
    assert ask(source, "SYST:ERR?").startswith(f"{code},")
    assert ask(source, "SYST:ERR:NEXT?") == '0,"No error"'


def test_full_queue_ends_with_overflow_and_cls_empties_it(source):
    for _ in range(5):
        ask(source, "FREQ 1")
    codes = [ask(source, "SYST:ERR?").partition(",")[0] for _ in range(3)]
    assert codes == ["-113", "-113", "-350"]
    ask(source, "FREQ 1;*CLS")
    assert ask(source, "SYST:ERR?;*ESR?") == '0,"No error";0'


def test_minimum_and_maximum_can_be_set_and_asked(source):
    assert ask(source, "SOUR1:VOLT? MAX") == "2.000000E+00"
    ask(source, "SOUR1:VOLT MAX;:MODE burst;:OUTP1 ON")
    assert ask(source, "SOUR1:VOLT?;:MODE?;:OUTP1?") == "2.000000E+00;BURS;1"
    ask(source, "*RST")
    assert ask(source, "SOUR1:VOLT?;:MODE?;:OUTP1?") == "5.000000E-01;NORM;0"


def test_stuck_setting_accepts_and_does_not_move(source):
    source.faults.inject(InstrumentFault(kind="stick", setting="sour1:volt"))
    ask(source, "SOUR2:VOLT 1;:SOUR1:VOLT 1")
    assert (source.number("voltage", 1), source.number("voltage", 2)) == (0.5, 1)
    assert ask(source, "SYST:ERR?") == '0,"No error"'


def test_fault_on_an_unknown_setting_is_refused(source):
    with pytest.raises(ValueError, match="must be one of its commands"):
        source.faults.inject(InstrumentFault(kind="stick", setting="SOUR1:CURR"))
    with pytest.raises(ValueError, match="must name the `setting`"):
        InstrumentFault(kind="refuse")


def test_fault_is_read_from_a_plain_mapping():
    fault = InstrumentFault.from_plain({"kind": "garbage", "data": "ÿ?", "count": None})
    assert (fault.data, fault.count) == (b"\xff?", None)
    with pytest.raises(ValueError, match="has unknown mood"):
        InstrumentFault.from_plain({"kind": "silence", "mood": "bad"})


def test_status_byte_sums_up_the_queue_and_the_enabled_events():
    instrument = SimulatedScpi("ACME,X1,0,1")
    assert instrument.execute(b"*STB?;*SRE?;*ESE?") == b"0;0;0\n"
    instrument.execute(b"*ESE 32;*SRE 36;FOO")
    assert instrument.execute(b"*STB?;*TST?") == b"100;0\n"  # 4 + 32, and 64 for the request
    assert instrument.execute(b"SYST:ERR?;*ESR?") == b'-113,"Undefined header";32\n'
    assert instrument.execute(b"*WAI;*STB?;*SRE?;*ESE?") == b"0;36;32\n"
