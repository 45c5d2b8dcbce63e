"""What all time taggers share: one recording at a time, waiting for it, stopping it."""

from collections.abc import Sequence
from typing import Any

from qcodes.instrument import Instrument

from instruments.bases.recording import Recording, RecordReader
from instruments.roles import RecordSink, TaggerEvent

STOP_TIMEOUT = 10.0
"""Longest wait for the end of a recording that is stopped, s."""


class RecordingTagger(Instrument):
    """Base of the taggers that carry their records to a sink with a `Recording`.

    Parameters
    ----------
    name : str
    **kwargs
        Of `qcodes.instrument.Instrument`.
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._recording: Recording | None = None

    def wait(self, timeout: float) -> bool:
        """Wait for the recording's end; tell whether it has ended.

        Raises
        ------
        RuntimeError
            If reading or writing failed.
        """
        return self._recording is None or self._recording.wait(timeout)

    def stop(self) -> None:
        """End the recording early; what was recorded is in the sink."""
        if self._recording is not None:
            self._recording.stop(STOP_TIMEOUT)

    def events(self) -> tuple[TaggerEvent, ...]:
        """Return what spoiled the present or last recording."""
        return () if self._recording is None else self._recording.events()

    def require_idle(self, action: str) -> None:
        """Refuse an action while a recording runs.

        Raises
        ------
        RuntimeError
            Naming the action.
        """
        if self._recording is not None and self._recording.running():
            message = f"{self.name}: {action} must wait for the recording's end; call stop() first"
            raise RuntimeError(message)

    def _record(self, reader: RecordReader, sink: RecordSink) -> None:
        """Carry the records of a measurement that has begun."""
        self._recording = Recording(reader, sink, name=self.name)

    def _let_end(self) -> None:
        """Ask a recording for its end without waiting."""
        if self._recording is not None:
            self._recording.request_stop()

    def _end_recording(self) -> None:
        if self._recording is not None and self._recording.running():
            self._recording.stop(STOP_TIMEOUT)

    def _require_settings(self, missing: Sequence[str]) -> None:
        if missing:
            message = (
                f"{self.name}: {', '.join(missing)} must be set before recording, but are not; "
                "they depend on the detectors and have no default"
            )
            raise RuntimeError(message)

    def _require_input(self, channel: int, n_inputs: int) -> None:
        if not 0 <= channel < n_inputs:
            message = f"{self.name}: `channel` must be 0 to {n_inputs - 1}, but is {channel}"
            raise ValueError(message)
