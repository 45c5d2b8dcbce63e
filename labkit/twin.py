"""A virtual lab that is a posterior: its station file, and runs compared with what it expects."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from analysis.yamlfile import parse_yaml, read_mapping, yaml_text
from labkit.experiment import read_experiment
from labkit.procedures.session import Session
from labkit.procedures.switch_on import SwitchOnOptions, switch_on
from labkit.run import create_run
from labkit.sequence import PulseSequence
from labkit.station.config import StationConfig, StationFile, read_station_file
from labkit.station.lab import Lab
from labkit.station.opening import open_instruments
from simulation.inference.posterior import Posterior, load_posterior
from simulation.inference.twin import adjusted, deviations, light_in_gates, memory
from simulation.lab.operating_point import OperatingPoint
from simulation.lab.world import World
from simulation.lab.world_parameters import WorldParameters

PREFIX = "twin:"
"""Of a station's name that is a posterior: ``twin:FILE``, or ``twin:FILE#7`` for draw 7."""

ROUNDS = 3
"""How often the constants are adjusted: filters' widths change what they pass."""

STILL = {"laser_drift_hz": 0.0, "filter_drift_hz": 0.0, "phase_drift": 0.0, "phase_drift_rate": 0.0}
"""What must not drift while constants are compared."""


def station_named(name: str) -> str | StationFile:
    """Return a station as commands name it: a file, one of labkit's, or a twin, which is built."""
    if not name.startswith(PREFIX):
        return name
    path, _, number = name.removeprefix(PREFIX).partition("#")
    if number and not number.isdigit():
        message = f"the station {name!r} must end in the number of a draw, but ends in {number!r}"
        raise ValueError(message)
    return twin_station(load_posterior(path), draw=int(number) if number else None, origin=path)


def twin_station(
    posterior: Posterior,
    *,
    draw: int | None = None,
    origin: str = "posterior",
    station: str | Path = "virtual",
    sequence: PulseSequence | None = None,
    seed: int = 1,
) -> StationFile:
    """Return the virtual lab's station file with the constants of a posterior.

    Parameters
    ----------
    posterior : Posterior
    draw : int, optional
        Which draw; by default the best fit.
    origin : str
        Named in the station's text.
    station : str or Path
        A station of a virtual lab, with the settings at which it is to behave so.
    sequence : PulseSequence, optional
        The reference pulses; by default those of the virtual lab, at the posterior's levels and
        delay.
    seed : int
        Of the twin's chance.

    Raises
    ------
    ValueError
        If the station is one of real instruments, or no such draw exists.
    """
    values = posterior.best if draw is None else posterior.draw(draw)
    return station_of_values(
        values, sequence or reference_sequence(posterior), station=station, seed=seed,
        name=origin if draw is None else f"{origin}#{draw}", arms=posterior.arms,
    )  # fmt: skip


def station_of_values(
    values: dict[str, float],
    sequence: PulseSequence,
    *,
    station: str | Path = "virtual",
    seed: int = 1,
    name: str = "values",
    arms: tuple[float, float] | None = None,
) -> StationFile:
    """Return the virtual lab's station file with constants that give inferred parameters.

    Parameters
    ----------
    values : dict of str to float
        By the names of `simulation.inference.table.PARAMETERS`.
    sequence : PulseSequence
        Whose pulses the values hold for.
    station, seed, name
        As for `twin_station`.
    arms : tuple of float, optional
        Transmissions of the attenuators A, B for which the values hold; by default the station's.
    """
    file = read_station_file(station)
    if file.config.world is None:
        message = f"{file.path}: is a station of real instruments; a twin needs a virtual lab's"
        raise ValueError(message)
    options = dict(file.config.world.options)
    usual = WorldParameters.of(cast("dict[str, Any]", options.get("parameters", {})))
    world = twin_world(values, sequence, file, usual, arms)
    known = asdict(usual)
    changed = {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in asdict(world).items()
        if value != known[key]
    }
    given = cast("dict[str, Any]", options.get("parameters", {}))
    plain = cast("dict[str, Any]", parse_yaml(file.text, str(file.path)))
    plain["labkit"]["world"] = {
        "factory": file.config.world.factory,
        "options": {**options, "seed": seed, "parameters": {**given, **changed}},
    }
    where = f"twin of {name}"
    config = read_mapping(StationConfig, plain["labkit"], f"{where}: labkit")
    text = f"# Twin of {name}, built on {file.path.name}\n{yaml_text(plain)}"
    return replace(file, text=text, config=config)


def twin_world(
    values: dict[str, float],
    sequence: PulseSequence,
    file: StationFile,
    world: WorldParameters,
    arms: tuple[float, float] | None = None,
) -> WorldParameters:
    """Return constants with which the station's working point and a sequence give these values."""
    for _ in range(ROUNDS):
        with settled(file, sequence, world, arms) as point:
            read = sequence.pulse("read")
            lit = light_in_gates(point, _gates(sequence))
            world = adjusted(values, point, lit, float(read.phase), world)
    return memory(values, _gates(sequence), world)


@contextmanager
def settled(
    file: StationFile,
    sequence: PulseSequence,
    world: WorldParameters,
    arms: tuple[float, float] | None = None,
) -> Iterator[OperatingPoint]:
    """Set a virtual lab without drifts to its working point through its drivers; give its state.

    Attenuators stand as in the station's file, or at `arms`.
    """
    options = dict(file.config.world.options) if file.config.world else {}
    chosen = cast("list[str] | None", options.get("instruments"))
    still = replace(world, **cast("dict[str, Any]", STILL))
    with (
        TemporaryDirectory() as folder,
        World.start(parameters=still, instruments=chosen) as lab,
        open_instruments(file, {**lab.addresses, **lab.objects}) as instruments,
    ):
        run = create_run(Path(folder), "twin", sequence.to_dict(), file.text, gates=sequence.gates)
        session = Session(lab=Lab(file, instruments), folder=run)
        switch_on(session, sequence, SwitchOnOptions())
        for arm, passed in zip(session.lab.attenuators.values(), arms or (), strict=False):
            arm.transmission(passed)
        lab.clock.advance(1.0)
        yield lab.plant.operating_point()


def what_differs(
    station: StationFile,
    values: dict[str, float],
    sequence: PulseSequence,
    arms: tuple[float, float] | None = None,
) -> tuple[str, ...]:
    """Say in what a twin's world is not as inferred, a sentence each."""
    if station.config.world is None:
        return ()
    options = station.config.world.options
    world = WorldParameters.of(cast("dict[str, Any]", options.get("parameters", {})))
    with settled(station, sequence, world, arms) as point:
        found = deviations(values, point, light_in_gates(point, _gates(sequence)))
    return tuple(
        f"{name} was inferred as {wanted:.3g}; no world with one energy per pulse has it, the twin "
        f"has {has:.3g}"
        for name, (wanted, has) in found.items()
    )


def reference_sequence(posterior: Posterior) -> PulseSequence:
    """Return the virtual lab's sequence at the levels and the delay of a posterior."""
    sequence = read_experiment("autopilot").sequence.with_delay(posterior.reference.delay)
    for name, level in posterior.levels.items():
        sequence = sequence.with_pulse(name, level=level)
    return sequence


def _gates(sequence: PulseSequence) -> tuple[tuple[float, float], ...]:
    gates = {gate.name: gate for gate in sequence.gates.gates}
    return tuple((gates[name].start, gates[name].stop) for name in ("pump", "read"))
