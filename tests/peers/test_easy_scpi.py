"""easy-scpi: any SCPI command as an attribute; it knows no instrument."""

import easy_scpi
import pytest
import pyvisa

generic = "easy_scpi", "Instrument"
LINK = {"backend": "@py", "read_termination": "\n", "write_termination": "\n", "timeout": 2000}


@pytest.fixture
def instrument(address, monkeypatch):
    """It opens only what VISA lists, and VISA lists no sockets."""
    monkeypatch.setattr(pyvisa.ResourceManager, "list_resources", lambda *_: (address,))
    instrument = easy_scpi.Instrument(port=address, **LINK)
    instrument.connect()
    yield instrument
    assert instrument.query("SYST:ERR?").strip() == '0,"No error"'
    instrument.disconnect()


@pytest.mark.peer(*generic, "AFG3152C", bench="afg")
def test_levels_in_long_words(instrument):
    instrument.source1.voltage.high(0.7)
    instrument.source1.voltage.limit.low(-0.6)
    assert float(instrument.source1.voltage.high()) == pytest.approx(0.7)
    assert float(instrument.source1.voltage.level.immediate.amplitude()) == pytest.approx(1.2)


@pytest.mark.peer(*generic, "GS200", bench="gs200")
def test_level_of_a_source(instrument):
    instrument.source.level(0.5)
    assert float(instrument.source.level()) == 0.5
