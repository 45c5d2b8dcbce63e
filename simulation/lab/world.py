"""The virtual lab in one piece: clock, plant, instruments, servers."""

import os
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self, cast

from simulation.lab.bench import BENCH, BenchInstrument
from simulation.lab.clock import VirtualClock
from simulation.lab.instrument_faults import InstrumentFault
from simulation.lab.plant import Plant
from simulation.lab.plant_faults import PlantFault, schedule
from simulation.lab.servers.serial_line import SerialLine
from simulation.lab.servers.tcp import TcpServer
from simulation.lab.servers.wire import Stoppable
from simulation.lab.wiring import Wiring
from simulation.lab.world_parameters import WorldParameters

if TYPE_CHECKING:
    from simulation.lab.instruments.bluefors import BlueforsLogFolder
    from simulation.lab.servers.wire import WireInstrument

INSTRUMENT = "instrument"
"""Key of a plain fault that names the instrument; without it the fault is the plant's."""


class World(Stoppable):
    """A running virtual lab; use `start`, in a ``with`` statement.

    Nothing reaches the plant but through an instrument's protocol. Time is virtual and passes as
    instruments need it.

    Attributes
    ----------
    clock : VirtualClock
    plant : Plant
        For tests: what the world really does.
    wiring : Wiring
    instruments : dict of str to object
        Simulated instruments by name (`simulation.lab.bench.BENCH`).
    addresses : dict of str to str
        VISA resource names of those with a wire.
    objects : dict of str to object
        Vendor-library objects of the others.
    """

    def __init__(self, plant: Plant, instruments: Mapping[str, object]) -> None:
        self.plant, self.clock, self.wiring = plant, plant.clock, plant.wiring
        self.instruments = dict(instruments)
        self.addresses: dict[str, str] = {}
        self.objects: dict[str, Any] = {}
        self._servers = ExitStack()
        try:
            for name, instrument in self.instruments.items():
                self._reach(name, instrument)
        except BaseException:
            self.stop()
            raise

    @classmethod
    def start(
        cls,
        *,
        seed: int = 0,
        session: int = 1,
        faults: Iterable[Mapping[str, object]] = (),
        instruments: Iterable[str] | None = None,
        parameters: WorldParameters | Mapping[str, Any] | None = None,
        stride: float | None = None,
    ) -> Self:
        """Build the world and serve its instruments.

        Parameters
        ----------
        seed : int
            Same seed and same commands in the same order, same tags.
        session : int
            Worlds of the same seed and different sessions differ in their chance events.
        faults : iterable of mapping
            As `inject` takes them.
        instruments : iterable of str, optional
            Names in `simulation.lab.bench.BENCH`; by default the standard ones.
        parameters : WorldParameters or mapping, optional
            Constants of the world; a mapping names those that differ from the usual ones (one
            number serves for both of a pair).
        stride : float, optional
            Longest virtual time that passes when the tagger's reader finds nothing waiting, s.

        Raises
        ------
        ValueError
            If an instrument or a fault is not known.
        """
        names = [name for name, place in BENCH.items() if place.standard]
        chosen = names if instruments is None else list(instruments)
        if unknown := [name for name in chosen if name not in BENCH]:
            message = (
                f"`instruments` must be names of {', '.join(BENCH)}, but has {', '.join(unknown)}"
            )
            raise ValueError(message)
        chance = seed if session == 1 else (seed, session)
        plant = Plant(VirtualClock(), Wiring(), _constants(parameters), seed=chance)
        if stride is not None:
            plant.recorder.stride = stride
        world = cls(plant, {name: BENCH[name].build(plant.wiring, plant.clock) for name in chosen})
        try:
            for fault in faults:
                world.inject(fault)
        except BaseException:
            world.stop()
            raise
        return world

    def inject(self, fault: Mapping[str, object]) -> None:
        """Let something go wrong.

        Parameters
        ----------
        fault : mapping
            With ``instrument``: an `InstrumentFault` of that instrument, from now on. Without: a
            `PlantFault` at its virtual time.
        """
        if INSTRUMENT not in fault:
            schedule(self.plant, PlantFault.from_plain(fault))
            return
        name = str(fault[INSTRUMENT])
        if name not in self.instruments:
            message = f"`instrument` must be one of {', '.join(self.instruments)}, but is {name!r}"
            raise ValueError(message)
        instrument = self.instruments[name]
        if not hasattr(instrument, "faults"):
            message = f"no faults can be injected into {name!r}"
            raise ValueError(message)
        plain = {key: value for key, value in fault.items() if key != INSTRUMENT}
        cast("BenchInstrument", instrument).faults.inject(InstrumentFault.from_plain(plain))

    def stop(self) -> None:
        """Stop all servers; idempotent."""
        self._servers.close()

    def _reach(self, name: str, instrument: object) -> None:
        """Serve an instrument, or hand it out."""
        link = BENCH[name].link
        if link == "object":
            self.objects[name] = instrument
            return
        if link == "folder":
            folder = cast("BlueforsLogFolder", instrument)
            self._servers.enter_context(folder)
            self.addresses[name] = folder.address
            return
        wired = cast("WireInstrument", instrument)
        # where there are no pseudo-terminals a serial instrument stands behind a serial-to-LAN box
        serial = link == "serial" and hasattr(os, "openpty")
        server: SerialLine | TcpServer = SerialLine(wired) if serial else TcpServer(wired)
        self._servers.enter_context(server)
        self.addresses[name] = server.address
        if isinstance(server, TcpServer) and link in ("socket", "port", "http"):
            self.objects[f"{name}_port"] = server.port
        if isinstance(server, TcpServer) and link in ("port", "http"):
            url = f"http://127.0.0.1:{server.port}"
            self.addresses[name] = url if link == "http" else "127.0.0.1"


def _constants(given: WorldParameters | Mapping[str, Any] | None) -> WorldParameters:
    if isinstance(given, WorldParameters):
        return given
    return WorldParameters.of(given or {})
