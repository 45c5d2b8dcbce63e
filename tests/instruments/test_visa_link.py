"""Drivers' links: every fault of the wire ends in an error that names the instrument, in time."""

import os
import socket
import time
from contextlib import nullcontext

import pytest

from instruments.bases.scpi import ScpiInstrument
from instruments.links.attendance import attended_by
from instruments.links.lateness import excused_while, waiting_for_late_replies
from instruments.srs import SRSSIM960
from simulation.lab.instrument_faults import InstrumentFault
from simulation.lab.instruments.srs_sim960 import SimulatedSIM960
from simulation.lab.servers.scpi_values import Number
from simulation.lab.servers.serial_line import SerialLine
from simulation.lab.servers.simulated_scpi import Held, SimulatedScpi
from simulation.lab.servers.tcp import TcpServer
from simulation.lab.servers.wire import connection_at, owes_a_reply

TIMEOUT = 1.0


OWN, ASKER = "by a thread of its own", "by who asks"
in_its_own_thread = pytest.mark.parametrize("_answered", [OWN], indirect=True)
"""For what blocks the instrument itself: who asks cannot be kept waiting by himself."""


@pytest.fixture(autouse=True, params=[OWN, ASKER])
def _answered(request):
    """Have every instrument answer in both ways: what a driver sees must not differ."""

    def attendant(address, port):
        connection = connection_at(address, port)
        return connection if connection is not None and connection.rest() else None

    with attended_by(attendant) if request.param == ASKER else nullcontext():
        yield


class Source(SimulatedScpi):
    settings = (Held("VOLTage", "voltage", Number(low=0, high=2), 0.5),)


class SourceDriver(ScpiInstrument):
    identity = "^ACME,X1"

    def __init__(self, name, address, **kwargs):
        super().__init__(name, address, visalib="@py", timeout=TIMEOUT, **kwargs)
        self.voltage = self.add_parameter(
            "voltage", get_cmd="VOLT?", set_cmd="VOLT {}", get_parser=float
        )


@pytest.fixture
def server():
    with TcpServer(Source("ACME,X1,0,1")) as server:
        yield server


@pytest.fixture
def driver(server):
    return SourceDriver("source", server.address)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (InstrumentFault(kind="silence"), TimeoutError),
        (InstrumentFault(kind="partial"), TimeoutError),
        (InstrumentFault(kind="delay", seconds=1.5 * TIMEOUT), TimeoutError),
        (InstrumentFault(kind="disconnect"), TimeoutError),
        (InstrumentFault(kind="garbage"), ConnectionError),
        (InstrumentFault(kind="garbage", data=b"5e\n"), ConnectionError),
        (InstrumentFault(kind="garbage", data=b"7\n"), ConnectionError),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_wire_fault_raises_in_time_and_the_next_command_works(server, driver, fault, error):
    server.instrument.faults.inject(fault)
    start = time.monotonic()
    with pytest.raises(error, match="source"):
        driver.voltage()
    assert time.monotonic() - start < 20 * TIMEOUT  # bounded: no link hangs
    driver.voltage(1.25)
    assert driver.voltage() == 1.25


def test_cut_link_is_opened_anew_unnoticed(server, driver):
    server.cut_links()
    time.sleep(0.02)
    assert driver.voltage() == 0.5


def test_late_reply_is_not_taken_for_another(server, driver):
    server.instrument.faults.inject(InstrumentFault(kind="delay", seconds=1.5 * TIMEOUT))
    with pytest.raises(TimeoutError):
        driver.voltage()
    time.sleep(TIMEOUT)
    driver.voltage(1.25)
    assert driver.voltage() == 1.25


@pytest.mark.parametrize("direct", [True, False], ids=["by labkit", "by pyvisa"])
def test_late_reply_is_waited_for_while_an_instrument_is_made_safe(
    server, driver, monkeypatch, direct
):
    if not direct:
        monkeypatch.setattr("instruments.links.visa._wire", lambda _: None)
    delay = InstrumentFault(kind="delay", seconds=1.5 * TIMEOUT, count=2)
    server.instrument.faults.inject(delay)
    with waiting_for_late_replies(5 * TIMEOUT):
        assert driver.voltage() == 0.5
    with pytest.raises(TimeoutError, match=f"within {TIMEOUT} s"):
        driver.voltage()


@in_its_own_thread
@pytest.mark.parametrize("direct", [True, False], ids=["by labkit", "by pyvisa"])
def test_simulated_instrument_that_still_computes_is_waited_for(
    server, driver, monkeypatch, direct
):
    answer = server.instrument.execute

    def late(line):
        time.sleep(3 * TIMEOUT)
        return answer(line)

    monkeypatch.setattr(server.instrument, "execute", late)
    with excused_while(owes_a_reply):
        if direct:
            assert driver.voltage() == 0.5
        else:
            assert driver.ask_bytes("*IDN?", 7) == b"ACME,X1"
    with pytest.raises(TimeoutError, match=f"within {TIMEOUT} s"):
        driver.voltage()


@pytest.mark.parametrize(
    "fault",
    [
        InstrumentFault(kind="silence"),
        InstrumentFault(kind="partial"),
        InstrumentFault(kind="delay", seconds=3 * TIMEOUT),
    ],
    ids=lambda fault: fault.kind,
)
def test_fault_of_a_simulated_instrument_is_no_excuse(server, driver, fault):
    server.instrument.faults.inject(fault)
    start = time.monotonic()
    with excused_while(owes_a_reply), pytest.raises(TimeoutError):
        driver.voltage()
    assert time.monotonic() - start < 3 * TIMEOUT


def test_who_has_not_answered_is_not_waited_for_a_second_time(server, driver):
    server.instrument.faults.inject(InstrumentFault(kind="silence", count=None))
    start = time.monotonic()
    with waiting_for_late_replies(2 * TIMEOUT):
        for _ in range(2):
            with pytest.raises(TimeoutError):
                driver.voltage()
    assert time.monotonic() - start < 4 * TIMEOUT


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="serial lines need pseudo-terminals")
def test_reply_to_an_earlier_question_on_a_serial_line_is_taken_for_no_other():
    with SerialLine(SimulatedSIM960()) as line:
        lock = SRSSIM960("late_lock", line.address, output_min=-10, output_max=10, timeout=0.5,
                         visalib="@py")  # fmt: skip
        lock.integral_on(True)
        lock.engage()
        delay = InstrumentFault(kind="delay", seconds=1.0, count=None)
        line.instrument.faults.inject(delay)
        with pytest.raises(TimeoutError):
            lock.engaged()
        with waiting_for_late_replies(4.0):
            assert lock.engaged() is True
            lock.safe_state()
            assert lock.engaged() is False
        line.instrument.faults.clear()


def test_refused_command_raises_with_the_instruments_words(driver):
    with pytest.raises(RuntimeError, match=r'source refused .*VOLT 3.*-222,"Data out of range"'):
        driver.voltage(3)
    assert driver.drain_errors() == ()


def test_error_of_another_client_is_told_and_not_blamed_on_the_next_command(server, driver, caplog):
    with socket.create_connection(("127.0.0.1", server.port)) as other:
        other.sendall(b"FOO:BAR 1;*OPC?\n")
        assert other.recv(9) == b"1\n"
    driver.voltage(1.5)
    assert driver.voltage() == 1.5
    (said,) = [r.getMessage() for r in caplog.records if "taken out" in r.getMessage()]
    assert "before 'VOLT 1.5'" in said
    assert '-113,"Undefined header"' in said


def test_many_errors_are_counted_and_not_listed(server, driver):
    for _ in range(8):
        server.instrument.execute(b"FOO")
    with pytest.raises(RuntimeError, match=r"source refused .*; and 3 more$"):
        driver.raise_errors("what came before")


def test_error_queue_that_never_empties_does_not_hang(server, driver):
    server.instrument.faults.inject(InstrumentFault(kind="error", count=None))
    assert len(driver.drain_errors()) == driver.queue_depth


def test_wrong_instrument_at_the_address_is_refused():
    with (
        TcpServer(SimulatedScpi("OTHER,Y2,0,1")) as server,
        pytest.raises(ValueError, match=r"must identify itself as .*correct the address"),
    ):
        SourceDriver("source", server.address)


def test_another_instrument_after_the_link_was_cut_is_refused(server, driver):
    server.instrument.idn = "OTHER,Y2,0,1"
    server.cut_links()
    time.sleep(0.02)
    with pytest.raises(ValueError, match="OTHER"):
        driver.voltage()


def test_instrument_gone_raises_and_comes_back(server, driver):
    server.instrument.faults.inject(InstrumentFault(kind="disconnect", count=None))
    server.cut_links()
    time.sleep(0.02)
    with pytest.raises(OSError, match="source at TCPIP0"):
        driver.voltage()
    server.instrument.faults.clear()
    assert driver.voltage() == 0.5


@in_its_own_thread
def test_block_that_nobody_takes_is_abandoned(driver, server):
    server.instrument.lock.acquire()  # its thread stops reading at the first message
    try:
        with pytest.raises(OSError, match="lost during 'waveform'"):
            driver.write_bytes(b"*OPC?\n" * 2_000_000, "waveform")
    finally:
        server.instrument.lock.release()


def test_endless_timeout_is_refused(driver):
    with pytest.raises(ValueError, match="number of seconds"):
        driver.timeout(None)


def test_a_fault_planted_while_a_message_is_answered_acts_on_the_reply(server, driver, monkeypatch):
    answer = server.instrument.execute

    def failing(message):
        reply = answer(message)
        server.instrument.faults.inject(InstrumentFault(kind="delay", seconds=1.5 * TIMEOUT))
        monkeypatch.undo()
        return reply

    monkeypatch.setattr(server.instrument, "execute", failing)
    with pytest.raises(TimeoutError):
        driver.voltage()
    driver.voltage(1.0)
    assert driver.voltage() == 1.0


def test_link_that_is_closed_leaves_the_instrument_to_others(server, driver):
    assert driver.voltage() == 0.5
    driver.close()
    with socket.create_connection(("127.0.0.1", server.port), timeout=1) as link:
        link.sendall(b"VOLT 1.5;VOLT?\n")
        assert float(link.recv(20)) == 1.5
