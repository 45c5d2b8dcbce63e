"""What every procedure works with: the lab, the run folder, and blocks of trials."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import takewhile
from math import ceil, isfinite, sqrt
from pathlib import Path
from time import monotonic
from typing import Any, Literal, Protocol, TypeVar

from analysis.counts import Counts
from labkit.procedures.moves import SETTLING, SHORTEST, MoveError, Moves
from labkit.run import (
    Block,
    BlockOutcome,
    Demands,
    EmptyBlockError,
    RecordWriter,
    RunFolder,
    take_block,
)
from labkit.run.parts import Part
from labkit.run.progress import Step, Watcher
from labkit.sequence import PulseSequence
from labkit.station.ending import Terminated, said, stop_if_asked
from labkit.station.interlocks import InterlockError
from labkit.station.lab import REAL_PACE, Lab

READINGS = 12
"""Readings of the lock's error after each block, for the phase noise."""

LARGEST_HOP_HZ = 100e6
"""How far a laser may be from where it was when the filters were tuned: two filter widths."""

LARGEST_NOISE = 0.3
"""Phase noise of a block that is still good, rad rms (costs 16 % contrast)."""

Device = Literal["A", "B"]
DEVICES: tuple[Device, Device] = ("A", "B")
CLOSED = 1e-3
"""Transmission that counts as a blocked arm."""

SAMPLE_INTERVAL = 60.0
"""Longest time of a recording, by the tagger's clock, from one look at the lab to the next, s."""

LOOK_INTERVAL = 10.0
"""Seconds of the wall after which the lab is looked at anyway: in a real lab this one counts."""

T = TypeVar("T")


class LockLostError(RuntimeError):
    """The interferometer could not be locked again; the message says what was tried."""


class Found(Protocol):
    """What a part of the work found, a `labkit.procedures.Result`; ``str`` tells it in words."""

    @property
    def procedure(self) -> str:
        """Which part."""


@dataclass(slots=True, kw_only=True)
class Session:
    """One user's work at one lab, journaled in one run folder.

    Attributes
    ----------
    lab : Lab
    folder : RunFolder
    watcher : Watcher
        Told every step, how far the block being taken is, and how far the measurement.
    blocks : list of Block
        All blocks of the run so far.
    fringe_volts : float or None
        Slope of the lock's error signal, V/rad, since the interferometer was last locked.
    untuned : float
        Seconds measured since the filters were last tuned.
    laser_hz : dict of str to float
        Where the lasers were, by the wavemeters, in the first block after that.
    line_widths : dict of str to float
        Full width at half maximum of the line of each filter that was scanned, V.
    known_hz : dict of str to float
        Where lasers must be whenever the filters were tuned.
    show : callable
        Given the name of a part of the work and what it found, for its pictures.
    """

    lab: Lab
    folder: RunFolder
    watcher: Watcher = field(default_factory=Watcher)
    blocks: list[Block] = field(default_factory=list)
    fringe_volts: float | None = None
    untuned: float = 0.0
    laser_hz: dict[str, float] = field(default_factory=dict)
    line_widths: dict[str, float] = field(default_factory=dict)
    known_hz: dict[str, float] = field(default_factory=dict)
    show: Callable[[str, Any], object] = lambda _, __: None
    _steps: list[Step] = field(default_factory=list)
    _earlier: list[Block] = field(init=False)

    def __post_init__(self) -> None:
        self._earlier = [block for block in self.blocks if block.good]

    def say(self, text: str) -> None:
        """Tell one line about a step."""
        self.watcher.say(text)

    def point(self, text: str) -> None:
        """Tell what one point of a scan gave."""
        self.watcher.point(text)

    def found(self, result: Found) -> None:
        """Tell what a part of the work found, and let it be seen while the rest goes on."""
        self.say(str(result))
        self.show(result.procedure, result)

    @contextmanager
    def step(self, procedure: str, number: int, of: int, what: str = "") -> Iterator[None]:
        """Tell that one of the steps of a procedure begins; within it others may have theirs."""
        self._steps.append(Step(procedure=procedure, number=number, of=of, what=what))
        self.watcher.step(tuple(self._steps))
        try:
            yield
        finally:
            self._steps.pop()

    def steps(
        self, procedure: str, items: Iterable[T], what: Callable[[T], str] = lambda _: ""
    ) -> Iterator[T]:
        """Go through what a procedure does one after another, telling each step as it begins."""
        todo = list(items)
        for number, item in enumerate(todo, 1):
            with self.step(procedure, number, len(todo), what(item)):
                yield item
        if self._steps:
            self.watcher.step(tuple(self._steps))  # what is done goes on with the outer step

    def earlier(
        self, sequence: PulseSequence, trials: int, setting: Mapping[str, float | str]
    ) -> Block | None:
        """Return a good block that an earlier session of this run took for this; each one once.

        None if there is none: it must be measured.
        """
        for block in self._earlier:
            counts = block.counts
            enough = trials <= counts.trials.number <= trials + 1 + 1e-3 / sequence.period
            if enough and counts.gates == sequence.gates and block.setting == dict(setting):
                self._earlier.remove(block)
                self.say(f"block {block.number} of an earlier session counts")
                return block
        return None

    def check(self, sequences: Iterable[PulseSequence]) -> None:
        """Refuse sequences that break timing rules, all before the first is played."""
        for sequence in sequences:
            self.lab.compile(sequence)

    def arm(self, sequence: PulseSequence) -> bool:
        """Load a sequence into the instruments, unless it is loaded already.

        Returns
        -------
        bool
            Whether it was loaded, and the interlocks have been checked after that.
        """
        if sequence == self.lab.armed:
            return False
        self.lab.arm(sequence)
        return True

    def disarm(self) -> None:
        """Switch all drives off; the next `arm` loads anew."""
        self.lab.drives_off()

    def make_safe(self) -> None:
        """Bring every instrument to its safe state now; the next `arm` loads anew."""
        self.lab.make_safe()

    def measure(
        self,
        sequence: PulseSequence,
        trials: int,
        setting: Mapping[str, float | str],
        *,
        locked: bool = True,
        demands: Demands | None = None,
        moves: Moves | None = None,
    ) -> Block:
        """Take one block of trials with a sequence; on return it is counted, verified, journaled.

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
        demands : Demands, optional
            What else it must hold, as click rates; trials, lock and lasers are put in here.
        moves : Moves, optional
            What is moved meanwhile; the block has parts then.
        """
        stop_if_asked()
        if not self.arm(sequence):
            self.lab.check_interlocks()
        if locked:
            self._remember_lasers()
        wanted = replace(
            demands or Demands(), trials=trials, locked=locked, phase_noise=LARGEST_NOISE,
            laser_hz=self._watched_lasers() if locked else {}, hop_hz=LARGEST_HOP_HZ, steady=locked,
        )  # fmt: skip
        ended: list[BaseException] = []

        def record(path: Path, writer: RecordWriter) -> BlockOutcome:
            return self._record(path, writer, trials, sequence.period, ended, moves, locked=locked)

        number = self.blocks[-1].number + 1 if self.blocks else len(self.folder.journal.read()) + 1
        try:
            block = take_block(self.folder, sequence.gates, number, record, setting, wanted)
        except EmptyBlockError:
            if ended:  # before anything came
                raise ended[0] from None
            raise
        self.blocks.append(block)
        self.untuned += trials * sequence.period
        if ended:
            raise ended[0]
        return block

    def _record(
        self,
        path: Path,
        writer: RecordWriter,
        trials: int,
        period: float,
        ended: list[BaseException],
        moves: Moves | None,
        *,
        locked: bool,
    ) -> BlockOutcome:
        """Record a segment; what ends it before its time, but in order, is put into `ended`."""
        notes: list[str] = []
        problems: list[str] = []
        whole = False
        watch = self._watch(trials * period, writer, problems)
        if moves is not None:
            watch = moves.between(watch, writer)
        try:
            found = self.lab.record(path, trials, period, watch)
            whole = found.whole
            if moves is not None and whole:
                moves.finish(found.seconds, writer)
            problems += found.faults
            if not whole:
                problems.append(f"recording ended after {found.seconds:g} s")
            self.lab.check_interlocks()
        except (KeyboardInterrupt, Terminated) as stop:
            ended.append(stop)
            notes.append("stopped by the user")  # a block like others, only shorter
            problems += self.lab.recording_faults()
        except InterlockError as violation:
            self.make_safe()
            ended.append(violation)
            problems += [str(violation), *self.lab.recording_faults()]
            return BlockOutcome(problems=tuple(problems), whole=False)
        except MoveError as failed:
            ended.append(failed.__cause__ or failed)
            problems += [str(failed), *self.lab.recording_faults()]
            return BlockOutcome(problems=tuple(problems), whole=False)
        problems += self.lab.what_stopped()
        monitors = _known(
            self.monitors(quick=bool(ended), brief=not locked), "at its end", problems
        )
        problems += [
            f"nobody knows where the {laser} laser was: its wavemeter has told nothing so far"
            for laser in self.lab.wavemeters
            if locked and laser not in self.laser_hz and f"{laser}_laser_hz" not in monitors
        ]
        if ended:
            self.make_safe()  # before counting, which may take its time
        return BlockOutcome(
            problems=tuple(problems), notes=tuple(notes), whole=whole, monitors=monitors
        )

    def leave_out(self, blocks: Sequence[Block]) -> None:
        """Leave out blocks that were verified, all at once, for the reason they now have."""
        changed = {block.number: block for block in blocks}
        self.folder.journal.judge(*changed, good=False, reason=blocks[0].reason)
        self.blocks = [changed.get(one.number, one) for one in self.blocks]

    def clicks(
        self,
        sequence: PulseSequence,
        trials: int,
        setting: Mapping[str, float | str],
        *,
        keep: bool = False,
    ) -> Counts:
        """Take a block that needs no lock; one that is not good is taken once more.

        With `keep`, a block of an earlier session will do, as what it tells does not drift away.

        Raises
        ------
        RuntimeError
            If it is not good again; names the reason.
        """
        if keep and (before := self.earlier(sequence, trials, setting)) is not None:
            return before.counts
        return self._surely(lambda: self.measure(sequence, trials, setting, locked=False)).counts

    def scan(
        self,
        sequence: PulseSequence,
        trials: int,
        settings: Sequence[Mapping[str, float]],
        move: Callable[[Mapping[str, float]], object],
        about: Mapping[str, float | str],
        *,
        name: str,
        what: Callable[[Mapping[str, float]], str] = lambda _: "",
    ) -> list[Part]:
        """Take trials at one setting after another, which need no lock, in one block.

        A recording that is not good is taken once more. Settings for which nobody looked in time
        while it ran, so that they had less than half of their trials, are taken in another one;
        one by one, if the tagger does not tell the time of a running recording.

        Parameters
        ----------
        sequence : PulseSequence
        trials : int
            At each setting, about: what comes while something moves belongs to none.
        settings : sequence of mapping of str to float
        move : callable
            Sets one.
        about : mapping
            What the block is for; kept with it.
        name : str
            Of the scan, for the progress.
        what : callable, optional
            Says in a few words what a setting is.

        Returns
        -------
        list of Part
            Of each setting, in order.

        Raises
        ------
        RuntimeError
            If a block is not good again; names the reason.
        """
        found: list[Part] = []
        together = number = len(settings)
        least = 0.9 * SHORTEST * trials

        def take(now: Sequence[Mapping[str, float]]) -> Block:
            move(now[0])
            if found:
                told(0)
            moves = Moves(
                settings=now, move=move, seconds=trials * sequence.period + SETTLING,
                elapsed=lambda: self.lab.tagger.elapsed(), told=told,
            )  # fmt: skip
            number = ceil(moves.total / sequence.period)
            return self.measure(sequence, number, about, locked=False, moves=moves)

        def told(index: int) -> None:
            at = len(found) + index
            self._steps[-1] = Step(
                procedure=name, number=at + 1, of=number, what=what(settings[at])
            )  # fmt: skip
            self.watcher.step(tuple(self._steps))

        with self.step(name, 1, number, what(settings[0])):
            while len(found) < number:
                now = settings[len(found) : len(found) + together]
                block = self._surely(partial(take, now))
                parts = block.parts or []
                enough = list(takewhile(lambda part: part.trials >= least, parts))
                if not enough:
                    message = (
                        f"block {block.number} must have {trials:,} trials at a setting, but has "
                        f"{max((part.trials for part in parts), default=0):,} at most"
                    )
                    raise RuntimeError(message)
                together = len(now) if len(enough) > 1 else 1
                found += enough
        if self._steps:
            self.watcher.step(tuple(self._steps))
        return found

    def _surely(self, take: Callable[[], Block]) -> Block:
        """Take a block that needs no lock; one that is not good is taken once more.

        Raises
        ------
        RuntimeError
            If it is not good again; names the reason.
        """
        block = take()
        if not block.good:
            self.say(f"block {block.number} left out: {block.reason}; measuring again")
            block = take()
        if not block.good:
            message = (
                f"block {block.number} is bad as the one before: {block.reason}; repair the "
                "set-up and measure again"
            )
            raise RuntimeError(message)
        return block

    def _watch(
        self, total: float, writer: RecordWriter, problems: list[str]
    ) -> Callable[[float], float]:
        """Return what is done while recording: tell the progress, and look at the lab.

        It says when it wants to be called again. The schedule is in seconds of the recording, so
        that a virtual lab, whose hours pass in seconds, is watched as a real one, where looks cost
        nothing and are more frequent. A virtual recording that takes long is not looked at in
        between: readings take virtual time, and what is drawn would depend on the computer's pace.
        What is no number is put into `problems`.
        """
        due, last = SAMPLE_INTERVAL, monotonic()
        begin, seen = last, 0.0

        def watch(seconds: float) -> float:
            nonlocal due, last, begin, seen
            stop_if_asked()
            self.watcher.advance(seconds, total)
            is_virtual = seconds - seen > REAL_PACE * (monotonic() - begin)
            if is_virtual:
                self.lab.looked_after()
            if seconds >= due or (monotonic() - last >= LOOK_INTERVAL and not is_virtual):
                begin, seen, when = monotonic(), seconds, f"{seconds:.0f} s after its start"
                writer.sample(seconds, _known(self.monitors(brief=True), when, problems))
                self.lab.check_interlocks(brief=True, since=begin)
                due, last = (seconds // SAMPLE_INTERVAL + 1) * SAMPLE_INTERVAL, monotonic()
            return due

        return watch

    def _remember_lasers(self) -> None:
        """Note where the lasers are, unless that is known since the filters were tuned."""
        self.laser_hz |= self.known_hz
        if missing := [laser for laser in self.lab.wavemeters if laser not in self.laser_hz]:
            now = self._laser_frequencies()
            for laser in missing:
                if f"{laser}_laser_hz" in now:
                    self.laser_hz[laser] = now[f"{laser}_laser_hz"]

    def _watched_lasers(self) -> dict[str, float]:
        """Return where the lasers that a wavemeter sees have to be, Hz."""
        return {n: hz for n, hz in self.laser_hz.items() if n in self.lab.wavemeters}

    def tuned(self, widths: Mapping[str, float] | None = None) -> None:
        """Note that the filters have just been tuned to the lasers as they are.

        Parameters
        ----------
        widths : mapping of str to float, optional
            Their lines' full widths at half maximum, V, where they were scanned.
        """
        self.untuned = 0.0
        self.laser_hz.clear()
        self.line_widths |= widths or {}

    def _laser_frequencies(self) -> dict[str, float]:
        """Optical frequencies by monitor name; without a value from the wavemeter, said so.

        A wavemeter that has none is asked once more.
        """
        found = {}
        for laser in self.lab.wavemeters:
            for last in (False, True):
                try:
                    found[f"{laser}_laser_hz"] = self.lab.laser_frequency(laser)
                    break
                except RuntimeError as error:
                    if last:
                        self.say(f"frequency of the {laser} laser not known: {said(error)}")
        return found

    def monitors(self, *, quick: bool = False, brief: bool = False) -> dict[str, float]:
        """Return what is watched beside the counts.

        Lock, phase noise (rad rms, if the fringe is known), temperature, laser frequencies, and
        the power where a meter sees it.

        Parameters
        ----------
        quick : bool
            Whether it is locked only, and where the lasers are: the lab is about to be made safe.
        brief : bool
            For a look at a running recording: of the phase noise, which takes several readings, one
            is the phase error (rad).
        """
        lock = self.lab.phase_lock
        watched = self._laser_frequencies()
        if quick:
            return {"locked": float(lock.lock_state() == "locked")} | watched
        errors = [float(lock.error()) for _ in range(1 if brief else READINGS)]
        watched |= {
            "lock_error": errors[-1],
            "temperature": self.lab.thermometer.temperature_of(self.lab.channel("mixing_chamber")),
        }
        if not brief:
            watched["lock_output"] = float(lock.output())
        if "power_meter" in self.lab.names:
            watched["pump_power"] = float(self.lab.power_meter.power())
        if self.fringe_volts is not None:
            rms = sqrt(sum(error**2 for error in errors) / len(errors))
            watched["phase_error" if brief else "phase_noise"] = rms / self.fringe_volts
        # Last: what it came to while the others were read spoils the block, too.
        return {"locked": float(lock.lock_state() == "locked")} | watched


def _known(readings: Mapping[str, float], when: str, problems: list[str]) -> dict[str, float]:
    """Return the readings that are numbers; of others nobody knows whether the block is good."""
    problems += [
        f"{name} was {value} {when}, which is no reading"
        for name, value in readings.items()
        if not isfinite(value)
    ]
    return {name: value for name, value in readings.items() if isfinite(value)}


@contextmanager
def setting_back(session: Session, restore: Callable[[], object]) -> Iterator[None]:
    """Set back what was changed for a while, also where nothing was found (ValueError).

    After any other error the lab is made safe instead, at once: to set back takes time, with a
    lost instrument seconds, and would let light through again.
    """
    try:
        yield
    except ValueError:
        restore()
        raise
    except BaseException:
        session.make_safe()
        raise
    restore()


@contextmanager
def only(session: Session, device: Device, closed: float = CLOSED) -> Iterator[None]:
    """Block the other arm; its attenuator is set back at the end (see `setting_back`).

    The lock pulse's fringe is gone meanwhile: lock anew where the phase matters.
    """
    other = session.lab.attenuators["B" if device == "A" else "A"]
    before = float(other.transmission())
    with setting_back(session, lambda: other.transmission(before)):
        other.transmission(closed)
        yield


def check_options(
    options: Any, *, positive: tuple[str, ...] = (), at_least: Mapping[str, float] | None = None
) -> None:
    """Check the numbers of an options class; for its ``__post_init__``.

    Parameters
    ----------
    options : dataclass
        All its numbers, in tuples too, must be finite.
    positive : tuple of str
        Names of those that must be above zero.
    at_least : mapping of str to float, optional
        Smallest allowed value by name.

    Raises
    ------
    ValueError
        Naming the option, what it must be and what it is.
    """
    least = at_least or {}
    for option in fields(options):
        for value in _numbers(getattr(options, option.name)):
            if not isfinite(value):
                _refuse(option.name, "be a finite number", value)
            if option.name in positive and value <= 0:
                _refuse(option.name, "be > 0", value)
            if option.name in least and value < least[option.name]:
                _refuse(option.name, f"be at least {least[option.name]:g}", value)


def _numbers(value: object) -> Iterator[float]:
    if isinstance(value, tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, int | float):
        yield value


def _refuse(name: str, must: str, value: float) -> None:
    message = f"`{name}` must {must}, but is {value:g}"
    raise ValueError(message)
