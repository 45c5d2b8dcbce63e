"""What every phase lock's driver does: a bounded output, and a safe state that is checked."""

from abc import abstractmethod
from typing import TYPE_CHECKING

from qcodes.instrument import Instrument

if TYPE_CHECKING:
    from threading import RLock


class Servo(Instrument):
    """Base of the phase locks. Safe state: released, output at the middle of its limits.

    Attributes
    ----------
    output_min, output_max : float
        Voltages that the actuator bears, V.
    lock : RLock
        Held around exchanges that belong together.
    """

    lock: "RLock"
    output_min: float
    output_max: float

    @abstractmethod
    def _is_engaged(self) -> bool:
        """Ask whether the loop is closed."""

    @abstractmethod
    def _go_to_the_middle(self) -> None:
        """Release with the output at `middle`, and check; the commands first."""

    @abstractmethod
    def _put_released(self, volts: float) -> None:
        """Set the output of a released loop."""

    @property
    def middle(self) -> float:
        """Output in the safe state, V."""
        return (self.output_min + self.output_max) / 2

    def safe_state(self) -> None:
        """Release with the output at the middle of its limits, at once, and check.

        Raises
        ------
        OSError, RuntimeError
            If the output may be elsewhere.
        """
        with self.lock:
            try:
                self._go_to_the_middle()
            except OSError:
                self._go_to_the_middle()  # on a fresh link

    def _drive(self, volts: float) -> None:
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
