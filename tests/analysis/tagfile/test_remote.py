"""Remote files through fsspec, from a server on this machine."""

import os
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from analysis.counting import count
from analysis.tagfile import TagFileError, remote
from analysis.tagfile.remote import fetched
from labkit.cli import run
from simulation.recordings.ptu import simulate_ptu
from simulation.recordings.pulses import pulsed_timing
from simulation.theory.dlcz import riedinger2018

GATES = pulsed_timing().gates


@pytest.fixture
def server(tmp_path):
    """Serve a folder; yields (folder, address, paths that were asked for)."""
    asked = []
    folder = tmp_path / "there"
    folder.mkdir()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def do_GET(self):
            asked.append(self.path)
            super().do_GET()

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{httpd.server_port}", asked
        httpd.shutdown()
        thread.join()


def test_a_remote_file_counts_as_the_local_one_and_is_fetched_once(server, tmp_path):
    folder, address, asked = server
    simulate_ptu(folder / "x.ptu", riedinger2018(), 10_000_000, seed=1)
    seen = []
    for _ in range(2):
        copy = fetched(
            f"{address}/x.ptu", folder=tmp_path / "copies", progress=lambda *what: seen.append(what)
        )
        assert count(copy, GATES) == count(folder / "x.ptu", GATES)
    size = (folder / "x.ptu").stat().st_size
    assert seen[-1] == (size, size)
    assert len([path for path in asked if path == "/x.ptu"]) <= 2  # one probe of its size at most
    assert copy.name == "x.ptu"


def test_a_file_that_changed_there_is_fetched_again(server, tmp_path):
    folder, address, _ = server
    (folder / "x.ptu").write_bytes(b"one")
    first = fetched(f"{address}/x.ptu", folder=tmp_path / "copies")
    (folder / "x.ptu").write_bytes(b"other")
    assert fetched(f"{address}/x.ptu", folder=tmp_path / "copies").read_bytes() == b"other"
    assert first.read_bytes() == b"one"


def test_a_file_of_the_same_size_that_changed_there_is_fetched_again(server, tmp_path):
    """The server marks versions by the time of change alone, in whole seconds."""
    folder, address, _ = server
    for second, text in enumerate((b"one", b"two")):
        (folder / "x.ptu").write_bytes(text)
        os.utime(folder / "x.ptu", (second, second))
        assert fetched(f"{address}/x.ptu", folder=tmp_path / "copies").read_bytes() == text


def test_a_file_that_changes_while_it_is_fetched_is_refused(server, tmp_path):
    folder, address, _ = server
    (folder / "x.ptu").write_bytes(bytes(1000))

    def change(done, total):
        os.utime(folder / "x.ptu", (1, 1))

    with pytest.raises(TagFileError, match=r"x\.ptu: has changed there while it was fetched"):
        fetched(f"{address}/x.ptu", folder=tmp_path / "copies", progress=change)
    assert not list((tmp_path / "copies").glob("*/*"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [("/none.ptu", "the server says 404"), (":1/x.ptu", "Connect call failed")],
)
def test_what_is_not_there_is_named(server, tmp_path, name, reason):
    _, address, _ = server
    place = f"{address}{name}" if name.startswith("/") else "http://127.0.0.1:1/x.ptu"
    with pytest.raises(TagFileError, match=f"cannot be fetched: .*{reason}"):
        fetched(place, folder=tmp_path)


@contextmanager
def odd_server(answer):
    """Serve 1,000 bytes without ranges as `answer(handler)` sends them; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()

        def do_GET(self):
            answer(self)

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/x.ptu"
        httpd.shutdown()
        thread.join()


def _whole(handler):
    handler.do_HEAD()
    handler.wfile.write(bytes(1000))


def _cut(handler):
    handler.do_HEAD()
    handler.wfile.write(bytes(300))
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def _cut_in_chunks(handler):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"12c\r\n" + bytes(300) + b"\r\n")
    handler.close_connection = True
    handler.connection.shutdown(socket.SHUT_RDWR)


def _mute(handler):
    handler.do_HEAD()
    handler.wfile.write(bytes(300))
    handler.rfile.read(1)  # until the other side has gone


@pytest.mark.parametrize("answer", [_cut, _cut_in_chunks, _mute])
def test_a_transfer_that_breaks_off_leaves_nothing(tmp_path, monkeypatch, answer):
    monkeypatch.setattr(remote, "SILENT_FOR", 0.5)
    with odd_server(answer) as address:
        with pytest.raises(TagFileError, match=f"{address}: the transfer broke off: "):
            fetched(address, folder=tmp_path)
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_server_without_ranges_brings_the_whole(tmp_path):
    with odd_server(_whole) as address:
        assert fetched(address, folder=tmp_path).read_bytes() == bytes(1000)


def test_commands_say_in_a_line_what_cannot_be_fetched(capsys):
    for command in ("info", "gates", "analyse"):
        assert run([command, "memory://none.ptu"]) == 1
        assert capsys.readouterr().err == (
            "labkit: error: memory://none.ptu: cannot be fetched: there is no such file\n"
        )


def test_a_transfer_may_last_as_long_as_bytes_come():
    timeout = remote._patience("https://x/y")["client_kwargs"]["timeout"]
    assert (timeout.total, timeout.sock_read) == (None, remote.SILENT_FOR)


def test_a_protocol_that_nobody_speaks_is_named(tmp_path):
    with pytest.raises(TagFileError, match="nosuch://x/y: cannot be fetched"):
        fetched("nosuch://x/y", folder=tmp_path)


def test_a_file_of_this_computer_has_an_address_too(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"abc")
    assert fetched(f"file://{tmp_path}/x.bin", folder=tmp_path / "copies").read_bytes() == b"abc"
