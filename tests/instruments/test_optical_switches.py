"""Fibre switches: bytes as public drivers have them, read-back, a dark safe state."""

import pytest

from instruments import AgiltronFF, AgiltronSelfAlign, SercaloSwitch
from instruments.roles import OpticalSwitch
from simulation.lab.instruments.optical_switches import (
    SimulatedAgiltronFF,
    SimulatedSelfAlign,
    SimulatedSercalo,
)
from simulation.lab.servers.tcp import TcpServer
from simulation.lab.servers.transcript import Transcript
from simulation.lab.world import World

FAMILIES = {
    "ff": (AgiltronFF, SimulatedAgiltronFF),
    "selfalign": (AgiltronSelfAlign, SimulatedSelfAlign),
    "sercalo": (SercaloSwitch, SimulatedSercalo),
}


@pytest.fixture(params=FAMILIES)
def pair(request):
    driver, twin = FAMILIES[request.param]
    far = twin(channels=4)
    with TcpServer(far) as server:
        yield driver("switch", server.address, channels=4, dark=4, timeout=0.3), far


def test_it_moves_and_goes_dark(pair):
    switch, twin = pair
    assert isinstance(switch, OpticalSwitch)
    for channel in (3, 1):
        switch.position(channel)
        assert twin.port.position == channel == switch.position()
    switch.safe_state()
    assert (twin.port.position, switch.dark) == (4, 4)


def test_channel_beyond_the_last_is_refused(pair):
    switch, _ = pair
    with pytest.raises(ValueError, match="5"):
        switch.position(5)


def test_frames_are_those_of_public_drivers():
    frames = {
        AgiltronFF: (b"\x01\x12\x00\x02", b"\x01\x12\x00\x02", b"\x01\x11\x00\x00",
                     b"\x01\x02\x03\x02"),
        SercaloSwitch: (b"\xef\xef\x04\xff\x04\x02\xe7", b"\xfe\xfe\x04\x01\x04\x00\x05",
                        b"\xef\xef\x03\xff\x02\xe2", b"\xfe\xfe\x05\x01\x02\x00\x02\x06"),
    }  # fmt: skip
    for driver, (told, answer, asked, reply) in frames.items():
        transcript = Transcript([(told, answer), (asked, reply)])
        with TcpServer(transcript) as server:
            switch = driver("switch", server.address, channels=4, dark=4, timeout=0.3)
            switch.position(2)
            switch.close()
        transcript.check()


def test_mirror_that_sticks_and_wrong_family_are_told():
    from simulation.lab.instrument_faults import InstrumentFault

    twin = SimulatedAgiltronFF()
    with TcpServer(twin) as server:
        switch = AgiltronFF("switch", server.address, channels=4, dark=4, timeout=0.3)
        twin.faults.inject(InstrumentFault(kind="stick", setting="channel"))
        with pytest.raises(RuntimeError, match="the channel must be 3, but reads 1"):
            switch.position(3)
        other = AgiltronSelfAlign("other", server.address, channels=4, dark=4, timeout=0.3)
        with pytest.raises(OSError, match="channel 3"):
            other.position(3)
        with pytest.raises(RuntimeError, match="must be set before it is known"):
            other.position()


def test_dark_must_be_a_channel():
    with pytest.raises(ValueError, match="`dark` must be a channel, 1 to 4, but is 5"):
        AgiltronFF("switch", "nowhere", channels=4, dark=5)


def test_switches_block_the_arms_of_the_world():
    with World.start(instruments=["switch_a", "switch_b"]) as world:
        a = AgiltronFF("a", world.addresses["switch_a"], channels=4, dark=4)
        b = SercaloSwitch("b", world.addresses["switch_b"], channels=4, dark=4)
        light = world.plant.light
        assert light.arm_transmission(0) > 0
        a.safe_state()
        assert light.arm_transmission(0) == 0.0
        assert light.arm_transmission(1) > 0
        b.safe_state()
        assert light.arm_transmission(1) == 0.0
        a.position(1)
        assert light.arm_transmission(0) > 0
