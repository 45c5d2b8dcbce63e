import socket
import threading

import pytest
import pyvisa

from simulation.lab.instrument_faults import InstrumentFault
from simulation.lab.servers.serial_line import SerialLine
from simulation.lab.servers.simulated_scpi import SimulatedScpi
from simulation.lab.servers.tcp import TcpServer
from simulation.lab.servers.transcript import Transcript
from simulation.lab.servers.wire import connection_at


@pytest.fixture(params=[TcpServer, SerialLine])
def server(request):
    with request.param(SimulatedScpi("ACME,X1,0,1")) as server:
        yield server


@pytest.fixture
def client(server):
    manager = pyvisa.ResourceManager("@py")
    resource = manager.open_resource(
        server.address, read_termination="\n", write_termination="\n", timeout=200
    )
    yield resource
    resource.close()
    manager.close()


def test_identity_over_the_wire(client):
    assert client.query("*IDN?") == "ACME,X1,0,1"


def test_silence_times_out_once_and_then_answers(server, client):
    server.instrument.faults.inject(InstrumentFault(kind="silence"))
    with pytest.raises(pyvisa.errors.VisaIOError, match="Timeout"):
        client.query("*IDN?")
    assert client.query("*OPC?") == "1"


def test_partial_reply_lacks_its_end(server, client):
    server.instrument.faults.inject(InstrumentFault(kind="partial"))
    client.write("*IDN?")
    assert client.read_bytes(5) == b"ACME,"


def test_garbage_stands_before_the_reply(server, client):
    server.instrument.faults.inject(InstrumentFault(kind="garbage", data=b"\xfe\n"))
    client.write("*IDN?")
    assert client.read_raw() == b"\xfe\n"
    assert client.read() == "ACME,X1,0,1"


def test_disconnect_for_good_cuts_new_links_until_mended():
    device = SimulatedScpi("ACME,X1,0,1")
    with TcpServer(device) as server:
        device.faults.inject(InstrumentFault(kind="disconnect", count=None))
        with socket.create_connection(("127.0.0.1", server.port), timeout=1) as link:
            assert link.recv(10) == b""
        device.faults.clear()
        with socket.create_connection(("127.0.0.1", server.port), timeout=1) as link:
            link.sendall(b"*OPC?\n")
            assert link.recv(10) == b"1\n"


def test_clients_share_the_device_and_stopping_ends_every_thread():
    before = threading.active_count()
    with TcpServer(SimulatedScpi("ACME,X1,0,1")) as server:
        links = [socket.create_connection(("127.0.0.1", server.port), timeout=1) for _ in range(3)]
        for link in links:
            link.sendall(b"FOO\n*OPC?\n")
            assert link.recv(10) == b"1\n"
        links[0].sendall(b"SYST:ERR?;ERR?;ERR?\n")
        assert links[0].recv(200).count(b"-113") == 3
    for link in links:
        link.close()
    assert threading.active_count() == before


def test_transcript_names_the_step_that_did_not_happen():
    transcript = Transcript([("A", None), ("B?", "1")])
    assert list(transcript.conversation().feed(b"A\nC?\n")) == []
    with pytest.raises(ValueError, match=r"step 2 of 2 must be b'B\?\\n', but b'C\?\\n' came"):
        transcript.check()


@pytest.fixture
def connection(server, client):
    port = 0 if isinstance(server, SerialLine) else own_port(client)
    connection = connection_at(server.address, port)
    assert connection.rest()
    return connection


def own_port(client):
    return client.visalib.sessions[client.session].interface.getsockname()[1]


def test_message_is_answered_in_the_thread_that_takes_its_turn(server, client, connection):
    threads = []
    answer = server.instrument.execute

    def execute(message):
        threads.append(threading.current_thread())
        return answer(message)

    server.instrument.execute = execute
    for _ in range(3):
        client.write("*IDN?")
        connection.turn()
        assert client.read() == "ACME,X1,0,1"
    assert threads == 3 * [threading.current_thread()]


def test_replies_too_long_for_the_wire_come_all_the_same(server, client, connection):
    server.instrument.execute = lambda message: b"x" * 20_000 + b"\n"
    client.timeout = 10_000
    for _ in range(2):
        client.write("*IDN?")
        connection.turn()
        assert client.read() == "x" * 20_000


def test_message_for_which_nobody_takes_a_turn_is_answered_later(client, connection):
    client.timeout = 10_000
    assert client.query("*IDN?") == "ACME,X1,0,1"
    assert client.query("*OPC?") == "1"


def test_who_has_released_a_connection_is_answered_at_once(client, connection):
    client.write("*IDN?")
    connection.turn()
    client.read()
    connection.release()
    assert client.query("*OPC?") == "1"


def test_faults_of_the_wire_take_their_time_in_a_turn_too(server, client, connection):
    server.instrument.faults.inject(InstrumentFault(kind="silence"))
    client.write("*IDN?")
    connection.turn()
    with pytest.raises(pyvisa.errors.VisaIOError, match="Timeout"):
        client.read()
    for _ in range(2):  # the first by the connection's thread, the second in turn
        client.write("*OPC?")
        connection.turn()
        assert client.read() == "1"


def test_turn_after_the_server_has_stopped_does_nothing(server, connection):
    server.stop()
    connection.turn()
