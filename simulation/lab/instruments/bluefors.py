"""Simulated Bluefors cryostat: its log files, its temperature controller, its control software."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from urllib.parse import parse_qs, urlsplit

from simulation.lab.instrument_faults import InstrumentFaults
from simulation.lab.ports.steady import ThermometerPort
from simulation.lab.servers.wire import Stoppable

CHANNELS = (1, 2, 5, 6)
NAMES = {"t50k": 1, "t4k": 2, "tstill": 5, "tmixing": 6}
"""Sensors of the control software, and their channels."""
ERROR = {"status": "ERROR"}


class BlueforsLogFolder(Stoppable):
    """A folder in which temperatures are logged twice a second, in local time.

    Parameters
    ----------
    port : ThermometerPort, optional
    channels : sequence of int

    Attributes
    ----------
    address : str
        The folder.
    """

    INTERVAL = 0.5

    def __init__(
        self, port: ThermometerPort | None = None, channels: Sequence[int] = CHANNELS
    ) -> None:
        self.port, self.channels = port or ThermometerPort(), tuple(channels)
        self.faults = InstrumentFaults(lambda _: False)
        self._folder = TemporaryDirectory(prefix="bluefors-")
        self.address = self._folder.name
        self._end = Event()
        self.log(datetime.now())  # noqa: DTZ005, RUF100  # as the logs have it
        self._thread = Thread(target=self._go_on, name="simulated logs", daemon=True)
        self._thread.start()

    def log(self, now: datetime) -> None:
        """Append a line to the log of every channel."""
        day = f"{now:%y-%m-%d}"
        folder = Path(self.address) / day
        folder.mkdir(exist_ok=True)
        for channel in self.channels:
            kelvin = self.port.temperature(channel)
            if kelvin is not None:
                with (folder / f"CH{channel} T {day}.log").open("a", encoding="ascii") as stream:
                    stream.write(f" {now:%d-%m-%y,%H:%M:%S},{kelvin:.6E}\n")

    def stop(self) -> None:
        """End the logging and remove the folder."""
        self._end.set()
        self._thread.join()
        self._folder.cleanup()

    def _go_on(self) -> None:
        while not self._end.wait(self.INTERVAL):
            self.log(datetime.now())  # noqa: DTZ005, RUF100


class SimulatedBluefors:
    """Base of what answers HTTP GET on a connection.

    Parameters
    ----------
    port : ThermometerPort, optional
    """

    def __init__(self, port: ThermometerPort | None = None) -> None:
        self.port = port or ThermometerPort()
        self.faults = InstrumentFaults(lambda _: False)

    def conversation(self) -> "_HttpConversation":
        """Begin to talk on a new connection."""
        return _HttpConversation(self)

    def answer(self, target: str) -> tuple[int, object]:
        """Return status and JSON of a request's target."""
        raise NotImplementedError


class SimulatedBlueforsController(SimulatedBluefors):
    """The temperature controller: each look at the latest measurement finds the next channel."""

    def __init__(self, port: ThermometerPort | None = None) -> None:
        super().__init__(port)
        self._turn = 0

    def answer(self, target: str) -> tuple[int, object]:
        """Answer ``/system`` and ``/channel/measurement/latest``."""
        path = urlsplit(target).path
        if path == "/system":
            return 200, {"status": "OK", "datetime": "2026-01-01T00:00:00Z"}
        if path != "/channel/measurement/latest":
            return 404, ERROR
        channel = CHANNELS[self._turn % len(CHANNELS)]
        self._turn += 1
        kelvin = self.port.temperature(channel)
        return 200, {
            "status": "OK", "channel_nr": channel, "temperature": kelvin, "resistance": 1e4,
        }  # fmt: skip


class SimulatedBlueforsControl(SimulatedBluefors):
    """The control software: values by name, for those who have the key; values are strings.

    Attributes
    ----------
    outdated : bool
        What it says of every value.
    """

    KEY = "simulated-key"

    def __init__(self, port: ThermometerPort | None = None) -> None:
        super().__init__(port)
        self.outdated = False

    def answer(self, target: str) -> tuple[int, object]:
        """Answer ``/values/mapper/bf/temperatures/<name>/?key=…``."""
        parts = urlsplit(target)
        if parse_qs(parts.query).get("key") != [self.KEY]:
            return 403, ERROR
        place = parts.path.strip("/").removeprefix("values/")
        channel = NAMES.get(place.rpartition("/")[2])
        if channel is None or not place.startswith("mapper/bf/temperatures/"):
            return 404, ERROR
        kelvin = self.port.temperature(channel)
        value = {
            "value": "" if kelvin is None else str(kelvin),
            "status": "SYNCHRONIZED",
            "outdated": self.outdated,
            "date": 0,
        }
        content = {"latest_value": value, "latest_valid_value": value}
        return 200, {"data": {place.replace("/", "."): {"content": content}}}


class _HttpConversation:
    """One client's requests; each reply ends its connection's need for more."""

    def __init__(self, server: SimulatedBluefors) -> None:
        self._server = server
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._rest += data
        while b"\r\n\r\n" in self._rest:
            head, _, self._rest = self._rest.partition(b"\r\n\r\n")
            words = head.decode("latin-1").split(" ")
            is_get = words[0] == "GET" and len(words) > 1
            try:
                status, told = self._server.answer(words[1]) if is_get else (405, ERROR)
            except ValueError:  # no address
                status, told = 400, ERROR
            body = json.dumps(told).encode()
            top = (
                f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            yield top.encode() + body

    def hang_up(self) -> None:
        self._rest = b""
