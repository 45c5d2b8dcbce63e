import pytest

from instruments.highfinesse_wavemeter import ERRORS, HighFinesseWS7, WavemeterError
from instruments.roles import Wavemeter
from simulation.lab.instruments.highfinesse import SimulatedWlmData
from simulation.lab.ports.steady import WavemeterPort


@pytest.fixture
def library():
    light = {1: 1553.8e-9, 2: 1550.0e-9}
    return SimulatedWlmData(WavemeterPort(reader=light.get))


@pytest.fixture
def meter(library):
    return HighFinesseWS7("meter", library)


def test_fulfils_the_role_and_reads_the_world(meter):
    role: Wavemeter = meter
    assert isinstance(role, Wavemeter)
    assert role.wavelength() == pytest.approx(1553.8e-9, rel=1e-12)
    assert meter.frequency() == pytest.approx(299792458 / 1553.8e-9, rel=1e-12)
    assert meter.get_idn()["model"] == "WS7"


def test_channel_chooses_the_fibre(library):
    assert HighFinesseWS7("two", library, channel=2).wavelength() == pytest.approx(1550e-9)


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_every_error_code_is_named(meter, library, code):
    library.status = code
    with pytest.raises(WavemeterError, match=f"reports {code} ") as caught:
        meter.wavelength()
    assert caught.value.code == code
    assert ERRORS[code] in str(caught.value)


def test_dark_fibre_is_an_error_and_not_a_number(library):
    with pytest.raises(WavemeterError, match="no signal"):
        HighFinesseWS7("dark", library, channel=3).wavelength()


def test_stopped_instrument_does_not_repeat_its_last_value(meter, library):
    library.Operation(0)
    with pytest.raises(RuntimeError, match=r"must be measuring, but is stopped; call start\(\)"):
        meter.wavelength()
    meter.start()
    assert meter.wavelength() == pytest.approx(1553.8e-9)


def test_missing_program_is_a_connection_error_and_comes_back(meter, library):
    library.is_running = False
    with pytest.raises(ConnectionError, match="program must be running"):
        HighFinesseWS7("other", library)
    with pytest.raises(RuntimeError, match="must be measuring"):
        meter.wavelength()
    library.is_running = True
    assert meter.wavelength() == pytest.approx(1553.8e-9)


def test_absent_library_is_named():
    with pytest.raises(OSError, match=r"'no-such-wlm\.dll', but is not"):
        HighFinesseWS7("meter", "no-such-wlm.dll")


def test_nonsense_channel_is_refused(library):
    with pytest.raises(ValueError, match="`channel` must be 1 or more"):
        HighFinesseWS7("meter", library, channel=0)
