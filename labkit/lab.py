"""The lab as the procedures see it: roles, arming of a sequence, recording of tags."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from scipy import constants

from analysis.tagfile import PtuWriter, find_layout
from instruments.roles import (
    Actuator,
    Attenuator,
    BiasSource,
    Laser,
    PhaseLock,
    PowerMeter,
    PulseGenerator,
    PulseShape,
    Thermometer,
    TimeTagger,
    TunableFilter,
    WaveformGenerator,
    Wavemeter,
)
from labkit.cleanup import also, said
from labkit.compiler import Programs, compile_sequence
from labkit.sequence import PulseSequence
from labkit.station.config import StationFile, read_station_file
from labkit.station.interlocks import check_interlocks
from labkit.station.opening import open_station
from labkit.station.references import find
from labkit.station.safety import SafetyReport, make_safe, with_safe_state

if TYPE_CHECKING:
    from qcodes.instrument import Instrument

Role = TypeVar("Role")
POLL = 0.2
"""Seconds between looks at a running recording."""

TIME_OVER, STOPPED_BY_USER = 0, 1


class RoleError(RuntimeError):
    """A role is not filled, or by an instrument that cannot play it."""


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


class Lab:
    """Instruments by role. Not thread-safe: one procedure at a time.

    Parameters
    ----------
    file : StationFile
    instruments : dict of str to Instrument
    forced : tuple of str
        Interlocks that are told but not enforced.
    """

    def __init__(
        self, file: StationFile, instruments: "dict[str, Instrument]", forced: tuple[str, ...] = ()
    ) -> None:
        self.file, self.instruments, self.forced = file, instruments, forced
        config = file.config
        self.hardware, self.calibration = config.hardware, config.calibration

    def _play(self, role: str, kind: type[Role]) -> Role:
        name = self.file.config.roles.get(role)
        if not isinstance(name, str):
            message = f"{self.file.path}: labkit.roles: no instrument plays {role!r}; name one"
            raise RoleError(message)
        return self._as(role, name, kind)

    def _as(self, role: str, name: str, kind: type[Role]) -> Role:
        instrument: Any = self.instruments[name]
        if not isinstance(instrument, kind):
            missing = [m for m in dir(kind) if not m.startswith("_") and not hasattr(instrument, m)]
            message = f"instrument {name!r} cannot be {role}: it lacks {', '.join(missing)}"
            raise RoleError(message)
        return instrument

    @property
    def lasers(self) -> dict[str, Laser]:
        """Pump and read laser by name."""
        return {name: self._play(f"{name}_laser", Laser) for name in ("pump", "read")}  # type: ignore[type-abstract]

    @property
    def pulse_generator(self) -> PulseGenerator:
        """Drives the AOMs."""
        return self._play("pulse_generator", PulseGenerator)  # type: ignore[type-abstract]

    @property
    def waveform_generator(self) -> WaveformGenerator:
        """Drives the EOM in arm A."""
        return self._play("waveform_generator", WaveformGenerator)  # type: ignore[type-abstract]

    @property
    def phase_lock(self) -> PhaseLock:
        """Holds the interferometer."""
        return self._play("phase_lock", PhaseLock)  # type: ignore[type-abstract]

    @property
    def eom_bias(self) -> Actuator:
        """DC electrode of the EOM."""
        return self._play("eom_bias", Actuator)  # type: ignore[type-abstract]

    @property
    def tagger(self) -> TimeTagger:
        """Records clicks."""
        return self._play("tagger", TimeTagger)  # type: ignore[type-abstract]

    @property
    def attenuators(self) -> dict[str, Attenuator]:
        """Attenuators in front of devices A and B, by device."""
        return {x: self._play(f"attenuator_{x.lower()}", Attenuator) for x in "AB"}  # type: ignore[type-abstract]

    @property
    def detector_bias(self) -> BiasSource:
        """Bias of the detectors."""
        return self._play("detector_bias", BiasSource)  # type: ignore[type-abstract]

    @property
    def thermometer(self) -> Thermometer:
        """Cryostat thermometer."""
        return self._play("thermometer", Thermometer)  # type: ignore[type-abstract]

    @property
    def power_meter(self) -> PowerMeter:
        """Sees the pump light behind its filter."""
        return self._play("power_meter", PowerMeter)  # type: ignore[type-abstract]

    @property
    def reflection_meter(self) -> PowerMeter:
        """Sees light reflected by the devices, behind the combining coupler, before filters."""
        return self._play("reflection_meter", PowerMeter)  # type: ignore[type-abstract]

    @property
    def wavemeters(self) -> dict[str, Wavemeter]:
        """What sees the pump and the read laser, by the laser's name; a lab may have none."""
        roles = {"pump": "wavemeter", "read": "read_wavemeter"}
        return {
            laser: self._play(role, Wavemeter)  # type: ignore[type-abstract]
            for laser, role in roles.items()
            if role in self.file.config.roles
        }

    def laser_frequency(self, laser: str) -> float:
        """Return a laser's optical frequency by its wavemeter, Hz."""
        meters = self.wavemeters
        if laser not in meters:
            message = (
                f"{self.file.path}: labkit.roles: no wavemeter sees the {laser} laser; name one"
            )
            raise RoleError(message)
        return constants.c / float(meters[laser].wavelength())

    @property
    def filters(self) -> dict[str, TunableFilter]:
        """Tunable filters by place."""
        names = self.file.config.roles.get("filters")
        if not isinstance(names, dict):
            message = f"{self.file.path}: labkit.roles.filters: name the filters by place"
            raise RoleError(message)
        return {
            place: self._as(f"filter {place}", name, TunableFilter)  # type: ignore[type-abstract]
            for place, name in names.items()
        }

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
        return nan if value is None else float(value)

    def check_interlocks(self) -> tuple[str, ...]:
        """Check the station's interlocks; return what forced ones would have refused."""
        return check_interlocks(self.file.config.interlocks, self.read, forced=self.forced)

    def make_safe(self) -> SafetyReport:
        """Bring every instrument to its safe state now."""
        return make_safe(with_safe_state(self.instruments))

    def snapshot(self) -> dict[str, object]:
        """Return all parameter values the drivers know, flat: ``afg.ch1.high`` to value.

        Reads nothing from the instruments and changes nothing.
        """
        flat: dict[str, object] = {}
        for instrument in self.instruments.values():
            _flatten(instrument.snapshot(update=False), instrument.name, flat)
        return flat

    def compile(self, sequence: PulseSequence) -> Programs:
        """Check and compile a sequence for this lab; no instrument is touched."""
        return compile_sequence(sequence, self.hardware, self.calibration)

    def arm(self, sequence: PulseSequence) -> Programs:
        """Check, compile and load a sequence; outputs are on afterwards.

        Interlocks are checked first. If a step fails everything is made safe before the error goes
        on.
        """
        programs = self.compile(sequence)
        self.check_interlocks()
        try:
            self._load(programs)
        except BaseException:
            self.make_safe()
            raise
        return programs

    def drives_off(self) -> None:
        """Switch off the drives of both AOMs and of the EOM."""
        for laser in ("pump", "read"):
            self.pulse_generator.set_output(self.channel(f"{laser}_drive"), on=False)
        self.waveform_generator.set_output(self.channel("eom_drive"), on=False)

    def _load(self, programs: Programs) -> None:
        generator = self.pulse_generator
        for laser in ("pump", "read"):
            channel = self.channel(f"{laser}_drive")
            drive = programs.drives.get(laser)
            if drive is None:
                generator.set_output(channel, on=False)
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
        modulator, channel = self.waveform_generator, self.channel("eom_drive")
        if programs.modulator is None:
            modulator.set_output(channel, on=False)
            return
        program = programs.modulator
        modulator.load_segments(channel, program.segments, program.sample_rate)
        modulator.load_sequence(channel, program.steps)
        modulator.set_output(channel, on=True)

    def record(
        self,
        path: Path,
        trials: int,
        period: float,
        progress: Callable[[float], object] | None = None,
    ) -> Recorded:
        """Record tags of `trials` trials into a tag file, which is valid at every moment.

        Interrupted, it stops the tagger, closes the file with what was measured and re-raises.

        Parameters
        ----------
        path : Path
        trials : int
        period : float
            Seconds per trial.
        progress : callable, optional
            Called with the seconds measured so far.
        """
        tagger, seconds = self.tagger, trials * period
        form = tagger.record_format()
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
            while not tagger.wait(POLL):
                if progress is not None:
                    progress(tagger.elapsed())
        except BaseException as error:
            also(error, tagger.stop)
            also(error, lambda: _close_early(writer, tagger))
            raise
        measured = tagger.elapsed()
        whole = abs(measured - seconds) < 0.5 * period + 1e-3
        reason = TIME_OVER if whole else STOPPED_BY_USER
        writer.close(measured_time=seconds if whole else measured, stop_reason=reason)
        faults = tuple(f"{event.kind}: {event.message}" for event in tagger.events())
        return Recorded(seconds=measured, whole=whole, faults=faults)


def _close_early(writer: PtuWriter, tagger: TimeTagger) -> None:
    measured = 0.0
    try:
        measured = tagger.elapsed()
    finally:
        writer.close(measured_time=measured, stop_reason=STOPPED_BY_USER)


def _flatten(snapshot: dict[str, Any], prefix: str, flat: dict[str, object]) -> None:
    for name, entry in snapshot.get("parameters", {}).items():
        value = entry.get("value")
        if isinstance(value, str | int | float | bool | None) and name != "IDN":
            flat[f"{prefix}.{name}"] = value
    for name, part in snapshot.get("submodules", {}).items():
        _flatten(part, f"{prefix}.{name}", flat)


@contextmanager
def open_lab(
    path: str | Path,
    *,
    forced: tuple[str, ...] = (),
    log: Path | None = None,
    session: int = 1,
) -> Iterator[Lab]:
    """Open the lab of a station file; it is safe and closed at the end, whatever happens.

    Parameters
    ----------
    path : str or Path
        ``lab.yaml`` or ``virtual_lab.yaml``: there is no other difference.
    forced : tuple of str
        Interlocks to override.
    log : Path, optional
        Where a watchdog, started if this is given, writes what it did if this process dies.
    session : int
        How often the run was begun or resumed: a virtual world does not repeat itself.
    """
    file = read_station_file(path)
    with open_station(file, log, session) as instruments:
        yield Lab(file, instruments, forced)
