"""Remote files through fsspec, from a server on this machine."""

import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from analysis.counting import count
from analysis.tagfile import TagFileError
from analysis.tagfile.remote import fetched
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


@pytest.mark.parametrize("name", ["/none.ptu", ":1/x.ptu"])
def test_what_is_not_there_is_named(server, tmp_path, name):
    _, address, _ = server
    place = f"{address}{name}" if name.startswith("/") else "http://127.0.0.1:1/x.ptu"
    with pytest.raises(TagFileError, match="cannot be fetched"):
        fetched(place, folder=tmp_path)


def test_a_protocol_that_nobody_speaks_is_named(tmp_path):
    with pytest.raises(TagFileError, match="nosuch://x/y: cannot be fetched"):
        fetched("nosuch://x/y", folder=tmp_path)


def test_a_file_of_this_computer_has_an_address_too(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"abc")
    assert fetched(f"file://{tmp_path}/x.bin", folder=tmp_path / "copies").read_bytes() == b"abc"
