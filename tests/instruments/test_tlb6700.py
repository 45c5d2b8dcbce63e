import threading
import time

import pytest

from instruments.newport_tlb6700.conversation import TLB6700Error, TLB6700Link
from instruments.newport_tlb6700.driver import NewportTLB6700
from instruments.roles import Laser
from simulation.lab.instrument_faults import InstrumentFault
from simulation.lab.instruments.tlb6700 import SimulatedTLB6700
from simulation.lab.instruments.tlb6700_head import TLBHead

LIMITS = {
    "wavelength_limits": (1550e-9, 1560e-9),
    "max_current": 0.1,
    "max_power": 0.01,
    "wavelength_tolerance": 0.2e-9,
    "poll": 1e-3,
}


@pytest.fixture
def controller():
    return SimulatedTLB6700()


@pytest.fixture
def laser(controller):
    return NewportTLB6700("laser", controller, **LIMITS)


class Transcript:
    """A port with canned packets, which records what is sent."""

    def __init__(self, *packets):
        self.packets = list(packets)
        self.sent = []

    def open(self):
        pass

    def close(self):
        pass

    def exchange(self, command):
        self.sent.append(command)
        return self.packets.pop(0)

    def read(self):
        return self.packets.pop(0) if self.packets and len(self.sent) else b""


def test_fulfils_the_role(laser):
    role: Laser = laser
    assert isinstance(role, Laser)
    assert laser.get_idn() == {
        "vendor": "New_Focus",
        "model": "6700",
        "firmware": "v2.4",
        "serial": "SN1234",
    }


def test_move_writes_tracks_waits_and_reads_back(laser, controller):
    controller.log.clear()
    laser.wavelength(1555.5e-9)
    assert controller.log[:3] == [
        "OUTPut:TRACk?",
        "SOURce:WAVElength 1555.5000",
        "OUTPut:TRACk 1",
    ]
    assert controller.log[-2:] == ["OUTPut:TRACk 0", "SENSe:WAVElength"]
    assert laser.wavelength() == pytest.approx(1555.5e-9, abs=1e-13)
    assert controller.port.state.wavelength == pytest.approx(1555.5e-9, abs=1e-13)
    assert controller.clock.now() == pytest.approx(1.7 / 8, rel=1e-6)


def test_tracking_that_was_on_stays_on(laser):
    laser.tracking(True)
    laser.wavelength(1551e-9)
    assert laser.tracking() is True


@pytest.mark.parametrize(
    ("name", "value", "command"),
    [
        ("emission", True, "OUTPut:STATe 1"),
        ("tracking", False, "OUTPut:TRACk 0"),
        ("constant_power", True, "SOURce:CPOWer 1"),
        ("fine_tuning_input", True, "SYSTem:WINPut 1"),
        ("current", 0.0605, "SOURce:CURRent:DIODe 60.5"),
        ("power", 2e-3, "SOURce:POWer:DIODe 2"),
        ("piezo_percent", 12.5, "SOURce:VOLTage:PIEZo 12.5"),
    ],
)
def test_settings_send_one_command_and_read_back(laser, controller, name, value, command):
    controller.log.clear()
    laser.parameters[name](value)
    assert controller.log[0] == command
    assert laser.parameters[name]() == pytest.approx(value)


def test_light_follows_current_and_emission(laser, controller):
    laser.current(0.06)
    assert not controller.port.state.emission
    laser.emission(True)
    assert controller.port.state.power == pytest.approx(6e-3)
    assert laser.diode_power() == pytest.approx(6e-3)
    laser.safe_state()
    assert not controller.port.state.emission
    assert controller.port.state.power == 0.0


@pytest.mark.parametrize(
    ("name", "value"),
    [("wavelength", 1549e-9), ("current", 0.101), ("power", 0.02), ("piezo_percent", 101.0)],
)
def test_values_beyond_the_limits_are_refused_before_sending(laser, controller, name, value):
    controller.log.clear()
    with pytest.raises(ValueError, match=f"laser_?.?{name}"):
        laser.parameters[name](value)
    assert controller.log == []


def test_max_is_never_sent(laser, controller):
    with pytest.raises(TypeError):
        laser.current("MAX")
    laser.wavelength(1551e-9)
    laser.snapshot(update=True)
    assert not any("MAX" in command.upper() for command in controller.log)


@pytest.mark.parametrize("missing", ["wavelength_limits", "max_current", "max_power"])
def test_limits_are_mandatory(controller, missing):
    limits = {name: value for name, value in LIMITS.items() if name != missing}
    with pytest.raises(TypeError, match=missing):
        NewportTLB6700("laser", controller, **limits)


def test_nonsense_limits_are_refused(controller):
    with pytest.raises(ValueError, match="`wavelength_limits` must be"):
        NewportTLB6700("laser", controller, **{**LIMITS, "wavelength_limits": (1550, 1560)})


def test_snapshot_only_asks(laser, controller):
    state = controller.port.state
    controller.log.clear()
    snapshot = laser.snapshot(update=True)
    assert controller.port.state == state
    assert all(c.endswith("?") or c.startswith("SENSe:") for c in controller.log)
    assert snapshot["parameters"]["head"]["value"] == "TLB-6728"


def test_key_switch_is_named(laser, controller):
    controller.key_on = False
    with pytest.raises(TLB6700Error, match=r"'OUTPut:STATe 1'.*902.*key switch is off"):
        laser.emission(True)
    assert laser.emission() is False


def test_refused_value_names_the_error(controller):
    limits = {**LIMITS, "max_current": 1.0}
    laser = NewportTLB6700("laser", controller, **limits)
    with pytest.raises(TLB6700Error, match=r"VALUE OUT OF RANGE.*201.*value out of range"):
        laser.current(0.5)
    assert laser.current() == 0.0


def test_missed_target_is_an_error(laser, controller):
    controller.faults.inject(InstrumentFault(kind="stick", setting="SOURce:WAVElength"))
    with pytest.raises(RuntimeError, match=r"within 0\.2 nm of 1556\.0000 nm .* is 1553\.8000 nm"):
        laser.wavelength(1556e-9)


def test_following_error_during_a_move_is_an_error(laser, controller):
    controller.clock.at(0.05, lambda: controller.fail(802))
    with pytest.raises(RuntimeError, match="after the move"):
        laser.wavelength(1560e-9)


def test_endless_move_times_out(laser, monkeypatch):
    monkeypatch.setattr(laser, "move_timeout", 0.02)
    monkeypatch.setattr("simulation.lab.instruments.tlb6700.POLL", 0.0)
    with pytest.raises(TimeoutError, match=r"1556\.0000 nm must end within 0\.02 s"):
        laser.wavelength(1556e-9)


def test_safe_state_interrupts_a_move(laser, monkeypatch):
    monkeypatch.setattr("simulation.lab.instruments.tlb6700.POLL", 0.0)
    failure = []

    def move():
        try:
            laser.wavelength(1556e-9)
        except RuntimeError as error:
            failure.append(str(error))

    thread = threading.Thread(target=move)
    thread.start()
    time.sleep(0.05)
    laser.safe_state()
    thread.join(2.0)
    assert "was interrupted" in failure[0]


def test_stale_tail_is_cut(laser, controller):
    assert laser.get_idn()["serial"] == "SN1234"
    packet = controller.exchange("*STB?")
    assert len(packet) == 64
    assert packet.startswith(b"0\r\n")
    assert len(packet[3:].strip(b"\0")) > 0
    assert laser.current() == 0.0


@pytest.mark.parametrize("leftover", ["OK", "+00", "New_Focus 6700 v2.4 03/19/14 SN1234"])
def test_leftover_lines_before_data_are_dropped(laser, controller, leftover):
    laser.current(0.05)
    controller.leftovers.append(leftover)
    assert laser.current() == pytest.approx(0.05)


def test_silence_raises_and_the_late_reply_is_not_taken_for_another(laser, controller):
    laser.current(0.05)
    controller.faults.inject(InstrumentFault(kind="silence"))
    with pytest.raises(TimeoutError):
        laser.current(0.06)
    assert laser.current() == pytest.approx(0.06)
    assert controller.log.count("SOURce:CURRent:DIODe 60") == 1


def test_late_data_is_dropped_after_a_timeout():
    port = Transcript(b"OK\r\n", b"OK\r\n")
    link = TLB6700Link(port, "laser")
    with pytest.raises(TimeoutError, match="must be answered with data"):
        link.ask("OUTPut:STATe?")
    port.packets = [b"1\r\n", b"", b"60.0\r\n"]
    assert link.number("SOURce:CURRent:DIODe?") == 60.0


@pytest.mark.parametrize("kind", ["garbage", "partial"])
def test_spoiled_reply_to_a_query_is_an_error_and_the_next_works(laser, controller, kind):
    laser.current(0.05)
    controller.faults.inject(InstrumentFault(kind=kind, data=b"~\xff~"))
    with pytest.raises(ValueError, match="must be answered with a number"):
        laser.current()
    assert laser.current() == pytest.approx(0.05)


def test_lost_link_is_reopened_without_repeating_the_command(laser, controller):
    controller.faults.inject(InstrumentFault(kind="disconnect"))
    with pytest.raises(ConnectionError):
        laser.piezo_percent(40.0)
    assert laser.piezo_percent() == pytest.approx(40.0)
    assert controller.log.count("SOURce:VOLTage:PIEZo 40") == 1


def test_unplugged_cable_stays_an_error(laser, controller):
    controller.faults.inject(InstrumentFault(kind="disconnect", count=None))
    for _ in range(2):
        with pytest.raises(ConnectionError):
            laser.emission()
    controller.faults.clear()
    assert laser.emission() is False


@pytest.mark.parametrize("forms", [("",), ("?",), ("", "?")])
def test_measuring_commands_are_found_out(forms):
    controller = SimulatedTLB6700(head=TLBHead(sense_forms=forms))
    laser = NewportTLB6700("laser", controller, **LIMITS)
    assert laser.wavelength() == pytest.approx(1553.8e-9)
    assert controller.log[-1] == f"SENSe:WAVElength{forms[0]}"
    assert laser.diode_current() == 0.0
    assert laser.diode_current() == 0.0
    assert controller.log[-1] == f"SENSe:CURRent:DIODe{forms[0]}"


@pytest.mark.parametrize(
    ("packets", "value"),
    [
        ([b"OK\r\n1553.8000\r\n"], 1553.8),
        ([b"OK\r\nOK\r\n99.99\r\n"], 99.99),
        ([b"99.99\r\nOK\r\n"], 99.99),
        ([b"OK\r\nOK\r\n", b"99.99\r\n"], 99.99),
        ([b"+00\r\n", b"OK\r\n99.99\r\n"], 99.99),
        ([b"New_Focus 6700 v2.4 03/19/14 SN1012\r\n99.99\r\n"], 99.99),
    ],
)
def test_value_among_left_over_lines_is_found(packets, value):
    port = Transcript(*(packet.ljust(64, b"\0") for packet in packets))
    port.sent.append("")  # nothing waits yet: the link is not drained before the first exchange
    link = TLB6700Link(port, "laser")
    port.read = lambda: b""
    link._prepare()
    del port.read
    assert link.number("SENSe:WAVElength?") == value


def test_rest_of_the_former_reply_is_no_value(controller, laser):
    assert laser.wavelength() == pytest.approx(1553.8e-9)
    controller.leftovers.append("OK")  # lies over '1553.8000', of which '.8000' then remains
    assert laser.piezo_percent() == 50.0
    controller.joined = "OK\r\n"
    assert laser.wavelength() == pytest.approx(1553.8e-9)


def test_garbage_in_answer_to_the_question_for_motion_raises_at_once(controller):
    laser = NewportTLB6700("laser", controller, **LIMITS, move_timeout=60.0)
    controller._ask_motion = lambda: "7"
    start = time.monotonic()
    with pytest.raises(
        RuntimeError, match=r"\*OPC\? must be answered with 0 or 1, but is with '7'"
    ):
        laser.wavelength(1555.5e-9)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("reply", [b"10\r\n", b"2\r\n", b"-1\r\n"])
def test_switch_is_on_or_off(reply):
    port = Transcript(b"New_Focus 6700 v2.4 03/19/14 SN1\r\n", b"1550.0\r\n", b"OK\r\n", reply)
    laser = NewportTLB6700("laser", port, **LIMITS)
    with pytest.raises(ValueError, match="must be answered with 0 or 1"):
        laser.emission()
    port.packets.append(b"OK\r\n")


def test_another_device_is_refused():
    port = Transcript(b"New_Focus 8742 v2.4 03/19/14 11111\r\n")
    with pytest.raises(RuntimeError, match="must be a TLB-6700, but identifies as 'New_Focus 8742"):
        NewportTLB6700("laser", port, **LIMITS)


def test_error_queue_is_emptied_with_names():
    port = Transcript(
        b"ERROR\r\n", b"128\r\n", b"201,VALUE\r\n", b"128\r\n", b"-3\r\n", b"128\r\n", b"??\r\n"
    )
    port.packets.append(b"0\r\n")
    with pytest.raises(TLB6700Error) as caught:
        TLB6700Link(port, "laser").tell("SOURce:CPOWer 1")
    assert port.sent[:3] == ["SOURce:CPOWer 1", "*STB?", "ERRSTR?"]
    assert caught.value.errors == (
        "201,VALUE (value out of range)",
        "-3 (laser head disconnected)",
        "??",
    )


def test_close_gives_the_panel_free(laser, controller):
    laser.close()
    assert controller.log[-1] == "SYSTem:MCONtrol LOC"


@pytest.mark.parametrize("kind", ["disconnect", "silence", "garbage"])
def test_safe_state_switches_off_although_an_exchange_fails(laser, controller, kind):
    laser.emission(True)
    controller.faults.inject(InstrumentFault(kind=kind))
    laser.safe_state()
    assert laser.emission() is False


def test_emission_that_stays_on_is_reported():
    on = (b"OK\r\n", b"1\r\n")
    port = Transcript(b"New_Focus 6700 v2.4 03/19/14 SN1\r\n", b"1550.0\r\n", b"OK\r\n", *on, *on)
    port.packets.append(b"OK\r\n")  # for closing
    laser = NewportTLB6700("laser", port, **LIMITS)
    with pytest.raises(RuntimeError, match="emission must be off, but is on"):
        laser.safe_state()
    assert port.sent[-2:] == ["OUTPut:STATe 0", "OUTPut:STATe?"]


def test_link_lost_while_errors_are_read_is_reopened():
    class Dying(Transcript):
        opened = 0

        def open(self):
            self.opened += 1

        def exchange(self, command):
            if command == "*STB?":
                raise ConnectionError(command)
            return super().exchange(command)

    port = Dying(b"ERROR\r\n", b"", b"0\r\n")
    link = TLB6700Link(port, "laser")
    with pytest.raises(ConnectionError):
        link.tell("SOURce:CPOWer 1")
    link.number("SOURce:CPOWer?")
    assert port.opened == 2


@pytest.mark.parametrize(
    ("name", "query", "reply", "value"),
    [
        ("diode_current", "SENSe:CURRent:DIODe", b"60.5\r\n", 0.0605),
        ("diode_power", "SENSe:POWer:DIODe", b"6.0\r\n", 6e-3),
        ("diode_temperature_celsius", "SENSe:TEMPerature:DIODe", b"25.0\r\n", 25.0),
        ("cavity_temperature_celsius", "SENSe:TEMPerature:CAVity", b"30.1\r\n", 30.1),
        ("auxiliary_voltage", "SENSe:VOLTage:AUXiliary", b"0.5\r\n", 0.5),
        ("piezo_voltage", "SENSe:VOLTage:PIEZo", b"58.0\r\n", 58.0),
        ("fine_tuning_voltage", "SENSe:VOLTage:WAVEIN", b"-1.5\r\n", -1.5),
        ("on_time", "SYSTem:ENTIME?", b"90\r\n", 5400.0),
        ("head", "SYSTem:LASer:MODEL?", b"TLB6728\r\nstale", "TLB6728"),
    ],
)
def test_reading_on_the_wire(name, query, reply, value):
    port = Transcript(b"New_Focus 6700 v2.4 03/19/14 SN1\r\n", b"1550.0\r\n", b"OK\r\n", reply)
    laser = NewportTLB6700("laser", port, **LIMITS)
    assert port.sent == ["*IDN?", "SENSe:WAVElength", "SYSTem:MCONtrol REM"]
    assert laser.parameters[name]() == (value if name == "head" else pytest.approx(value))
    assert port.sent[-1] == query
    port.packets.append(b"OK\r\n")  # for closing
