"""Signals that come within an exchange are heard at its end."""

import signal
from threading import Thread

import pytest
from pyvisa_py.tcpip import TCPIPSocketSession

from instruments.links.undivided import put_off, undivided
from instruments.links.visa import VisaLink
from labkit.station.ending import Terminated, ending_on_sigterm, stopping_once
from simulation.lab.servers.simulated_scpi import SimulatedScpi
from simulation.lab.servers.tcp import TcpServer


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_stop_within_exchanges_is_heard_at_the_end_of_the_outermost(number, error):
    done = []

    def exchanges():
        with undivided():
            exchange(number, done)
            done.append("outer")
        done.append("after")

    with pytest.raises(error), stopping_once():
        exchanges()
    assert done == ["whole", "outer"]


def exchange(number, done):
    with undivided():
        signal.raise_signal(number)
        done.append("whole")


def test_a_stop_within_a_failing_exchange_is_heard_and_the_failure_kept():
    def fail():
        with undivided():
            signal.raise_signal(signal.SIGINT)
            raise TimeoutError

    with pytest.raises(KeyboardInterrupt) as stop, stopping_once():
        fail()
    assert isinstance(stop.value.__context__, TimeoutError)


def test_without_a_run_ctrl_c_waits_for_the_end_too():
    done = []
    with pytest.raises(KeyboardInterrupt):
        exchange(signal.SIGINT, done)
    assert done == ["whole"]


def test_in_a_session_by_hand_sigterm_waits_for_the_end():
    done = []
    with pytest.raises(Terminated), ending_on_sigterm():
        exchange(signal.SIGTERM, done)
    assert done == ["whole"]


def test_a_stop_outside_of_exchanges_is_heard_at_once():
    with pytest.raises(KeyboardInterrupt), stopping_once():
        signal.raise_signal(signal.SIGINT)
    assert not put_off(list)


def test_other_threads_hold_up_no_stop():
    held = []

    def work():
        with undivided():
            held.append(put_off(list))

    thread = Thread(target=work)
    thread.start()
    thread.join()
    assert held == [False]


def test_a_stop_while_a_link_is_opened_is_heard_when_it_is_open(monkeypatch):
    done = []
    connect = TCPIPSocketSession._connect

    def connecting(session):
        signal.raise_signal(signal.SIGTERM)
        status = connect(session)
        done.append("connected")
        return status

    monkeypatch.setattr(TCPIPSocketSession, "_connect", connecting)
    with (
        TcpServer(SimulatedScpi("ACME,X1,0,1")) as server,
        pytest.raises(Terminated),
        stopping_once(),
    ):
        VisaLink("source", server.address, visalib="@py")
    assert done == ["connected"]
