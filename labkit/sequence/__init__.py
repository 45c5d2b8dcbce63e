"""The pulse sequence: the single source of device programs and analysis gates."""

from labkit.sequence.pulses import Detection, Pulse, PulseSequence
from labkit.sequence.timing import Hardware, TimingError, check_timing

__all__ = ["Detection", "Hardware", "Pulse", "PulseSequence", "TimingError", "check_timing"]
