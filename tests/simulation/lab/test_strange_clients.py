"""Clients that speak out of turn: every instrument with a wire answers or refuses, and goes on."""

import json
import random

import pytest

from simulation.lab.bench import BENCH
from simulation.lab.clock import VirtualClock
from simulation.lab.plant import Plant
from simulation.lab.servers.simulated_scpi import SimulatedScpi
from simulation.lab.wiring import Wiring
from simulation.lab.world_parameters import WorldParameters

WIRED = [name for name, place in BENCH.items() if place.link not in ("object", "folder")]
ARGUMENTS = (
    b"", b"1", b"0", b"-1", b"1e99", b"nan", b"inf", b"1_0", b"MIN", b"MAX", b"DEF", b"ON", b"abc",
    b'"x"', b'""', b'"', b"#13abc", b"#0abc", b"#9", b"#", b"1,2", b"1,2,3,4,5", b",", b'1,"x"',
    b'"x",#14abcd', b"EMEM,#14abcd", b"EMEM,1", b"USER1,EMEM", b"\xff\xb5", b"\xb2", b"1.5mV",
    b"1e5 V", b"99999999999999999999", b"1,320", b"nan,0,0", b"'x'",
)  # fmt: skip
LINES = {
    "lock": ("GAIN", "SETP", "RAMP", "RATE", "ULIM", "AMAN", "STRT", "APOL", "SMON", "LEXE"),
    "sim900": ("SNDT 1,", "SNDT 9,", "GETN? 5,", "RAWN? 3,", "NINP?", "CTCR?", "FLSH", "SRST"),
    "dg645": ("TSRC", "TRAT", "DLAY", "DLAY 2,0,", "LINK", "LAMP 1,", "LERR", "BURC", "*RST"),
    "stahl": ("BS001 CH01", "BS001 U01", "BS001 U99", "BS001 LOCK", "IDN"),
    "triton": ("READ:DEV:T6:TEMP:SIG:TEMP", "READ:", "SET:", "*IDN?"),
    "dlcpro": ("(param-ref 'emission)", "(param-set! 'laser1:ctl:wavelength-set ", "(exec"),
}
FRAMES = (
    b"", b"\x01\x12\x00\x02", b"\x01\x12\x00\xff", b"\x01\x35\x00\x00", b"\xef\xef\x00",
    b"\xef\xef\x01\xff", b"\xef\xef\x03\xff\x04\x00", b"\xef\xef\x04\xff\x04\x02\xe8", b"\xef",
)  # fmt: skip
HEADS = (b"GET / ", b"GET //[ ", b"POST /system ", b"GET", b"\xff /", b"GET /values/x/?key=1 ")


def build(name):
    clock, wiring = VirtualClock(), Wiring()
    plant = Plant(clock, wiring, WorldParameters.of({}), seed=1)
    return BENCH[name].build(plant.wiring, plant.clock)


def messages(name, instrument, chance):
    """Give what a client may send: commands that the instrument knows, with any arguments."""
    link = BENCH[name].link
    if link == "http":
        yield from (head + b"HTTP/1.1\r\n\r\n" for head in HEADS)
    elif name.startswith("websq"):
        odd = (5, [1], {"command": []}, {"command": "DetectorEnable", "value": "yes"}, None)
        yield from (json.dumps(each).encode() for each in odd)
        yield b'{"command": "SetAllBiasCurrents", "value": [NaN, 1]}'
        yield b'{"command": "SetAllBiasCurrents", "value": [1e9, 1]} {"request": 3}'
    elif name.startswith(("switch", "selfalign")):
        yield from (first + second for first in FRAMES for second in FRAMES)
    else:
        known = list(getattr(instrument, "_commands", ())) or LINES[name]
        for head in chance.sample(known, min(len(known), 300)):
            for mark in ("", "?"):
                number = chance.choice("01239")
                text = head.replace("#", number).encode() + mark.encode()
                yield text + chance.choice((b" ", b"", b"\t")) + chance.choice(ARGUMENTS) + b"\n"


@pytest.mark.parametrize("name", WIRED)
def test_no_message_stops_an_instrument(name):
    chance = random.Random(20261128)
    instrument = build(name)
    for message in messages(name, instrument, chance):
        for reply in instrument.conversation().feed(message):
            assert reply.endswith((b"\n", b"\r", b"\x17", b"> ", b"}")) or len(reply) < 9
    if isinstance(instrument, SimulatedScpi):
        (reply,) = instrument.conversation().feed(b"*IDN?\n")
        assert reply.decode().strip() == instrument.idn
