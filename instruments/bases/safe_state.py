"""A safe state that is reached at once, checked, and tried again on a fresh link."""

from abc import abstractmethod
from typing import TYPE_CHECKING

from qcodes.instrument import Instrument

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
