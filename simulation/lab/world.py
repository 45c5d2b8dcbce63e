"""The virtual lab assembled: one world, and a simulated instrument at every connector."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Self

from simulation.lab.clock import VirtualClock
from simulation.lab.devices.highfinesse import SimulatedWlmData
from simulation.lab.devices.keysight_81180a import Simulated81180A
from simulation.lab.devices.lakeshore_372 import SimulatedLakeshore372
from simulation.lab.devices.nidaq import SimulatedNIDAQ
from simulation.lab.devices.snspd_bias import SimulatedPhotonSpot
from simulation.lab.devices.srs_sim960 import SimulatedSIM960
from simulation.lab.devices.tektronix_afg3152c import SimulatedAFG3152C
from simulation.lab.devices.thorlabs_pm100 import SimulatedPM100
from simulation.lab.devices.timeharp260 import SimulatedTH260Lib
from simulation.lab.devices.tlb6700 import SimulatedTLB6700
from simulation.lab.instrument_faults import InstrumentFault
from simulation.lab.plant import Plant
from simulation.lab.plant_faults import PlantFault, schedule
from simulation.lab.servers.serial_line import SerialLine
from simulation.lab.servers.tcp import TcpServer
from simulation.lab.servers.wire import WireDevice
from simulation.lab.wiring import ACTUATORS, Wiring
from simulation.lab.world_parameters import WorldParameters

DAQ_LINES = {f"Dev1/ao{number}": name for number, name in enumerate(ACTUATORS)}
"""Analog output lines of the simulated NI-DAQ card, and what hangs on them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A running virtual lab; use `start`.

    Attributes
    ----------
    clock : VirtualClock
    plant : Plant
    addresses : dict of str to str
        VISA resource names: ``afg``, ``awg``, ``lock``, ``fridge``, ``power_meter``.
    objects : dict of str to object
        What drivers of vendor libraries and USB devices are given: ``laser_pump``,
        ``laser_read``, ``timeharp``, ``daq``, ``bias``, ``wavemeter``.
    devices : dict of str to object
        The simulated instruments, for injecting faults while it runs.
    """

    clock: VirtualClock
    plant: Plant
    addresses: dict[str, str]
    objects: dict[str, Any]
    devices: dict[str, Any]

    @classmethod
    @contextmanager
    def start(
        cls,
        *,
        seed: int = 0,
        session: int = 1,
        parameters: WorldParameters | Mapping[str, Any] | None = None,
        faults: Iterable[Mapping[str, object]] = (),
    ) -> Iterator[Self]:
        """Start the world and its servers; all are stopped at the end.

        Parameters
        ----------
        seed : int
            Same seed and same actions, same world.
        session : int
            Worlds of the same seed and different sessions differ in their chance events.
        parameters : WorldParameters or mapping, optional
            Constants that differ from the usual ones.
        faults : iterable of mapping
            Plant faults (`PlantFault`), or faults of an instrument (`InstrumentFault`, with its
            name as ``instrument``).

        Raises
        ------
        ValueError
            If a fault or a parameter is not known.
        """
        world = _parameters(parameters)
        clock, wiring = VirtualClock(), Wiring()
        chance = seed if session == 1 else (seed, session)
        plant = Plant(clock, wiring, world, seed=chance)
        served, objects = _served(wiring, clock), _objects(wiring, clock)
        with ExitStack() as stack:
            addresses = {name: _serve(stack, name, device) for name, device in served.items()}
            running = cls(
                clock=clock,
                plant=plant,
                addresses=addresses,
                objects=objects,
                devices={**served, **objects},
            )
            for fault in faults:
                running.inject(fault)
            yield running

    def inject(self, fault: Mapping[str, object]) -> None:
        """Let something go wrong, now or at the fault's own time.

        Raises
        ------
        ValueError
            If the fault is not known, or its instrument cannot have faults on its wire.
        """
        if "instrument" not in fault:
            schedule(self.plant, PlantFault.from_plain(fault))
            return
        name = str(fault["instrument"])
        faults = getattr(self.devices.get(name), "faults", None)
        if faults is None:
            able = [n for n, device in self.devices.items() if hasattr(device, "faults")]
            message = f"`instrument` must be one of {', '.join(able)}, but is {name!r}"
            raise ValueError(message)
        plain = {key: value for key, value in fault.items() if key != "instrument"}
        faults.inject(InstrumentFault.from_plain(plain))


def _parameters(given: WorldParameters | Mapping[str, Any] | None) -> WorldParameters:
    if isinstance(given, WorldParameters):
        return given
    try:
        return WorldParameters(**(given or {}))
    except TypeError as error:
        message = f"`parameters` must name constants of the world, but: {error}"
        raise ValueError(message) from None


def _served(wiring: Wiring, clock: VirtualClock) -> dict[str, WireDevice]:
    """Return the instruments that are reached by an address."""
    aom, eom = wiring.aom_drive, wiring.eom_drive
    return {
        "afg": SimulatedAFG3152C((aom[1], aom[2])),
        "awg": Simulated81180A((eom[1], eom[2]), clock),
        "lock": SimulatedSIM960(wiring.lock, clock),
        "fridge": SimulatedLakeshore372(wiring.thermometer),
        "power_meter": SimulatedPM100(wiring.power["pump"]),
    }


def _objects(wiring: Wiring, clock: VirtualClock) -> dict[str, Any]:
    """Return the instruments that are reached through an object in this process."""
    return {
        "laser_pump": SimulatedTLB6700(wiring.laser["pump"], clock),
        "laser_read": SimulatedTLB6700(wiring.laser["read"], clock),
        "timeharp": SimulatedTH260Lib(wiring.tagger),
        "daq": SimulatedNIDAQ({line: wiring.actuator[name] for line, name in DAQ_LINES.items()}),
        "bias": SimulatedPhotonSpot(wiring.bias),
        "wavemeter": SimulatedWlmData(wiring.wavemeter),
    }


def _serve(stack: ExitStack, name: str, device: WireDevice) -> str:
    """Serve a device: the serial one on a pseudo-terminal where there are any, else by TCP."""
    if name == "lock" and os.name == "posix":
        return stack.enter_context(SerialLine(device)).address
    return stack.enter_context(TcpServer(device)).address
