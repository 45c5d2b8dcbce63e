"""What a way to a New Focus TLB-6700 controller looks like: packets of 64 bytes, no VISA."""

from typing import Protocol

VENDOR_ID, PRODUCT_ID = 0x104D, 0x100A
PACKET = 64
"""Bytes of a reply packet; what follows CR LF in it may be left from earlier replies."""

SETTLE = 0.05
"""Seconds between sending a command and fetching its reply."""


class NewportPort(Protocol):
    """The link to one controller. Not thread-safe: one owner, one exchange at a time."""

    def open(self) -> None:
        """Open the link; also after it was lost."""

    def close(self) -> None:
        """Close the link; closing again does nothing."""

    def exchange(self, command: str) -> bytes:
        """Send a command and return the first packet of the reply.

        Raises
        ------
        ConnectionError
            If the link fails; the command may have been executed.
        TimeoutError
            If no reply comes in time; the command may have been executed.
        """

    def read(self) -> bytes:
        """Return one more packet that is waiting, empty if none is."""


def absent(serial: str, seen: str) -> ConnectionError:
    """Return the error for a controller that is not among those found."""
    message = (
        f"the TLB-6700 with serial {serial} must be connected and switched on, "
        f"but those found are: {seen or 'none'}"
    )
    return ConnectionError(message)
