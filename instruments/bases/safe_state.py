"""Safe states, of phase locks too: reached at once, checked, tried again on a fresh link."""

from abc import abstractmethod
from typing import TYPE_CHECKING

from qcodes.instrument import Instrument
from qcodes.validators import Numbers

if TYPE_CHECKING:
    from threading import RLock


class SafeAtOnce(Instrument):
    """Base of what must be made safe even if its link was lost.

    Attributes
    ----------
    lock : RLock
        Held around exchanges that belong together.
    """

    lock: "RLock"

    @abstractmethod
    def _make_safe(self) -> None:
        """Send what leads to the safe state, then check that it is reached."""

    def _send_ahead(self) -> None:
        """Send the same on the link as it is, whether or not anybody answers."""

    def safe_state(self) -> None:
        """Go to the safe state at once, and check.

        Raises
        ------
        OSError, RuntimeError
            If it may not be reached.
        """
        with self.lock:
            self._send_ahead()
            try:
                self._make_safe()
            except OSError:
                self._make_safe()  # on a fresh link


class Servo(SafeAtOnce):
    """Base of the phase locks. Safe state: released, output at the middle of its limits.

    Attributes
    ----------
    output_min, output_max : float
        Voltages that the actuator bears, V.
    """

    output_min: float
    output_max: float

    @abstractmethod
    def _is_engaged(self) -> bool:
        """Ask whether the loop is closed."""

    @abstractmethod
    def _put_released(self, volts: float) -> None:
        """Set the output of a released loop."""

    @property
    def middle(self) -> float:
        """Output in the safe state, V."""
        return (self.output_min + self.output_max) / 2

    def bounds(self) -> Numbers:
        """Return the validator of voltages that the actuator bears."""
        return Numbers(self.output_min, self.output_max)

    def drive(self, volts: float) -> None:
        """Set the output of a loop that must be released."""
        with self.lock:
            if self._is_engaged():
                message = f"{self.name}: `output` can be set while released only; call release()"
                raise RuntimeError(message)
            self._put_released(volts)

    def _check_engaged(self, wanted: bool) -> None:
        if self._is_engaged() != wanted:
            message = (
                f"{self.name}: the loop did not {'close' if wanted else 'open'} when told to; "
                "look at its front panel, then try again"
            )
            raise RuntimeError(message)


def check_output_limits(name: str, output_min: float, output_max: float, reach: float) -> None:
    """Raise ValueError unless an actuator's limits (V) are in order and within ±`reach`."""
    if not -reach <= output_min < output_max <= reach:
        message = (
            f"{name}: `output_min` and `output_max` must be within ±{reach:g} V and in order, "
            f"but are {output_min} and {output_max}"
        )
        raise ValueError(message)
