"""Bring every instrument to its safe state, at once and whatever the others do."""

import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from threading import Thread, local
from time import monotonic

from instruments.links.lateness import waiting_for_late_replies
from instruments.roles import Device
from labkit.station.ending import said

DEADLINE = 1.0
"""Seconds within which all instruments that still answer are safe."""

PATIENCE = 90.0
"""Seconds that a slow instrument may take to become safe; the others are safe by then."""

LATE_REPLY = 12.0
"""Seconds that a single reply may take while an instrument is made safe, whatever its time-out."""

_work = local()


def being_made_safe() -> bool:
    """Tell whether this thread makes an instrument safe: nothing may stand in its way then."""
    return getattr(_work, "is_safety", False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyReport:
    """Who is safe and who could not be reached.

    Attributes
    ----------
    reached : tuple of str
    failed : dict of str to str
        Instrument to what happened.
    seconds : float
        How long it took.
    """

    reached: tuple[str, ...]
    failed: dict[str, str]
    seconds: float

    @property
    def all_safe(self) -> bool:
        """Whether every instrument confirmed its safe state."""
        return not self.failed

    def joined_by(self, failed: Mapping[str, str]) -> "SafetyReport":
        """Return the same with further instruments that are not known to be safe."""
        return replace(self, failed={**self.failed, **failed})

    def without(self, names: Collection[str]) -> "SafetyReport":
        """Return the same without some instruments that failed: nothing unsafe depends on them."""
        return replace(self, failed={n: why for n, why in self.failed.items() if n not in names})

    def __str__(self) -> str:
        if self.all_safe:
            return f"all {len(self.reached)} instruments are in their safe state"
        lines = [f"NOT SAFE: {name}: {reason}" for name, reason in self.failed.items()]
        lines.append("switch these off by hand; the others are in their safe state")
        return "\n".join(lines)


def with_safe_state(instruments: Mapping[str, object]) -> dict[str, Device]:
    """Return the instruments that have a safe state of their own.

    Others only serve those (a DAQ card serves the attenuator on its output).
    """
    return {name: i for name, i in instruments.items() if isinstance(i, Device)}


def make_safe(devices: Mapping[str, Device], patience: float | None = None) -> SafetyReport:
    """Call every device's `safe_state` in a thread of its own and wait at most `patience` seconds.

    By default `PATIENCE`; a word is said about those that take longer than `DEADLINE`, and when
    they are safe. Each reply is waited for up to `LATE_REPLY` seconds: who is slow is not told
    unsafe.
    Never raises for a device: one that fails or does not answer is in the report.
    """
    patience = PATIENCE if patience is None else patience
    begin = monotonic()
    outcome: dict[str, str] = {}

    def work(name: str, device: Device) -> None:
        _work.is_safety = True
        try:
            with waiting_for_late_replies(min(LATE_REPLY, patience)):
                device.safe_state()
        except Exception as error:  # whatever fails, the others must go on
            outcome[name] = f"{type(error).__name__}: {said(error)}"
        else:
            outcome[name] = ""
            if (seconds := monotonic() - begin) > DEADLINE:
                sys.stderr.write(f"{name}: safe state set after {seconds:.0f} s\n")

    threads = [
        Thread(target=work, args=item, name=f"safe-{item[0]}", daemon=True)
        for item in devices.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, min(DEADLINE, patience) - (monotonic() - begin)))
    if late := [name for name in devices if name not in dict(outcome)]:
        sys.stderr.write(f"waiting up to {patience:g} s for {', '.join(late)} to become safe\n")
    for thread in threads:
        thread.join(max(0.0, patience - (monotonic() - begin)))
    known = dict(outcome)
    failed = {
        name: known.get(name, f"no answer within {patience:g} s")
        for name in devices
        if known.get(name, "late") != ""
    }
    return SafetyReport(
        reached=tuple(name for name in devices if name not in failed),
        failed=failed,
        seconds=monotonic() - begin,
    )
