"""Alarms against local servers: what is sent, how often, and that no failure disturbs a run."""

import json
import socketserver
import sys
import threading
from base64 import b64decode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from socket import create_server
from time import monotonic, sleep

import pytest

from labkit.run.events import alarmed
from labkit.run.progress import Narrator, WitnessProgress
from labkit.station.alarms import Alarms, Notifier, Notify


@contextmanager
def web():
    """A server that keeps what was posted: (headers, body)."""
    posts = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            posts.append((dict(self.headers), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/lab", posts
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def post_office():
    """An SMTP server as small as can be; yields its port and the letters it took."""
    letters = []

    class Clerk(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"220 local\r\n")
            while line := self.rfile.readline():
                word = line[:4].upper()
                if word == b"DATA":
                    self.wfile.write(b"354 go\r\n")
                    text = b""
                    while (part := self.rfile.readline()) != b".\r\n":
                        text += part
                    letters.append(text.decode())
                if word == b"AUTH":
                    letters.append(b64decode(line.split()[2]).decode())
                answers = {b"QUIT": b"221 bye\r\n", b"AUTH": b"235 come in\r\n",
                           b"EHLO": b"250-local\r\n250 AUTH PLAIN\r\n"}  # fmt: skip
                self.wfile.write(answers.get(word, b"250 ok\r\n"))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Clerk) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1], letters
        server.shutdown()


def test_secrets_come_from_the_environment_not_from_the_station_file(monkeypatch):
    with web() as (url, posts), post_office() as (port, letters):
        monkeypatch.setenv("LAB_URL", url)
        monkeypatch.setenv("LAB_WORD", "sesame")
        Notify(kind="ntfy", url_from="LAB_URL").send("run_7", "trouble", "hot")
        letter = Notify(
            kind="email", host="127.0.0.1", port=port, sender="lab@x.org", to=("me@x.org",),
            user="lab", password_from="LAB_WORD",
        )  # fmt: skip
        letter.send("run_7", "trouble", "hot")
    assert posts[0][1] == "hot"
    assert letters[0] == "\0lab\0sesame"
    monkeypatch.delenv("LAB_URL")
    with pytest.raises(ValueError, match="environment variable LAB_URL must be set"):
        Notify(kind="ntfy", url_from="LAB_URL").send("run_7", "trouble", "hot")
    with pytest.raises(ValueError, match="url or url_from, but gives both"):
        Notify(kind="ntfy", url_from="LAB_URL", url=url)
    with pytest.raises(ValueError, match="user and password_from together"):
        Notify(kind="email", host="x", sender="a", to=("b",), user="lab")


def test_every_way_tells_run_state_and_text(tmp_path):
    script = tmp_path / "tell.py"
    script.write_text(f"import sys; open({str(tmp_path / 'heard')!r}, 'w').write(sys.argv[1])")
    with web() as (url, posts), post_office() as (port, letters):
        ways = (
            Notify(kind="command", command=(sys.executable, str(script))),
            Notify(kind="webhook", url=url),
            Notify(kind="ntfy", url=url),
            Notify(kind="email", host="127.0.0.1", port=port, sender="lab@x.org", to=("me@x.org",)),
        )
        with Notifier("run_7", Alarms(ways=ways, interval=0.0)).running() as notifier:
            notifier.tell("trouble", "block 3 left out")
    assert (tmp_path / "heard").read_text() == "labkit run_7: trouble: trouble: block 3 left out"
    (hook,) = (body for head, body in posts if "Title" not in head)
    (push,) = ((head["Title"], body) for head, body in posts if "Title" in head)
    assert json.loads(hook)["state"] == "trouble"
    assert push == ("labkit run_7: trouble", "trouble: block 3 left out")
    assert "Subject: labkit run_7: trouble" in letters[0]


def test_changes_within_the_interval_are_told_together_and_the_end_at_once():
    with web() as (url, posts):
        alarms = Alarms(ways=(Notify(kind="ntfy", url=url),), interval=60.0)
        begin = monotonic()
        with alarmed(Narrator(lambda _: None), alarms, "run_7") as watcher:
            while not posts:
                sleep(0.005)
            for _ in range(5):
                watcher.alarm("block 2 left out")
        assert monotonic() - begin < 5.0
    assert [body for _, body in posts] == ["running", "trouble: block 2 left out; done"]


def test_run_that_recovers_is_told_and_an_unsafe_end_too(monkeypatch):
    sent = []
    monkeypatch.setattr(Notifier, "tell", lambda _, *told: sent.append(told))
    with alarmed(Narrator(lambda _: None), Alarms(), "run_7") as watcher:
        for trials, trouble in ((10, "block 2 left out"), (10, ""), (20, ""), (30, "")):
            watcher.report(WitnessProgress(trials=trials, goal_trials=None, block_trials=5,
                                           seconds=1.0, goal_seconds=None))  # fmt: skip
            if trouble:
                watcher.alarm(trouble)
        watcher.left_unsafe({"snspd": "no answer"})
    (begun, trouble, again, ended) = sent
    assert (begun, trouble) == (("running",), ("trouble", "block 2 left out"))
    assert again[0] == "running"
    assert again[1].startswith("20 trials"), "not at the report of no further good block"
    assert ended[0] == "done, and the lab is NOT SAFE"
    assert ended[1].startswith("30 trials")
    assert ended[1].endswith("; NOT SAFE: snspd (no answer)")


def test_sign_of_life():
    with web() as (url, posts):
        alarms = Alarms(ways=(Notify(kind="ntfy", url=url),), interval=0.0, heartbeat=0.05)
        with Notifier("run_7", alarms).running() as notifier:
            notifier.tell("running")
            while len(posts) < 3:
                sleep(0.005)
    assert [body for _, body in posts[:3]] == ["running", "still running", "still running"]


@contextmanager
def hanging():
    """A server that takes the call and says nothing; yields its port."""
    with create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_ways_that_hang_keep_neither_the_others_nor_the_end_waiting(monkeypatch):
    monkeypatch.setattr("labkit.station.alarms.LAST_WORDS", 2.0)
    said = []
    with hanging() as port, web() as (url, posts):
        ways = (
            Notify(kind="email", host="127.0.0.1", port=port, sender="a@b", to=("c@d",)),
            Notify(kind="webhook", url=f"http://127.0.0.1:{port}/"),
            Notify(kind="ntfy", url=url),
        )
        begin = monotonic()
        with Notifier("run", Alarms(ways=ways), say=said.append).running() as notifier:
            notifier.tell("not safe", "snspd")
        assert monotonic() - begin < 15.0
        assert [body for _, body in posts] == ["not safe: snspd"]
        assert said == ["alarms: not all could be sent within 2 s"]


def test_failing_way_is_said_once_and_the_others_are_used():
    said = []
    with web() as (url, posts):
        ways = (Notify(kind="webhook", url="http://127.0.0.1:9/"), Notify(kind="ntfy", url=url))
        with Notifier("run_7", Alarms(ways=ways, interval=0.0), said.append).running() as notifier:
            for number in range(3):
                notifier.tell("trouble", str(number))
                while len(posts) <= number:
                    sleep(0.005)
    assert len(posts) == 3
    assert len(said) == 1
    assert said[0].startswith("alarms: webhook fails: URLError")


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        ({"kind": "email", "host": "mail"}, "must give sender, to"),
        ({"kind": "ntfy", "url": "file:///etc/passwd"}, "must begin with http"),
    ],
)
def test_what_cannot_work_is_refused_when_the_file_is_read(plain, message):
    with pytest.raises(ValueError, match=message):
        Notify(**plain)
