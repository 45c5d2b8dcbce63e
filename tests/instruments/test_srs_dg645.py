"""DG645: delays read back, errors told, nothing fires in the safe state, the world's trigger."""

import pytest

from instruments import SRSDG645, PicoQuantTimeHarp260
from instruments.roles import TriggerSource
from simulation.lab.instrument_faults import InstrumentFault
from simulation.lab.instruments.srs_dg645 import SimulatedDG645
from simulation.lab.servers.tcp import TcpServer
from simulation.lab.servers.transcript import Transcript
from simulation.lab.world import World


@pytest.fixture
def pair():
    twin = SimulatedDG645()
    with TcpServer(twin) as server:
        yield SRSDG645("dg", server.address, timeout=0.5), twin


def test_delay_is_that_of_a_public_transcript():
    transcript = Transcript(
        [
            ("*IDN?\r\n", "Stanford Research Systems,DG645,s/n008011,ver1.19.118\r\n"),
            ("LERR?\r\n", "0\r\n"),
            ("DLAY? 2\r\n", "0,+0.000010000000\r\n"),
            ("DLAY? 3\r\n", "2,+0.000001000000\r\n"),
            ("TSRC?\r\n", "3\r\n"),
            ("TLVL?\r\n", "1.000\r\n"),
        ],
        ends=("", ""),
    )
    with TcpServer(transcript) as server:
        generator = SRSDG645("dg", server.address, timeout=0.5)
        assert generator.delay("AB") == (10e-6, 1e-6)
        assert generator.source() == "single rising"
        assert generator.threshold() == 1.0
        generator.close()
    transcript.check()


def test_it_fires_only_when_told_to(pair):
    generator, twin = pair
    assert isinstance(generator, TriggerSource)
    assert twin.port.rate == 0
    generator.rate(20e3)
    assert not generator.is_running()
    generator.set_running(on=True)
    assert twin.port.rate == 20e3
    generator.safe_state()
    assert twin.port.rate == 0
    assert generator.source() == "single"


def test_delays_levels_and_lost_triggers(pair):
    generator, _ = pair
    generator.set_delay("CD", 100e-9, 2e-6)
    assert generator.delay("CD") == (pytest.approx(100e-9), pytest.approx(2e-6))
    generator.set_level("CD", 2.5)
    generator.rate(20e3)
    generator.set_running(on=True)
    assert not generator.missed_triggers()
    generator.set_delay("CD", 0.0, 60e-6)
    assert generator.missed_triggers()


def test_refusal_stuck_setting_and_range_are_told(pair):
    generator, twin = pair
    with pytest.raises(RuntimeError, match="refused 'DLAY 2,2,0': illegal link"):
        generator.write("DLAY 2,2,0")
    assert generator.ask("LERR?") == "0"
    twin.faults.inject(InstrumentFault(kind="stick", setting="DLAY"))
    with pytest.raises(RuntimeError, match="channel 2 must be 1e-06 s after channel 0"):
        generator.set_delay("AB", 1e-6, 1e-6)
    twin.faults.inject(InstrumentFault(kind="stick", setting="TSRC", count=None))
    with pytest.raises(RuntimeError, match="firing must be on"):
        generator.set_running(on=True)
    for wrong in ({"output": "T0"}, {"start": -1.0}, {"width": 0.0}):
        with pytest.raises(ValueError, match="must be"):
            generator.set_delay(**{"output": "AB", "start": 0.0, "width": 1e-6} | wrong)
    with pytest.raises(ValueError, match=r"`amplitude` 0.5 to 5 V"):
        generator.set_level("AB", 0.2)


def test_error_memory_is_emptied_on_connecting():
    twin = SimulatedDG645()
    twin.execute("NONSENSE")
    twin.execute("DLAY 2,2,0")
    with TcpServer(twin) as server:
        generator = SRSDG645("dg", server.address, timeout=0.5)
        generator.rate(1e3)
        assert generator.rate() == 1e3
        twin.execute("NONSENSE")  # another client's
        generator.rate(2e3)
        assert generator.rate() == 2e3


@pytest.mark.parametrize(
    ("sent", "query", "reply", "error"),
    [
        ("LINK 4,2", "LINK? 4", "2", 0),
        ("LAMP 1,3.3", "LAMP? 1", "+3.30", 0),
        ("LPOL 2,0", "LPOL? 2", "0", 0),
        ("BURC 20", "burc?", "20", 0),
        ("TSRC 2.5", "TSRC?", "5", 10),
        ("DLAY nan,0,1", "DLAY? 2", "0,+0.000000000000", 112),
        ("DLAY 2,0,2001", "DLAY? 2", "0,+0.000000000000", 12),
        ("DLAY? x", "TSRC?", "5", 112),
        ("LOFF 7,1", "LOFF? 0", "+0.00", 10),
        ("*RST 1", "TSRC?", "5", 112),
    ],
)
def test_simulated_generator_answers_or_refuses(sent, query, reply, error):
    twin = SimulatedDG645()
    assert twin.execute(sent) is None
    assert (twin.execute(query), twin.execute("LERR?")) == (reply, str(error))


def test_it_triggers_the_world():
    with World.start(instruments=["dg645", "timeharp"]) as world:
        generator = SRSDG645("dg", world.addresses["dg645"])
        tagger = PicoQuantTimeHarp260("tagger", world.objects["timeharp"], "T3")
        for channel in (tagger.sync, *tagger.inputs):
            channel.trigger_level(0.1)
            channel.trigger_edge("rising")
        assert tagger.sync_rate() == 0
        generator.rate(1 / world.plant.parameters.period)
        generator.set_running(on=True)
        assert tagger.sync_rate() == pytest.approx(20e3)
        generator.safe_state()
        assert tagger.sync_rate() == 0
