"""A TCP link over which JSON objects come unasked, each with a label and a value."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from threading import Condition, Thread
from typing import Any

from instruments.links.lateness import LOOK, is_excused, longest_wait, no_longer_waiting

_CHUNK = 1 << 16


class JsonStream:
    """The last value of every label that the other side has told, and a way to send objects.

    Thread-safe. A link that was lost is opened anew by the next `send`; values are forgotten then.

    Parameters
    ----------
    host : str
    port : int
    end : bytes
        What ends the other side's messages; several objects may stand in one.
    timeout : float
        Of opening and sending, s.
    owner : str
        Name of the instrument, for messages.
    """

    def __init__(self, host: str, port: int, end: bytes, timeout: float, owner: str) -> None:
        self._place, self._end, self._timeout, self._owner = (host, port), end, timeout, owner
        self._news = Condition()
        self._values: dict[str, Any] = {}
        self._counts: dict[str, int] = {}
        self._link: socket.socket | None = None
        self._failure = ""

    def send(self, message: Mapping[str, object]) -> None:
        """Send an object, on a new link if the last one was lost.

        Raises
        ------
        ConnectionError
            If the link cannot be opened or was lost.
        """
        data = json.dumps(message).encode()
        try:
            self._opened().sendall(data)
        except OSError as error:
            self.close()
            text = (
                f"{self._owner} at {self._place[0]}:{self._place[1]}: the link fails ({error}); "
                "check power, cable and address; the next command opens the link anew"
            )
            raise ConnectionError(text) from error

    def told(self, label: str) -> int:
        """Return how often a label was told on this link."""
        with self._news:
            return self._counts.get(label, 0)

    def wait_for(self, label: str, wanted: Callable[[Any], bool], seconds: float) -> Any:
        """Return a label's value as soon as it is one that is wanted.

        Raises
        ------
        TimeoutError
            If it is not within `seconds`; tells what it was.
        """
        seconds = longest_wait(seconds)
        due = deadline = time.monotonic() + seconds
        address = f"{self._place[0]}:{self._place[1]}"
        with self._news:
            while not (label in self._values and wanted(self._values[label])):
                comes = self._news.wait(due - time.monotonic())
                if not comes and is_excused(address, time.monotonic() - deadline):
                    due = time.monotonic() + LOOK
                    continue
                if not comes or self._failure:
                    no_longer_waiting()
                    seen = repr(self._values.get(label, "nothing"))
                    lost = f" ({self._failure})" if self._failure else ""
                    text = (
                        f"{self._owner}: {label!r} was not told as wanted within {seconds:g} s; "
                        f"last told: {seen}{lost}"
                    )
                    raise TimeoutError(text)
            return self._values[label]

    def close(self) -> None:
        """Close the link."""
        link, self._link = self._link, None
        if link is not None:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)
            link.close()

    def _opened(self) -> socket.socket:
        if self._failure:
            self.close()
        if self._link is None:
            link = socket.create_connection(self._place, self._timeout)
            with self._news:
                self._values, self._counts, self._failure = {}, {}, ""
            self._link = link
            Thread(target=self._listen, args=(link,), daemon=True, name=self._owner).start()
        return self._link

    def _listen(self, link: socket.socket) -> None:
        rest = b""
        link.settimeout(None)
        try:
            while data := link.recv(_CHUNK):
                *messages, rest = (rest + data).split(self._end)
                for message in messages:
                    self._take(message.decode())
            self._fail("the other side hung up")
        except (OSError, ValueError) as error:
            self._fail(str(error))
        finally:
            link.close()

    def _take(self, message: str) -> None:
        with self._news:
            for told in _objects(message):
                if isinstance(told, Mapping) and "label" in told:
                    label = str(told["label"])
                    self._values[label] = told.get("value")
                    self._counts[label] = self._counts.get(label, 0) + 1
            self._news.notify_all()

    def _fail(self, reason: str) -> None:
        with self._news:
            self._failure = reason
            self._news.notify_all()


def _objects(text: str) -> Iterator[Any]:
    """Give the JSON objects that stand side by side in a text."""
    decoder, start = json.JSONDecoder(), 0
    text = text.strip()
    while start < len(text):
        found, start = decoder.raw_decode(text, start)
        yield found
        while start < len(text) and text[start].isspace():
            start += 1
