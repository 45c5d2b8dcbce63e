"""A simulated HighFinesse wavemeter: the functions of ``wlmData.dll`` that are used."""

from scipy import constants

from simulation.lab.instrument_faults import InstrumentFaults
from simulation.lab.ports.steady import WavemeterPort

NO_SIGNAL, NO_SERVER, NOT_AVAILABLE = -1, -5, -6
STOPPED, MEASURE = 0, 2


class SimulatedWlmData:
    """The library's functions, answering from the world.

    Parameters
    ----------
    port : WavemeterPort, optional
    channels : int, optional
        Of the fibre switch.

    Attributes
    ----------
    is_running : bool
        Whether the maker's program runs.
    status : int or None
        An error code that every value has instead, for instance -4 (overexposed).
    faults : InstrumentFaults
        ``disconnect``: as if the maker's program did not run.
    """

    def __init__(self, port: WavemeterPort | None = None, channels: int = 8) -> None:
        self.port = port or WavemeterPort()
        self.channels = channels
        self.is_running = True
        self.faults = InstrumentFaults(lambda _: False)
        self.status: int | None = None
        self._state = MEASURE

    def GetWavelengthNum(self, channel: int, zero: float) -> float:
        """Return the vacuum wavelength in nm, or an error code."""
        wavelength = self._wavelength(channel)
        return wavelength if wavelength <= 0 else wavelength * 1e9

    def GetFrequencyNum(self, channel: int, zero: float) -> float:
        """Return the frequency in THz, or an error code."""
        wavelength = self._wavelength(channel)
        return wavelength if wavelength <= 0 else constants.c / wavelength * 1e-12

    def GetOperationState(self, operation: int) -> int:
        """Return whether the instrument measures."""
        return self._state if self._is_there() else STOPPED

    def GetWLMVersion(self, index: int) -> int:
        """Return type, serial number, revision or build."""
        return (7, 1234, 6, 1)[index] if self._is_there() else NO_SERVER

    def Operation(self, operation: int) -> int:
        """Start or stop measuring."""
        if not self._is_there():
            return -1
        self._state = operation
        return 0

    def _is_there(self) -> bool:
        return self.is_running and self.faults.take("disconnect") is None

    def _wavelength(self, channel: int) -> float:
        """Return metres, or an error code."""
        if not self._is_there():
            return NO_SERVER
        if not 1 <= channel <= self.channels:
            return NOT_AVAILABLE
        if self.status is not None:
            return self.status
        wavelength = self.port.wavelength(channel)
        return NO_SIGNAL if wavelength is None else wavelength
