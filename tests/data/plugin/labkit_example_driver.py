"""A driver that labkit does not have."""

from qcodes.instrument import Instrument


class EchoMeter(Instrument):
    """Reads what was set."""
