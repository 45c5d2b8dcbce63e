"""The lab as the procedures see it: roles, arming of a sequence, recording of tags."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from scipy import constants

from instruments.roles import (
    Actuator,
    Attenuator,
    BiasSource,
    Laser,
    PhaseLock,
    PowerMeter,
    PulseGenerator,
    Thermometer,
    TimeTagger,
    TunableFilter,
    WaveformGenerator,
    Wavemeter,
)
from labkit.cleanup import said
from labkit.compiler import Programs, compile_sequence
from labkit.loading import load, what_stopped
from labkit.recording import Recorded, record_tags
from labkit.sequence import PulseSequence
from labkit.station.config import StationFile, read_station_file
from labkit.station.interlocks import check_interlocks
from labkit.station.opening import open_station
from labkit.station.references import find
from labkit.station.safety import SafetyReport, make_safe, with_safe_state

if TYPE_CHECKING:
    from qcodes.instrument import Instrument

Role = TypeVar("Role")
WATCHDOG_LOG = "watchdog.txt"
"""In a run folder; exists if the run's process died and the watchdog acted."""


class RoleError(RuntimeError):
    """A role is not filled, or by an instrument that cannot play it."""


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
        self._loaded: Programs | None = None

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
        self._loaded = None
        try:
            load(self, programs)
        except BaseException:
            self.make_safe()
            raise
        self._loaded = programs
        return programs

    def what_stopped(self) -> list[str]:
        """Ask lasers and generators of the loaded sequence whether they are on; tell who is not.

        An instrument that was lost or switched off while nobody talked to it is found this way.
        """
        return [] if self._loaded is None else what_stopped(self, self._loaded)

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
        progress: Callable[[float], object] | None = None,
    ) -> Recorded:
        """Record tags of `trials` trials into a tag file; see `record_tags`."""
        return record_tags(self.tagger, path, trials, period, progress)


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
