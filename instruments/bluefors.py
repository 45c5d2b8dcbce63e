"""Bluefors cryostats as thermometers: log files, temperature controller, control software.

Sources: public drivers and scripts. Only readings: heaters belong to the cryostat. Not verified on
hardware.
"""

import json
import math
import ssl
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from qcodes.instrument import Instrument, InstrumentChannel

from instruments.bases.parameters import Declared, add_parameters

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack

POLL = 0.2
"""Seconds between looks for a channel that is scanned later."""

GOOD = ("SYNCHRONIZED", "INDEPENDENT", "CHANGED")
"""Statuses of a valid value of the control software."""

CLOCKS = 60.0
"""Seconds by which the clock of the cryostat's computer may be ahead of this one's."""

TAIL = 4096
"""Bytes at the end of a log in which its last line stands."""


class BlueforsSensor(InstrumentChannel["BlueforsThermometer"]):
    """One sensor.

    Parameters
    ----------
    parent : BlueforsThermometer
    number : int
    """

    temperature = Declared[float](
        "Temperature",
        "K",
        get=lambda self: self.parent.temperature_of(self.number),
        doc="A valid reading, or an error.",
    )

    def __init__(self, parent: "BlueforsThermometer", number: int) -> None:
        super().__init__(parent, f"ch{number:02d}")
        self.number = number
        add_parameters(self)


class BlueforsThermometer(Instrument):
    """Base of the ways to a Bluefors cryostat; fulfils `instruments.roles.Thermometer`.

    Thread-safe.

    Parameters
    ----------
    name : str
    channels : sequence of int
        Sensors by number; each is a channel ``ch06`` with a `temperature`.
    where : str
        Folder or address, for messages.
    """

    def __init__(self, name: str, channels: Sequence[int], where: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.lock = RLock()
        self._where = where
        self.sensors = {
            number: self.add_submodule(f"ch{number:02d}", BlueforsSensor(self, number))
            for number in channels
        }

    @abstractmethod
    def _kelvin(self, channel: int) -> float | None:
        """Return a sensor's last valid temperature; None if it has none."""

    def get_idn(self) -> dict[str, str | None]:
        """Return what is known without asking."""
        return {"vendor": "Bluefors", "model": self._where, "serial": None, "firmware": None}

    def temperature_of(self, channel: int | str) -> float:
        """Return a sensor's temperature in K.

        Raises
        ------
        KeyError
            If there is no such sensor.
        RuntimeError
            If the sensor has no valid, recent reading.
        ConnectionError
            If the cryostat's computer does not answer.
        """
        if channel not in self.sensors:
            known = ", ".join(map(str, self.sensors))
            message = f"{self.name}: `channel` must be one of {known}, but is {channel!r}"
            raise KeyError(message)
        with self.lock:
            kelvin = self._kelvin(int(channel))
        if kelvin is None or not 0 < kelvin < math.inf:
            message = (
                f"{self.name}: sensor {channel} must have a valid reading at {self._where}, "
                f"but has {kelvin}"
            )
            raise RuntimeError(message)
        return kelvin

    def safe_state(self) -> None:
        """Do nothing: heaters belong to the cryostat's own control."""

    def _unusable(self, what: str, found: object) -> RuntimeError:
        message = f"{self.name}: {what} at {self._where} cannot be understood: {found!r:.200}"
        return RuntimeError(message)


class BlueforsLogs(BlueforsThermometer):
    """Temperatures by the log files, ``<folder>/<yy-mm-dd>/CH<n> T <yy-mm-dd>.log``.

    Parameters
    ----------
    name : str
    folder : str
        Of the logs, as this computer sees it.
    channels : sequence of int
    max_age : float
        Oldest reading that counts, s; more than a scan of all channels.
    """

    def __init__(
        self,
        name: str,
        folder: str,
        channels: Sequence[int],
        max_age: float,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        if not Path(folder).is_dir():
            message = f"{name}: `folder` must be a folder of logs, but {folder} is none"
            raise ValueError(message)
        if not max_age > 0:
            message = f"{name}: `max_age` must be above 0 s, but is {max_age}"
            raise ValueError(message)
        self._folder, self._max_age = Path(folder), max_age
        super().__init__(name, channels, folder, **kwargs)

    def _kelvin(self, channel: int) -> float | None:
        now = datetime.now()  # noqa: DTZ005, RUF100  # the logs are in local time
        for day in (now, now - timedelta(days=1)):
            date = f"{day:%y-%m-%d}"
            path = self._folder / date / f"CH{channel} T {date}.log"
            if path.is_file() and (line := _last_line(path)):
                return self._read(line, now, path)
        return None

    def _read(self, line: str, now: datetime, path: Path) -> float:
        try:
            day, hour, value = line.split(",")
            moment = datetime.strptime(f"{day.strip()} {hour.strip()}", "%d-%m-%y %H:%M:%S")  # noqa: DTZ007, RUF100
            kelvin = float(value)
        except ValueError:
            what = f"the last line of {path.name}"
            raise self._unusable(what, line) from None
        age = _age(moment, now)
        if age == math.inf:
            message = (
                f"{self.name}: the last reading of {path}, of {moment}, must not lie ahead of this "
                f"computer's clock, {now:%Y-%m-%d %H:%M:%S}; set one of the clocks"
            )
            raise RuntimeError(message)
        if age > self._max_age:
            message = (
                f"{self.name}: the last reading of {path} must be at most {self._max_age:g} s old, "
                f"but is {age:.0f} s old; is the logging on?"
            )
            raise RuntimeError(message)
        return kelvin


def _age(moment: datetime, now: datetime) -> float:
    """Return how old a moment of local time is, s, also in a night in which the clocks are changed.

    An hour that comes twice may be meant the first or the second time: the later one that is past.
    """
    ages = [now.timestamp() - moment.replace(fold=fold).timestamp() for fold in (0, 1)]
    past = [age for age in ages if age >= -CLOCKS]
    return min(past) if past else math.inf


class BlueforsController(BlueforsThermometer):
    """Temperatures by the temperature controller's HTTP interface.

    The controller tells the channel that it scanned last; others are waited for.

    Parameters
    ----------
    name : str
    address : str
        Like ``http://192.0.2.20:5001``.
    channels : sequence of int
    scan_time : float
        Longest time until a channel is scanned again, s: the sum of waiting and measuring times.
    timeout : float, optional
        Of each request, s.
    """

    def __init__(
        self,
        name: str,
        address: str,
        channels: Sequence[int],
        scan_time: float,
        timeout: float = 2.0,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        self._scan_time, self._timeout = scan_time, timeout
        self._seen: dict[int, tuple[float, float | None]] = {}
        super().__init__(name, channels, address, **kwargs)
        _fetch(name, f"{address}/system", timeout, None)

    def _kelvin(self, channel: int) -> float | None:
        deadline = time.monotonic() + self._scan_time
        while True:
            self._look()
            moment, kelvin = self._seen.get(channel, (-math.inf, None))
            if time.monotonic() - moment <= self._scan_time:
                return kelvin
            if time.monotonic() > deadline:
                return None
            time.sleep(POLL)

    def _look(self) -> None:
        url = f"{self._where}/channel/measurement/latest"
        told = _fetch(self.name, url, self._timeout, None)
        try:
            channel, kelvin = int(told["channel_nr"]), told["temperature"]
            self._seen[channel] = time.monotonic(), None if kelvin is None else float(kelvin)
        except (KeyError, TypeError, ValueError):
            what = "the latest measurement"
            raise self._unusable(what, told) from None


class BlueforsControl(BlueforsThermometer):
    """Temperatures by the control software's HTTP interface.

    Parameters
    ----------
    name : str
    address : str
        Like ``https://192.0.2.20:49098``.
    targets : mapping of int to str
        Name of each sensor's value, like ``mapper.bf.temperatures.tmixing``.
    key_file : str
        File with the interface's key: a secret, which a station file must not hold.
    certificate : str, optional
        File of the software's own certificate, if it signs itself.
    unverified : bool, optional
        Whether to trust any certificate.
    timeout : float, optional
        Of each request, s.
    """

    def __init__(
        self,
        name: str,
        address: str,
        targets: Mapping[int, str],
        key_file: str,
        certificate: str | None = None,
        unverified: bool = False,
        timeout: float = 2.0,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        self._targets, self._timeout = dict(targets), timeout
        self._key = Path(key_file).expanduser().read_text(encoding="utf-8").strip()
        self._trust = ssl.create_default_context(cafile=certificate)
        if unverified:
            self._trust.check_hostname = False
            self._trust.verify_mode = ssl.CERT_NONE
        super().__init__(name, list(targets), address, **kwargs)

    def _kelvin(self, channel: int) -> float | None:
        target = self._targets[channel]
        url = f"{self._where}/values/{target.replace('.', '/')}/?{urlencode({'key': self._key})}"
        trust = self._trust if url.startswith("https:") else None
        told = _fetch(self.name, url, self._timeout, trust)
        try:
            found = told["data"][target]["content"]["latest_valid_value"]
            value, status = float(found["value"]), str(found["status"])
            outdated = bool(found["outdated"])
        except (KeyError, TypeError, ValueError):
            raise self._unusable(target, told) from None
        if outdated or status not in GOOD:
            message = (
                f"{self.name}: {target} must be valid and recent, but has status {status}"
                f"{', outdated' if outdated else ''}"
            )
            raise RuntimeError(message)
        return value


def _last_line(path: Path) -> str:
    """Return the last whole line of a file that is being written."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - TAIL))
        whole = stream.read().rpartition(b"\n")[0]
    return whole.rpartition(b"\n")[2].decode("ascii", "replace").strip()


def _fetch(name: str, url: str, timeout: float, trust: ssl.SSLContext | None) -> Any:
    """Return the JSON that an address answers; its query, which may hold a key, is never told."""
    shown = url.partition("?")[0]
    if not url.startswith(("http://", "https://")):
        message = f"{name}: `address` must begin with http:// or https://, but is {shown!r}"
        raise ValueError(message)
    try:
        with urlopen(url, timeout=timeout, context=trust) as reply:  # noqa: S310, RUF100
            told = json.loads(reply.read())
    except (URLError, OSError) as error:
        if isinstance(error, HTTPError):
            error.close()
        message = f"{name}: {shown} does not answer ({error}); check address and network"
        raise ConnectionError(message) from None
    except ValueError:
        message = f"{name}: {shown} must answer JSON, but does not"
        raise RuntimeError(message) from None
    if isinstance(told, Mapping) and told.get("status") == "ERROR":
        message = f"{name}: {shown} answers with an error"
        raise RuntimeError(message)
    return told
