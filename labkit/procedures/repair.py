"""Keep the set-up in order during a long measurement, and repair what went wrong."""

from labkit.procedures.centring import LostLineError, centre
from labkit.procedures.filters import FilterOptions, filters
from labkit.procedures.lock import LockOptions, lock
from labkit.procedures.session import LARGEST_HOP_HZ, Session
from labkit.run import Block
from labkit.run.verification import HOPPED, PHASE_PROBLEM, POWER_PROBLEM, RATE_PROBLEM
from labkit.sequence import PulseSequence

RETUNE = FilterOptions(span=0.08, points=7, trials=600_000, passes=1)
"""A short scan, where the lines have to be looked for: 14 minutes for six filters."""

TUNE_AFTER = 5400.0
"""Seconds of measuring after which the filters have drifted by about a tenth of their width."""

LOOK = 4_000_000
"""Trials of a short look at the detectors."""

TUNE_AWAY = 2e-11
"""How far a laser that has hopped is tuned away before it is tuned back, m."""

RELOCK = LockOptions(points=31, readings=40)
"""A shorter look for a fringe that has been seen before."""

NEAR_LIMIT = 0.6
"""Part of the servo's range beyond which it is locked anew, nearer to the middle."""


def relock(session: Session, sequence: PulseSequence, *, force: bool = False) -> None:
    """Lock if the loop is open, at a limit or near one, or in any case."""
    servo = session.lab.phase_lock
    far = abs(float(servo.output())) > NEAR_LIMIT * session.lab.file.config.lock_range
    if force or servo.lock_state() != "locked" or far:
        lock(session, sequence, RELOCK)


def tune_if_due(session: Session, sequence: PulseSequence, trials: int = 0) -> bool:
    """Tune the filters if that is due, and tell whether they were; the lock is left alone.

    It is due if the middle of the coming block, of so many trials, is later than `TUNE_AFTER`.
    """
    due = session.untuned + 0.5 * trials * sequence.period >= TUNE_AFTER
    if due:
        tune(session, sequence)
    return due


def tune(session: Session, sequence: PulseSequence) -> None:
    """Centre the filters on their lines, or scan for lines that are lost or not known yet."""
    try:
        centre(session, sequence)
    except LostLineError as error:
        session.say(f"{error}; scanning")
        filters(session, sequence, RETUNE)


def retune(session: Session, sequence: PulseSequence) -> None:
    """Bring every filter back to its maximum; the lock is closed again afterwards."""
    filters(session, sequence, RETUNE)
    relock(session, sequence)


def upkeep(session: Session, sequence: PulseSequence, trials: int) -> bool:
    """Tune the filters if that is due, and lock if needed; tell whether the filters were tuned.

    To be called before every long block, with its trials.
    """
    due = tune_if_due(session, sequence, trials)
    relock(session, sequence)
    return due


def repair(session: Session, sequence: PulseSequence, block: Block) -> None:
    """Repair what a bad block tells: hopped lasers, silent detectors, drifted filters, a lost lock.

    A short block first tells which detectors are silent now: one may have latched within the block.
    """
    if HOPPED in block.reason:
        _tune_back(session)
    look = session.measure(sequence, LOOK, {"procedure": "repair"}, locked=False).counts
    silent = [
        number
        for number, clicks in zip(look.gates.detectors, look.singles.sum(axis=0), strict=True)
        if clicks == 0
    ]
    for number in silent:
        session.say(f"detector {number} is silent: delatching")
        session.lab.detector_bias.delatch(number)
    changed = RATE_PROBLEM in block.reason or POWER_PROBLEM in block.reason
    if changed and not silent:
        session.say("the rate has changed: tuning the filters")
        retune(session, sequence)
    relock(session, sequence, force=PHASE_PROBLEM in block.reason)


def _tune_back(session: Session) -> None:
    """Tune lasers that have hopped away and back to their set wavelength."""
    for laser, expected in session.laser_hz.items():
        device = session.lab.lasers[laser]
        if abs(session.lab.laser_frequency(laser) - expected) <= LARGEST_HOP_HZ:
            continue
        wavelength = float(device.wavelength())
        device.wavelength(wavelength - TUNE_AWAY)
        device.wavelength(wavelength)
        left = session.lab.laser_frequency(laser) - expected
        session.say(f"{laser} laser tuned back: {left / 1e6:+.0f} MHz from where it was")
