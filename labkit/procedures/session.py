"""What every procedure works with: the lab, the run folder, and blocks of trials."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import sqrt
from pathlib import Path
from time import monotonic

from labkit.lab import Lab
from labkit.run import Block, Outcome, RunFolder, take_block
from labkit.sequence import PulseSequence
from labkit.station.interlocks import InterlockError
from labkit.station.opening import Terminated

Say = Callable[[str], object]
Advance = Callable[[float, float], object]
"""Told (seconds measured, seconds in all) of the block being taken."""


INTERLOCK_INTERVAL = 10.0
"""Seconds between checks of the interlocks while a block is recorded."""


LARGEST_PHASE_NOISE = 0.4
"""Phase noise in rad rms from which the loop does not hold: a phase that is anywhere shows 0.7."""

NOISE_READINGS = 20
"""Error readings for the phase noise after a block."""


class LockLostError(RuntimeError):
    """The interferometer could not be locked again; the message says what was tried."""


def _quiet(*_: object) -> None:
    """Say nothing."""


@dataclass(slots=True, kw_only=True)
class Session:
    """One user's work at one lab, journaled in one run folder.

    Attributes
    ----------
    lab : Lab
    folder : RunFolder
    say : callable
        Told one line about every step.
    advance : callable
        Told how far the block being taken is.
    blocks : list of Block
        All blocks of the run so far.
    untuned : float
        Seconds measured since the filters were last tuned.
    fringe_volts : float or None
        Amplitude of the error signal's fringe as last seen by `lock`, V.
    """

    lab: Lab
    folder: RunFolder
    say: Say = _quiet
    advance: Advance = _quiet
    blocks: list[Block] = field(default_factory=list)
    untuned: float = 0.0
    fringe_volts: float | None = None
    _armed: PulseSequence | None = None

    def arm(self, sequence: PulseSequence) -> None:
        """Load a sequence into the instruments, unless it is loaded already."""
        if sequence != self._armed:
            self._armed = None
            self.lab.arm(sequence)
            self._armed = sequence

    def measure(
        self,
        sequence: PulseSequence,
        trials: int,
        setting: Mapping[str, float | str],
        *,
        locked: bool = True,
    ) -> Block:
        """Take one block of trials with a sequence; on return it is counted and journaled.

        Interlocks are checked before, while and after it is recorded; a block in which one is
        violated is journaled as not good before the error goes on.

        Parameters
        ----------
        sequence : PulseSequence
        trials : int
        setting : mapping
            What this block is for; kept with it.
        locked : bool
            Whether the interferometer must stay locked; otherwise the block is not good.
        """
        self.arm(sequence)
        self.lab.check_interlocks()
        ended: list[BaseException] = []

        def record(path: Path) -> Outcome:
            notes: list[str] = []
            problems: list[str] = []
            try:
                found = self.lab.record(
                    path, trials, sequence.period, self._watch(trials * sequence.period)
                )
                problems += found.faults
                if not found.whole:
                    problems.append(f"recording ended after {found.seconds:g} s")
                self.lab.check_interlocks()
            except (KeyboardInterrupt, Terminated) as stop:
                ended.append(stop)
                notes.append("stopped by the user")  # a good block, only shorter
            except InterlockError as violation:
                ended.append(violation)
                problems.append(str(violation))
            monitors = self.monitors(quick=bool(ended))
            if ended:
                self.lab.make_safe()  # before counting, which may take its time
            if locked and monitors["locked"] < 1:
                problems.append("the phase lock was lost")
            elif locked and monitors.get("phase_noise", 0.0) > LARGEST_PHASE_NOISE:
                noise = monitors["phase_noise"]
                problems.append(f"the phase lock does not hold: {noise:.2g} rad rms")
            reason = "; ".join(notes + problems)
            return Outcome(good=not problems, reason=reason, monitors=monitors)

        number = (
            len(self.folder.journal.read()) + 1 if not self.blocks else self.blocks[-1].number + 1
        )
        block = take_block(self.folder, sequence.gates, number, record, setting)
        self.blocks.append(block)
        self.untuned += trials * sequence.period
        if ended:
            raise ended[0]
        return block

    def _watch(self, total: float) -> Callable[[float], None]:
        """Return what is done while recording: tell the progress, check the interlocks."""
        last = monotonic()

        def watch(seconds: float) -> None:
            nonlocal last
            self.advance(seconds, total)
            if monotonic() - last >= INTERLOCK_INTERVAL:
                self.lab.check_interlocks()
                last = monotonic()

        return watch

    def leave_out(self, block: Block, reason: str) -> Block:
        """Mark the last block as not good, with the reason, in the journal too."""
        bad = replace(block, good=False, reason=reason)
        self.folder.journal.amend(bad)
        self.blocks[-1] = bad
        return bad

    def phase_noise(self, readings: int = NOISE_READINGS) -> float:
        """Return the rms error signal over the fringe's amplitude, rad; 0 before `lock` ran."""
        if self.fringe_volts is None:
            return 0.0
        servo = self.lab.phase_lock
        squares = [servo.error() ** 2 for _ in range(readings)]
        return sqrt(sum(squares) / readings) / self.fringe_volts

    def monitors(self, *, quick: bool = False) -> dict[str, float]:
        """Return what is watched beside the counts: lock, temperature; if `quick`, lock only."""
        lock = self.lab.phase_lock
        locked = {"locked": float(lock.lock_state() == "locked")}
        if quick:
            return locked
        return locked | {
            "lock_error": float(lock.error()),
            "lock_output": float(lock.output()),
            "phase_noise": self.phase_noise(),
            "temperature": self.lab.thermometer.temperature_of(self.lab.channel("mixing_chamber")),
        }
