"""Keep the set-up in order during a long measurement, and repair what went wrong."""

from labkit.procedures.filters import FilterOptions, filters
from labkit.procedures.lock import LockOptions, lock
from labkit.procedures.session import LARGEST_PHASE_NOISE, Session
from labkit.run import Block
from labkit.sequence import PulseSequence

RETUNE = FilterOptions(span=0.08, points=7, trials=600_000, passes=1)
"""A short scan: 21 minutes for six filters."""

TUNE_AFTER = 5400.0
"""Seconds of measuring after which the filters have drifted by about a tenth of their width."""

NEAR_LIMIT = 0.6
"""Part of the servo's range beyond which it is locked anew, nearer to the middle."""


def relock(session: Session, sequence: PulseSequence) -> None:
    """Lock if the loop is open, at a limit or near one, or does not hold."""
    servo = session.lab.phase_lock
    far = abs(float(servo.output())) > NEAR_LIMIT * session.lab.file.config.lock_range
    if servo.lock_state() != "locked" or far or session.phase_noise() > LARGEST_PHASE_NOISE:
        lock(session, sequence, LockOptions())


def retune(session: Session, sequence: PulseSequence) -> None:
    """Bring every filter back to its maximum; the lock is closed again afterwards."""
    filters(session, sequence, RETUNE)
    relock(session, sequence)


def upkeep(session: Session, sequence: PulseSequence) -> bool:
    """Tune the filters if that is due, and lock if needed; tell whether the filters were tuned.

    To be called before every long block.
    """
    due = session.untuned >= TUNE_AFTER
    if due:
        retune(session, sequence)
    relock(session, sequence)
    return due


def repair(session: Session, sequence: PulseSequence, block: Block) -> None:
    """Repair what a bad block tells: silent detectors, drifted filters, a lost lock.

    A detector whose rate fell may have latched within the block; delatching a healthy one does no
    harm, but filters cannot be tuned to a latched one.
    """
    for number, clicks in zip(
        block.counts.gates.detectors, block.counts.singles.sum(axis=0), strict=True
    ):
        if clicks == 0 or f"detector {number} changed by -" in block.reason:
            session.say(f"detector {number} is silent: delatching")
            session.lab.detector_bias.delatch(number)
    if "pump rate" in block.reason:
        session.say("the rate has changed: tuning the filters")
        retune(session, sequence)
    relock(session, sequence)
