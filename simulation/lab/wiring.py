"""Every port of the world by its place in the laboratory."""

from dataclasses import dataclass, field
from typing import Final

from simulation.lab.ports.drives import PhaseDrivePort, PulseDrivePort
from simulation.lab.ports.phase_lock import LockPort
from simulation.lab.ports.steady import (
    ActuatorPort,
    BiasPort,
    LaserPort,
    PowerPort,
    SwitchPort,
    ThermometerPort,
    TriggerPort,
    WavemeterPort,
)
from simulation.lab.ports.tagger import TaggerPort
from simulation.lab.world_parameters import FILTERS

LASERS: Final = ("pump", "read")
ACTUATORS: Final = (
    "attenuator_a",
    "attenuator_b",
    "eom_bias",
    "stretcher",
    *(f"filter_{name}" for name in FILTERS),
    "dead_man",
)
POWER_PLACES: Final = ("pump", "read", "arm_a", "arm_b", "reflected")


@dataclass(slots=True, kw_only=True)
class Wiring:
    """The connectors of the laboratory; simulated devices are built on them.

    Attributes
    ----------
    laser : dict of str to LaserPort
        ``pump`` (blue sideband), ``read`` (red sideband, and the lock pulse).
    aom_drive : dict of int to PulseDrivePort
        Channel 1 drives the AOM of the pump laser, channel 2 that of the read laser.
    eom_drive : dict of int to PhaseDrivePort
        Channel 1 drives the amplifier of the phase modulator in arm A; channel 2 is not connected.
    actuator : dict of str to ActuatorPort
        `ACTUATORS`: attenuators in both arms (before the devices), bias electrode of the phase
        modulator, second input of the stretcher, filters, input of the dead-man's relay.
    lock : LockPort
        Balanced detector to stretcher.
    bias : dict of int to BiasPort
        Detectors 1, 2.
    tagger : TaggerPort
        Sync: trigger; inputs 1, 2: detectors 1, 2.
    thermometer : ThermometerPort
    power : dict of str to PowerPort
        `POWER_PLACES`: behind the prefilter of each laser; in each arm before the device;
        reflected light in port 1 of the combining coupler, before the filters.
    wavemeter : WavemeterPort
        Switch channel 1: pump laser, 2: read laser.
    switch : dict of str to SwitchPort
        ``a``, ``b``: in each arm before the device.
    trigger : TriggerPort
        Starts the generators and the tagger's sync.
    """

    laser: dict[str, LaserPort] = field(
        default_factory=lambda: {name: LaserPort() for name in LASERS}
    )
    aom_drive: dict[int, PulseDrivePort] = field(
        default_factory=lambda: {1: PulseDrivePort(), 2: PulseDrivePort()}
    )
    eom_drive: dict[int, PhaseDrivePort] = field(
        default_factory=lambda: {1: PhaseDrivePort(), 2: PhaseDrivePort()}
    )
    actuator: dict[str, ActuatorPort] = field(
        default_factory=lambda: {name: ActuatorPort() for name in ACTUATORS}
    )
    lock: LockPort = field(default_factory=LockPort)
    bias: dict[int, BiasPort] = field(default_factory=lambda: {1: BiasPort(), 2: BiasPort()})
    tagger: TaggerPort = field(default_factory=TaggerPort)
    thermometer: ThermometerPort = field(default_factory=ThermometerPort)
    power: dict[str, PowerPort] = field(
        default_factory=lambda: {place: PowerPort() for place in POWER_PLACES}
    )
    wavemeter: WavemeterPort = field(default_factory=WavemeterPort)
    switch: dict[str, SwitchPort] = field(
        default_factory=lambda: {"a": SwitchPort(), "b": SwitchPort()}
    )
    trigger: TriggerPort = field(default_factory=TriggerPort)
