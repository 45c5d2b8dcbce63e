"""The lab as the procedures see it: roles, arming of a sequence, recording of tags."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from itertools import cycle
from math import ceil, inf, isclose, nan
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from scipy import constants

from analysis.tagfile import PtuWriter, find_layout
from analysis.tagfile.ptu_writer import STOPPED_MANUALLY, STOPPED_TIME_OVER
from instruments.roles import Attenuator, Laser, PulseShape, TimeTagger, Wavemeter
from labkit.compiler import Programs, compile_sequence
from labkit.sequence import PulseSequence
from labkit.station.config import DeadMan, StationFile, read_station_file, stands_on
from labkit.station.ending import also, said, undisturbed
from labkit.station.guard import Guard
from labkit.station.interlocks import check_interlocks
from labkit.station.opening import Told, open_station
from labkit.station.references import find
from labkit.station.roles import Cast, RoleError
from labkit.station.safety import SafetyReport, make_safe, with_safe_state
from labkit.station.watchdog import Heart

if TYPE_CHECKING:
    from qcodes.instrument import Instrument

WATCHDOG_LOG = "watchdog.txt"
"""In a run folder; exists if the run's process died and the watchdog acted."""

POLL = 0.2
"""Longest time between looks at a running recording, s."""

SHORTEST_POLL = 2.5e-4
"""Shortest time between looks at a running recording, s."""

REAL_PACE = 1.2
"""Seconds of a recording per second of the wall, at most, if it is not that of a virtual lab."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """How a recording went.

    Attributes
    ----------
    seconds : float
        Measured by the tagger's clock.
    whole : bool
        Whether it ran for the time it was meant to.
    faults : tuple of str
        What spoils it: FIFO overrun, dropped events, lost sync.
    """

    seconds: float
    whole: bool
    faults: tuple[str, ...]


class Lab(Cast):
    """Instruments by role. Not thread-safe: one procedure at a time.

    Parameters
    ----------
    file : StationFile
    instruments : dict of str to Instrument
    forced : tuple of str
        Interlocks that are told but not enforced.
    programs : Programs, optional
        Of a sequence that has been compiled for this station already.

    Attributes
    ----------
    tell : callable
        Given a line about what had to be tried again.
    guard : Guard or None
        Stands over the instruments if the lab was opened with `open_lab`.
    """

    def __init__(
        self,
        file: StationFile,
        instruments: "dict[str, Instrument]",
        forced: tuple[str, ...] = (),
        programs: Programs | None = None,
    ) -> None:
        super().__init__(file.config.roles, instruments, str(file.path))
        self.file, self.forced = file, forced
        self.hardware, self.calibration = file.config.hardware, file.config.calibration
        self.tell: Callable[[str], object] = lambda _: None
        self._compiled = programs
        self._loaded: Programs | None = None
        self.guard: Guard | None = None

    @property
    def lasers(self) -> dict[str, Laser]:
        """Pump and read laser by name."""
        return {"pump": self.pump_laser, "read": self.read_laser}

    @property
    def attenuators(self) -> dict[str, Attenuator]:
        """Attenuators in front of devices A and B, by device."""
        return {"A": self.attenuator_a, "B": self.attenuator_b}

    @property
    def wavemeters(self) -> dict[str, Wavemeter]:
        """What sees the pump and the read laser, by the laser's name; a lab may have none."""
        there = self.names
        pump = {"pump": self.wavemeter} if "wavemeter" in there else {}
        return pump | ({"read": self.read_wavemeter} if "read_wavemeter" in there else {})

    def laser_frequency(self, laser: str) -> float:
        """Return a laser's optical frequency by its wavemeter, Hz."""
        meters = self.wavemeters
        if laser not in meters:
            message = (
                f"{self.file.path}: labkit.roles: no wavemeter sees the {laser} laser; name one"
            )
            raise RoleError(message)
        return constants.c / float(meters[laser].wavelength())

    def channel(self, name: str) -> int:
        """Return a channel number of the station file's ``channels``."""
        try:
            return self.file.config.channels[name]
        except KeyError:
            message = f"{self.file.path}: labkit.channels: {name!r} is missing"
            raise RoleError(message) from None

    def read(self, path: str) -> float:
        """Return the present value of a parameter by its dotted path; nan if it is not known.

        Raises
        ------
        RuntimeError
            If the instrument does not answer; names path and reason.
        """
        try:
            value = find(self.instruments, path)()
        except (OSError, RuntimeError, ValueError) as error:
            message = f"{path} cannot be read: {said(error)}"
            raise RuntimeError(message) from error
        return _number(path, value)

    def check_interlocks(self, *, brief: bool = False, since: float = inf) -> tuple[str, ...]:
        """Check the station's interlocks; return what forced ones would have refused.

        Parameters
        ----------
        brief : bool
            Ask instruments for what may change by itself, as temperatures; settings, which change
            at a setting only, are taken as they were last known.
        since : float
            With `brief`: when the present look began, by `time.monotonic`. What it has read itself
            is not asked again.
        """
        if self.guard is not None:
            self.guard.asked()
        read = partial(self.read_brief, since=since) if brief else self.read
        return check_interlocks(self.file.config.interlocks, cache(read), forced=self.forced)

    def looked_after(self) -> None:
        """Note that whoever records looks at the lab in time: the guard need not by itself."""
        if self.guard is not None:
            self.guard.asked()

    def read_brief(self, path: str, since: float = inf) -> float:
        """Return a setting as it was last known, and a reading, not older than `since`."""
        from instruments.bases.parameters import is_setting

        parameter = find(self.instruments, path)
        known = is_setting(parameter) and parameter.cache.valid
        fresh = self.guard is not None and self.guard.has_asked(path, since)
        if not (known or fresh):
            return self.read(path)
        return _number(path, parameter.cache.get(get_if_invalid=False))

    def make_safe(self) -> SafetyReport:
        """Bring every instrument to its safe state now."""
        self._loaded = None
        with undisturbed():
            return make_safe(with_safe_state(self.instruments))

    def snapshot(self) -> dict[str, object]:
        """Return all parameter values the drivers know, flat: ``afg.ch1.high`` to value.

        Reads nothing from the instruments and changes nothing.
        """
        flat: dict[str, object] = {}
        for instrument in self.instruments.values():
            _flatten(instrument.snapshot(update=False), instrument.name, flat)
        return flat

    @property
    def armed(self) -> PulseSequence | None:
        """The sequence that is loaded and plays; None if none does, as after making safe."""
        return None if self._loaded is None else self._loaded.sequence

    def compile(self, sequence: PulseSequence) -> Programs:
        """Check and compile a sequence for this lab, the same one once; nothing is touched."""
        if self._compiled is None or self._compiled.sequence != sequence:
            self._compiled = compile_sequence(sequence, self.hardware, self.calibration)
        return self._compiled

    def arm(self, sequence: PulseSequence) -> Programs:
        """Check, compile and load a sequence; outputs are on afterwards.

        A drive that is loaded already stays as it is: two phases differ in the EOM's alone.

        Interlocks are checked before and after. If one is violated, or a step fails, everything is
        made safe before the error goes on. Loading that fails by a bad link is tried once more,
        with the drives off.
        """
        programs = self.compile(sequence)
        before, self._loaded = self._loaded, None
        try:
            self.check_interlocks()
            try:
                _load(self, programs, before)
            except OSError as error:
                self.tell(f"loading the sequence once more, since: {said(error)}")
                self.drives_off()
                _load(self, programs, None)
            self.check_interlocks()
        except BaseException:
            self.make_safe()
            raise
        self._loaded = programs
        return programs

    def what_stopped(self) -> list[str]:
        """Ask lasers and generators of the loaded sequence whether they are on; tell who is not.

        An instrument that was lost or switched off while nobody talked to it is found this way.
        """
        stopped = [] if self._loaded is None else _what_stopped(self, self._loaded)
        if stopped:
            self._loaded = None
        return stopped

    def drives_off(self) -> None:
        """Switch off the drives of both AOMs and of the EOM."""
        self._loaded = None
        for laser in ("pump", "read"):
            self.pulse_generator.set_output(self.channel(f"{laser}_drive"), on=False)
        self.waveform_generator.set_output(self.channel("eom_drive"), on=False)

    def record(
        self,
        path: Path,
        trials: int,
        period: float,
        progress: Callable[[float], float] | None = None,
    ) -> Recorded:
        """Record tags of `trials` trials into a tag file; see `record_tags`."""
        return record_tags(self.tagger, path, trials, period, progress)

    def recording_faults(self) -> list[str]:
        """Return what spoiled the last recording by the tagger's word, also an ended one."""
        try:
            return [f"{event.kind}: {event.message}" for event in self.tagger.events()]
        except (OSError, RuntimeError) as error:
            return [f"the tagger cannot be asked what spoiled the recording: {said(error)}"]


def _number(path: str, value: object) -> float:
    """Return a parameter's value as an interlock compares it; nan if it is not known."""
    try:
        return nan if value is None else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        message = f"{path} must be a number for an interlock to compare, but is {value!r}"
        raise RuntimeError(message) from None


def _flatten(snapshot: dict[str, Any], prefix: str, flat: dict[str, object]) -> None:
    for name, entry in snapshot.get("parameters", {}).items():
        value = entry.get("value")
        if isinstance(value, str | int | float | bool | None) and name != "IDN":
            flat[f"{prefix}.{name}"] = value
    for name, part in snapshot.get("submodules", {}).items():
        _flatten(part, f"{prefix}.{name}", flat)


@contextmanager
def open_lab(
    station: str | Path | StationFile,
    *,
    forced: tuple[str, ...] = (),
    log: Path | None = None,
    session: int = 1,
    programs: Programs | None = None,
    tell: Callable[[str], object] = lambda _: None,
    alarm: Callable[[str], object] = lambda _: None,
    told: Told | None = None,
    heart: Heart | None = None,
) -> Iterator[Lab]:
    """Open the lab of a station; it is safe and closed at the end, whatever happens.

    While it is open, every setting asks the interlocks, and queries are patient; see `Guard`.

    Parameters
    ----------
    station : str, Path or StationFile
        ``lab.yaml`` or ``virtual_lab.yaml``: there is no other difference; or as read.
    forced : tuple of str
        Interlocks to override.
    log : Path, optional
        Where a watchdog, started if this is given, writes what it did if this process dies.
    session : int
        How often the run was begun or resumed: a virtual world does not repeat itself.
    programs : Programs, optional
        See `Lab`.
    tell, alarm : callable, optional
        Given a line about what had to be tried again, or that needs a person.
    told : callable, optional
        Given what came of making all safe at the end.
    heart : Heart, optional
        Of this process; it also kicks the station's dead-man.
    """
    file = read_station_file(station)
    heart = heart or Heart(say=alarm)
    with open_station(file, log, session, heart=heart, told=told) as instruments:
        lab = Lab(file, instruments, forced, programs)
        lab.tell = tell
        rules = tuple(rule for rule in file.config.interlocks if rule.name not in forced)
        guard = Guard(
            instruments, rules, stands_on(file.instruments), read=lab.read,
            glance=lab.read_brief, make_safe=lab.make_safe, tell=tell, alarm=alarm,
            patience=file.config.patience,
        )  # fmt: skip
        if file.config.dead_man is not None:
            heart.tasks.append(_kick(instruments, file.config.dead_man))
        heart.hanging = guard.hanging
        lab.guard = guard
        with guard.installed():
            yield lab


def _kick(instruments: "dict[str, Instrument]", dead_man: DeadMan) -> Callable[[], None]:
    """Return what kicks the dead-man, past the interlocks: it is no setting of the experiment."""
    put = find(instruments, dead_man.parameter).set
    values = cycle(dead_man.values)
    return lambda: put(next(values))


def _load(lab: Lab, programs: Programs, before: Programs | None) -> None:
    """Load programs into the generators; their outputs are on afterwards, unused ones off.

    Drives that play already, by the programs loaded `before`, are left alone.
    """
    generator = lab.pulse_generator
    for laser in ("pump", "read"):
        channel = lab.channel(f"{laser}_drive")
        drive = programs.drives.get(laser)
        if drive is None:
            generator.set_output(channel, on=False)
            continue
        if before is not None and drive.sounds_like(before.drives.get(laser)):
            continue
        if drive.samples is None:
            pulse = drive.pulses[0]
            shape = PulseShape(
                width=pulse.duration, delay=pulse.start, low=0.0, high=drive.high,
                edge=pulse.edge,
            )  # fmt: skip
            generator.program_pulse(channel, shape)
        else:
            generator.program_waveform(channel, drive.samples, drive.sample_rate)
        generator.set_output(channel, on=True)
    modulator, channel = lab.waveform_generator, lab.channel("eom_drive")
    if programs.modulator is None:
        modulator.set_output(channel, on=False)
        return
    program = programs.modulator
    modulator.load_segments(channel, program.segments, program.sample_rate)
    modulator.load_sequence(channel, program.steps)
    modulator.set_output(channel, on=True)


def _what_stopped(lab: Lab, programs: Programs) -> list[str]:
    """Ask lasers and generators of a loaded sequence whether they are on; tell who is not."""
    stopped = []
    for what, is_on in _needed(lab, programs):
        try:
            if not is_on():
                stopped.append(f"{what} is off")
        except (OSError, RuntimeError) as error:
            stopped.append(f"{what} cannot be asked: {said(error)}")
    return stopped


def _needed(lab: Lab, programs: Programs) -> Iterator[tuple[str, Callable[[], bool]]]:
    """Give what must be on, and what asks the instrument."""
    if "trigger" in lab.names:
        yield "the trigger", lab.trigger.is_running
    for laser in programs.drives:
        yield f"the {laser} laser", lab.lasers[laser].emission
        channel = lab.channel(f"{laser}_drive")
        yield f"the {laser} drive", partial(lab.pulse_generator.output_is_on, channel)
    if programs.modulator is not None:
        channel = lab.channel("eom_drive")
        yield "the EOM drive", partial(lab.waveform_generator.output_is_on, channel)


def record_tags(
    tagger: TimeTagger,
    path: Path,
    trials: int,
    period: float,
    progress: Callable[[float], float] | None = None,
) -> Recorded:
    """Record tags of `trials` trials into a tag file, which is valid at every moment.

    Interrupted, it stops the tagger, closes the file with what was measured and re-raises.

    Parameters
    ----------
    tagger : TimeTagger
    path : Path
    trials : int
        At least; as many more as fit until the tagger's next step of time.
    period : float
        Seconds per trial.
    progress : callable, optional
        Called with the seconds measured so far, by the tagger's clock; returns after how many it
        wants to be called again.
    """
    form = tagger.record_format()
    seconds = whole_steps(trials * period, form.duration_step)
    writer = PtuWriter(
        path,
        layout=find_layout(form.record_type),
        resolution=form.resolution,
        sync_period=period,
        acquisition_time=seconds,
        tags=dict(form.tags),
    )
    try:
        tagger.start(writer, seconds)
        _wait(tagger, progress)
    except BaseException as error:
        also(error, tagger.stop)
        also(error, lambda: _close_early(writer, tagger))
        raise
    measured = tagger.elapsed()
    whole = abs(measured - seconds) < 0.5 * period + 1e-3
    faults = tuple(f"{event.kind}: {event.message}" for event in tagger.events())
    reason = STOPPED_TIME_OVER if whole else STOPPED_MANUALLY
    writer.close(measured_time=seconds if whole else measured, stop_reason=reason)
    return Recorded(seconds=measured, whole=whole, faults=faults)


def whole_steps(seconds: float, step: float) -> float:
    """Return the shortest duration of whole steps that is not shorter; any if the step is 0."""
    if not step:
        return seconds
    steps = seconds / step
    nearest = round(steps)
    return step * (nearest if isclose(steps, nearest, rel_tol=1e-9) else ceil(steps))


def _wait(tagger: TimeTagger, progress: Callable[[float], float] | None) -> None:
    """Wait for the end, and look as often as `progress` wants in time of the recording.

    In a virtual lab that passes much faster than the time of the wall.
    """
    began, timeout = monotonic(), SHORTEST_POLL if progress else POLL
    while not tagger.wait(timeout):
        if progress is None:
            continue
        seconds = tagger.elapsed()
        wanted = progress(seconds)
        # a virtual lab waits for who looks until it is asked again, and passes time when it is
        while True:
            before, asked = seconds, monotonic()
            seconds = tagger.elapsed()
            if seconds >= wanted:
                if tagger.wait(0.0):
                    break
                wanted = progress(seconds)
            elif seconds - before <= REAL_PACE * (monotonic() - asked):
                break
        pace = seconds / (monotonic() - began)
        timeout = 0.2 * max(0.0, wanted - seconds) / pace if pace > 0 else POLL
        timeout = min(POLL, max(SHORTEST_POLL, timeout))


def _close_early(writer: PtuWriter, tagger: TimeTagger) -> None:
    measured = 0.0
    try:
        measured = tagger.elapsed()
    finally:
        writer.close(measured_time=measured, stop_reason=STOPPED_MANUALLY)
