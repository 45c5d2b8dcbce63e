"""Tell somebody who is not there: command, e-mail, web hook, push; never in a run's way."""

import json
import os
import smtplib
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from threading import Condition, Thread
from time import monotonic
from typing import ClassVar, Literal
from urllib.request import Request, urlopen

TIMEOUT = 20.0
"""Seconds that one way to somebody may take."""

LAST_WORDS = 10.0
"""Seconds that the end of a run waits for what is still to be sent."""

Kind = Literal["command", "email", "webhook", "ntfy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """One way to tell somebody.

    Attributes
    ----------
    kind : {"command", "email", "webhook", "ntfy"}
        ``command``: run with the text as its last argument. ``email``: over SMTP. ``webhook``: a
        POST of JSON with ``run``, ``state`` and ``text``. ``ntfy``: a POST of the text, with the
        title in a header.
    command : tuple of str
        Program and arguments.
    url, url_from : str
        Of ``webhook`` and ``ntfy``; or the environment variable that holds it, for addresses that
        are secrets: the station file is kept in every run.
    host, port : str, int
        SMTP server.
    sender, to : str, tuple of str
        E-mail addresses.
    starttls : bool
        Whether the link to the SMTP server is encrypted.
    user, password_from : str
        Login at the SMTP server, and the environment variable that holds its password.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    kind: Kind
    command: tuple[str, ...] = ()
    url: str = ""
    url_from: str = ""
    host: str = ""
    port: int = 25
    sender: str = ""
    to: tuple[str, ...] = ()
    starttls: bool = False
    user: str = ""
    password_from: str = ""

    def __post_init__(self) -> None:
        needed = {
            "command": ("command",), "email": ("host", "sender", "to"),
            "webhook": ("url_from",) if self.url_from else ("url",),
            "ntfy": ("url_from",) if self.url_from else ("url",),
        }  # fmt: skip
        missing = [name for name in needed[self.kind] if not getattr(self, name)]
        if missing:
            message = f"notify of kind {self.kind!r} must give {', '.join(missing)}, but does not"
            raise ValueError(message)
        if self.url and self.url_from:
            message = "notify must give url or url_from, but gives both"
            raise ValueError(message)
        if bool(self.user) != bool(self.password_from):
            message = "notify must give user and password_from together, or neither"
            raise ValueError(message)
        if self.url and not self.url.startswith(("http://", "https://")):
            message = f"`url` must begin with http:// or https://, but is {self.url!r}"
            raise ValueError(message)

    def send(self, run: str, state: str, text: str) -> None:
        """Tell it; raises whatever goes wrong."""
        title = f"labkit {run}: {state}"
        if self.kind == "command":
            subprocess.run(
                [*self.command, f"{title}: {text}"],
                check=True, timeout=TIMEOUT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # a pipe would be waited for while any child holds it
            )  # fmt: skip
        elif self.kind == "email":
            self._mail(title, text)
        elif self.kind == "webhook":
            body = json.dumps({"run": run, "state": state, "text": text}).encode()
            self._post(body, {"Content-Type": "application/json"})
        else:
            header = title.encode("ascii", "replace").decode()
            self._post(text.encode(), {"Title": header})

    def _post(self, body: bytes, headers: dict[str, str]) -> None:
        url = _of_environment(self.url_from) if self.url_from else self.url
        with urlopen(Request(url, data=body, headers=headers), timeout=TIMEOUT):
            pass  # a status that is no success raises

    def _mail(self, title: str, text: str) -> None:
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = title, self.sender, ", ".join(self.to)
        message.set_content(text)
        with smtplib.SMTP(self.host, self.port, timeout=TIMEOUT) as server:
            if self.starttls:
                server.starttls()
            if self.user:
                server.login(self.user, _of_environment(self.password_from))
            server.send_message(message)


def _of_environment(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        message = f"environment variable {name} must be set, as notify in the station file says"
        raise ValueError(message) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarms:
    """Whom to tell, and how often.

    Attributes
    ----------
    ways : tuple of Notify
    interval : float
        Shortest time between two messages, s; what happens meanwhile is told together. The end of
        a run is told at once.
    heartbeat : float
        A message at least this often while the run goes on, s; 0: none.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    ways: tuple[Notify, ...] = ()
    interval: float = 60.0
    heartbeat: float = 0.0

    def __post_init__(self) -> None:
        if not (self.interval >= 0 and self.heartbeat >= 0):
            message = (
                f"`interval` and `heartbeat` must be at least 0 s, but are {self.interval} and "
                f"{self.heartbeat}"
            )
            raise ValueError(message)


@dataclass(slots=True)
class Notifier:
    """Sends what it is told from a thread of its own; what fails is said on stderr once per way.

    Only a change is sent: the same state with the same text again is not.
    """

    run: str
    alarms: Alarms
    say: Callable[[str], object] = field(default=lambda text: sys.stderr.write(f"{text}\n"))
    _waiting: deque[tuple[str, str]] = field(default_factory=deque)
    _news: Condition = field(default_factory=Condition)
    _last: tuple[str, str] = ("", "")
    _ended: bool = False
    _failed: set[int] = field(default_factory=set)
    _busy: dict[int, Thread] = field(default_factory=dict)

    def tell(self, state: str, text: str = "") -> None:
        """Have a state told; returns at once."""
        with self._news:
            if (state, text) != self._last:
                self._last = (state, text)
                self._waiting.append(self._last)
                self._news.notify()

    @contextmanager
    def running(self) -> Iterator["Notifier"]:
        """Send within the block; at its end what is left is sent, within `LAST_WORDS`."""
        if not self.alarms.ways:
            yield self
            return
        thread = Thread(target=self._work, name="notifier", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            with self._news:
                self._ended = True
                self._news.notify()
            thread.join(LAST_WORDS)
            if thread.is_alive():
                self.say(f"alarms: not all could be sent within {LAST_WORDS:g} s")

    def _work(self) -> None:
        sent = -self.alarms.interval
        heard = monotonic()
        while True:
            batch, ended = self._next(sent + self.alarms.interval, heard)
            if batch:
                self._send(batch[-1][0], "; ".join(": ".join(filter(None, one)) for one in batch))
                sent = heard = monotonic()
            elif ended:
                return
            else:
                self._send("alive", f"still {self._last[0] or 'running'}")
                heard = monotonic()

    def _next(self, earliest: float, heard: float) -> tuple[list[tuple[str, str]], bool]:
        """Wait for what must be sent now; nothing, before the end: a sign of life is due."""
        beat = self.alarms.heartbeat
        with self._news:
            while not self._ended:
                now = monotonic()
                if self._waiting and now >= earliest:
                    break
                if beat and now >= heard + beat:
                    return [], False
                times = [earliest] * bool(self._waiting) + [heard + beat] * bool(beat)
                self._news.wait(max(0.0, min(times) - now) if times else None)
            batch = list(self._waiting)
            self._waiting.clear()
            return batch, self._ended

    def _send(self, state: str, text: str) -> None:
        """Send by all ways at once: one that hangs keeps no other waiting; at most `TIMEOUT`."""
        end = monotonic() + TIMEOUT
        for number in range(len(self.alarms.ways)):
            if number in self._busy and self._busy[number].is_alive():
                self._fails(number, "has not done with the last message yet")
                continue
            self._busy[number] = Thread(
                target=self._send_by, args=(number, state, text), name="alarm", daemon=True
            )
            self._busy[number].start()
        for thread in self._busy.values():
            thread.join(max(0.0, end - monotonic()))

    def _send_by(self, number: int, state: str, text: str) -> None:
        try:
            self.alarms.ways[number].send(self.run, state, text)
        except Exception as error:  # noqa: BLE001, RUF100  # no way of telling may end a run
            self._fails(number, f"fails: {type(error).__name__}: {error}")
        else:
            self._failed.discard(number)

    def _fails(self, number: int, how: str) -> None:
        if number not in self._failed:
            self._failed.add(number)
            self.say(f"alarms: {self.alarms.ways[number].kind} {how}")
