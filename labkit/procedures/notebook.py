"""A session by hand: procedures one after another, in a notebook or a script."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit.ending import noting_end
from labkit.lab import WATCHDOG_LOG, open_lab
from labkit.procedures.session import Say, Session
from labkit.run import create_run
from labkit.run.lock import sole_use
from labkit.sequence import PulseSequence
from labkit.station.config import read_station_file


@contextmanager
def open_session(
    station: str | Path, out: str | Path, sequence: PulseSequence, *, say: Say = print
) -> Iterator[Session]:
    """Open a lab and a run folder of the kind ``session``; at the end the lab is safe.

    As in `run_experiment`, a watchdog makes it safe if the kernel dies, and the manifest keeps the
    settings at both ends and how it ended.

    Nothing is switched on: begin with `switch_on`.

    Parameters
    ----------
    station : str or Path
        Station file, or ``virtual``.
    out : str or Path
        Where the run folder is made.
    sequence : PulseSequence
        Written into the manifest.
    say : callable
        Told one line about every step.
    """
    text = read_station_file(station).text
    folder = create_run(Path(out), "session", sequence.to_dict(), text, gates=sequence.gates)
    with (
        sole_use(folder.path),
        noting_end(folder) as ending,
        open_lab(station, log=folder.path / WATCHDOG_LOG) as lab,
        ending.snapshots(lab),
    ):
        yield Session(lab=lab, folder=folder, say=say)
