"""What a lab is made of: one table of roles; `Lab`, the station's checks and the docs follow it."""

# mypy: disable-error-code="type-abstract"
# roles are asked of instruments, never made

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Generic, Self, TypeVar, overload

from instruments import roles as ask

T = TypeVar("T")


class RoleError(RuntimeError):
    """A role is not filled, or by an instrument that cannot play it."""


class Role(Generic[T]):
    """An entry of the table; read from a lab, the instrument that plays it.

    Parameters
    ----------
    protocol : type
        What the instrument must be able to do.
    meaning : str
        What it is there for.
    required : bool
        Whether every procedure needs it; others are needed if a procedure's options ask for them.
    powerful : bool
        Whether it makes light, drive or bias, so that only the working point may set it up.
    adapter : str
        Driver that gives any QCoDeS parameter this role.
    """

    name: str

    def __init__(
        self,
        protocol: type[T],
        meaning: str,
        *,
        required: bool = True,
        powerful: bool = False,
        adapter: str = "",
    ) -> None:
        self.protocol, self.meaning, self.required = protocol, meaning, required
        self.powerful, self.adapter = powerful, adapter
        self.__doc__ = meaning

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, cast: None, owner: type) -> Self: ...
    @overload
    def __get__(self, cast: "Cast", owner: type) -> T: ...
    def __get__(self, cast: "Cast | None", owner: type) -> "Self | T":
        if cast is None:
            return self
        name = cast.names.get(self.name)
        if not isinstance(name, str):
            message = f"{cast.where}: labkit.roles: no instrument plays {self.name!r}; name one"
            raise RoleError(message)
        return self.played(cast, name, self.name)

    def played(self, cast: "Cast", name: str, role: str) -> T:
        """Return an instrument, if it can play the role."""
        instrument: Any = cast.instruments[name]
        if (role, name) in cast.fitting:  # found once: to look at a protocol takes 0.2 ms
            return instrument  # type: ignore[no-any-return]
        if not isinstance(instrument, self.protocol):
            asked = (member for member in dir(self.protocol) if not member.startswith("_"))
            missing = [member for member in asked if not hasattr(instrument, member)]
            message = f"instrument {name!r} cannot be {role}: it lacks {', '.join(missing)}"
            if self.adapter:
                message += f"; instruments.{self.adapter} gives QCoDeS parameters this role"
            raise RoleError(message)
        cast.fitting.add((role, name))
        return instrument


class RoleByPlace(Role[T]):
    """A role that several instruments play; read from a lab, these by their place."""

    @overload  # type: ignore[override]  # several instead of one
    def __get__(self, cast: None, owner: type) -> Self: ...
    @overload
    def __get__(self, cast: "Cast", owner: type) -> dict[str, T]: ...
    def __get__(self, cast: "Cast | None", owner: type) -> "Self | dict[str, T]":
        if cast is None:
            return self
        names = cast.names.get(self.name)
        if not isinstance(names, dict):
            message = f"{cast.where}: labkit.roles.{self.name}: name the {self.name} by place"
            raise RoleError(message)
        one = self.name.removesuffix("s")
        return {place: self.played(cast, name, f"{one} {place}") for place, name in names.items()}


class Cast:
    """Instruments in their roles.

    Parameters
    ----------
    names : mapping
        Role to an instrument's name, or to names by place.
    instruments : mapping of str to Instrument
    where : str
        Names the station file in errors.

    Attributes
    ----------
    fitting : set of (str, str)
        Roles and instruments that were found to fit.
    """

    def __init__(
        self,
        names: Mapping[str, str | dict[str, str]],
        instruments: Mapping[str, Any],
        where: str,
    ) -> None:
        self.names, self.instruments, self.where = names, instruments, where
        self.fitting: set[tuple[str, str]] = set()

    pump_laser = Role(
        ask.Laser, "drives the pump (write) pulses", powerful=True, adapter="ParameterLaser"
    )
    read_laser = Role(
        ask.Laser, "drives the read and lock pulses", powerful=True, adapter="ParameterLaser"
    )
    pulse_generator = Role(
        ask.PulseGenerator, "drives the AOMs", powerful=True, adapter="AWG5014Pulses"
    )
    waveform_generator = Role(
        ask.WaveformGenerator, "drives the EOM in arm A", powerful=True, adapter="AWG5014Waveforms"
    )
    phase_lock = Role(ask.PhaseLock, "holds the interferometer", powerful=True)
    eom_bias = Role(ask.Actuator, "DC electrode of the EOM", adapter="ParameterVoltage")
    tagger = Role(ask.TimeTagger, "records clicks")
    attenuator_a = Role(
        ask.Attenuator, "in front of device A", powerful=True, adapter="ParameterAttenuator"
    )
    attenuator_b = Role(
        ask.Attenuator, "in front of device B", powerful=True, adapter="ParameterAttenuator"
    )
    detector_bias = Role(
        ask.BiasSource, "bias of the detectors", powerful=True, adapter="ParameterBias"
    )
    filters = RoleByPlace(
        ask.TunableFilter,
        "filters by place: pump, read, 1a, 1b, 2a, 2b",
        adapter="MicronOpticsFFPTF2",
    )
    thermometer = Role(
        ask.Thermometer, "temperature of the cryostat", adapter="ParameterThermometer"
    )
    stretcher = Role(
        ask.Actuator,
        "fibre stretcher by hand, without the lock",
        required=False,
        adapter="ParameterVoltage",
    )
    power_meter = Role(
        ask.PowerMeter,
        "pump light behind its filter",
        required=False,
        adapter="ParameterPowerMeter",
    )
    reflection_meter = Role(
        ask.PowerMeter,
        "light reflected by the devices, behind the combining coupler, before the filters",
        required=False,
        adapter="ParameterPowerMeter",
    )
    wavemeter = Role(ask.Wavemeter, "wavelength of the pump laser", required=False)
    read_wavemeter = Role(ask.Wavemeter, "wavelength of the read laser", required=False)
    trigger = Role(
        ask.TriggerSource,
        "starts every trial",
        required=False,
        powerful=True,
        adapter="ParameterTrigger",
    )
    switches = RoleByPlace(
        ask.OpticalSwitch, "optical switches by place: a, b", required=False, powerful=True
    )


ROLES: Mapping[str, Role[Any]] = MappingProxyType(
    {name: role for name, role in vars(Cast).items() if isinstance(role, Role)}
)
"""By the name that a station file gives an instrument for."""
