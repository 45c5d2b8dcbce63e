"""A simulated TimeHarp 260 NANO behind PicoQuant's Python package snAPI."""

from dataclasses import replace
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulation.lab.ports.tagger import TaggerPort, TaggerSettings, TriggerInput

BASE_RESOLUTION_PS = 250.0
BLOCK = 1 << 20
"""Most records of one block."""


class MeasMode(Enum):
    """Modes by the package's names."""

    T2 = 2
    T3 = 3


class SimulatedSnapi:
    """The package with one device: what ``snAPI.Main`` offers, as far as it is used.

    Methods tell by their result whether they did what was asked, as the package does. Markers and
    dropped data, of which it tells its log only, are not simulated.

    Parameters
    ----------
    port : TaggerPort, optional
    serial : str, optional
    """

    MeasMode = MeasMode

    def __init__(self, port: TaggerPort | None = None, serial: str = "SIM0003") -> None:
        self.port = port or TaggerPort()
        self.serial = serial

    def snAPI(self) -> "SimulatedSession":
        """Make a session."""
        return SimulatedSession(self.port, self.serial)


class SimulatedSession:
    """A session of the package; its device and its raw measurement are the object itself."""

    def __init__(self, port: TaggerPort, serial: str) -> None:
        self._port, self._serial = port, serial
        self._settings: TaggerSettings | None = None
        self._is_open = False
        self.deviceConfig: dict[str, Any] = {}
        self.measDescription: dict[str, Any] = {}
        self.device = self.raw = self

    def getDevice(self, serial: str = "") -> bool:
        """Open the device."""
        self._is_open = serial in ("", self._serial)
        return self._is_open

    def initDevice(self, mode: MeasMode) -> bool:
        """Initialise the device."""
        if not self._is_open:
            return False
        quiet = TriggerInput(level=0.0)
        self._settings = TaggerSettings(
            mode="T3" if mode is MeasMode.T3 else "T2",
            resolution=BASE_RESOLUTION_PS * 1e-12,
            sync=quiet,
            inputs=(quiet, quiet),
        )
        self.deviceConfig = {
            "ID": self._serial,
            "Model": "TimeHarp 260 N",
            "PartNo": "sim",
            "Version": "sim 1",
            "BaseResolution": BASE_RESOLUTION_PS,
            "NumChans": len(self._settings.inputs),
        }
        return True

    def closeDevice(self, everything: bool) -> None:
        """Close the device."""
        self._port.stop()
        self._is_open = False

    def setSyncDiv(self, divider: int) -> bool:
        """Process every n-th trigger only."""
        return divider in (1, 2, 4, 8) and self._change(sync_divider=divider)

    def setSyncEdgeTrig(self, millivolts: int, edge: int) -> bool:
        """Set the discriminator of the sync input."""
        return _allowed(millivolts, edge) and self._change_sync(
            level=millivolts * 1e-3, rising=bool(edge)
        )

    def setSyncChannelOffset(self, picoseconds: int) -> bool:
        """Set the time offset of the sync input."""
        return abs(picoseconds) <= 99_999 and self._change_sync(offset=picoseconds * 1e-12)

    def setInputEdgeTrig(self, channel: int, millivolts: int, edge: int) -> bool:
        """Set the discriminator of an input, or of all (-1)."""
        return _allowed(millivolts, edge) and self._change_input(
            channel, level=millivolts * 1e-3, rising=bool(edge)
        )

    def setInputChannelOffset(self, channel: int, picoseconds: int) -> bool:
        """Set the time offset of an input, or of all (-1)."""
        within = abs(picoseconds) <= 99_999
        return within and self._change_input(channel, offset=picoseconds * 1e-12)

    def setInputChannelEnable(self, channel: int, enable: int) -> bool:
        """Let an input's clicks be recorded, or of all (-1)."""
        return self._change_input(channel, enabled=bool(enable))

    def setBinning(self, binning: int) -> bool:
        """Make T3 bins ``2**binning`` wide."""
        return 0 <= binning <= 21 and self._change(binning=binning)

    def getCountRates(self) -> NDArray[np.float64]:
        """Return the rates of sync and inputs, 1/s."""
        rates = self._port.rates(self._ready())
        return np.array([rates.sync, *rates.inputs])

    def startBlock(self, milliseconds: int, size: int, save: bool) -> bool:
        """Begin to measure."""
        if self._port.running():
            return False
        self.measDescription = {"StopAfter": milliseconds}
        self._port.start(self._ready(), milliseconds * 1e-3)
        return True

    def getBlock(self) -> NDArray[np.uint32]:
        """Return the records that came since the last block."""
        return self._port.records(BLOCK)

    def isFinished(self) -> bool:
        """Tell whether the measuring time has passed."""
        return not self._port.running()

    def stopMeasure(self) -> bool:
        """Stop measuring."""
        self._port.stop()
        return True

    def getMeasDescription(self) -> bool:
        """Bring ``measDescription`` up to date."""
        self.measDescription["StopAfter"] = round(self._port.elapsed() * 1e3)
        return True

    def _ready(self) -> TaggerSettings:
        if self._settings is None:
            message = "snAPI: the device must be initialised first"
            raise RuntimeError(message)
        return self._settings

    def _change(self, **changes: Any) -> bool:
        if self._settings is None or self._port.running():
            return False
        self._settings = replace(self._settings, **changes)
        return True

    def _change_sync(self, **changes: Any) -> bool:
        return self._change(sync=replace(self._ready().sync, **changes))

    def _change_input(self, channel: int, **changes: Any) -> bool:
        inputs = list(self._ready().inputs)
        if not -1 <= channel < len(inputs):
            return False
        for index in range(len(inputs)) if channel == -1 else (channel,):
            inputs[index] = replace(inputs[index], **changes)
        return self._change(inputs=tuple(inputs))


def _allowed(millivolts: int, edge: int) -> bool:
    return abs(millivolts) <= 1200 and edge in (0, 1)
