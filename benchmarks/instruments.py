"""Instruments over loopback: parameter latency and waveform upload, against what was promised."""

import contextlib
from collections.abc import Callable, Iterator
from statistics import median
from time import perf_counter

import numpy as np

from benchmarks.timing import Row

LATENCY_SECONDS = 2e-3
UPLOAD_SECONDS = 1.0
CONNECT_SECONDS = 3.0
POINTS = 1_000_000


def run(scale: float = 1.0) -> Iterator[Row]:
    """Give one row per instrument and per upload: promised over measured time."""
    from qcodes.instrument import Instrument

    repeats = max(20, int(300 * scale))
    with contextlib.ExitStack() as stack:
        stack.callback(Instrument.close_all)
        start = perf_counter()
        parameters = _connect(stack)
        yield _row("connect five instruments", CONNECT_SECONDS, perf_counter() - start)
        for name, (put, get) in parameters.items():
            yield _row(f"{name}: set", LATENCY_SECONDS, _median_seconds(put, repeats))
            yield _row(f"{name}: get", LATENCY_SECONDS, _median_seconds(get, repeats))
        yield from _uploads(scale)


def _connect(
    stack: contextlib.ExitStack,
) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    from instruments.keysight_81180a.driver import Keysight81180A
    from instruments.redpitaya_lockbox import RedPitayaLockbox
    from instruments.srs.sim900 import SRSSIM900
    from instruments.srs.sim960 import SRSSIM960, SRSSIM960InFrame
    from instruments.tektronix_afg3152c.driver import TektronixAFG3152C
    from simulation.lab.instruments.keysight_81180a import Simulated81180A
    from simulation.lab.instruments.redpitaya_lockbox import SimulatedLockbox
    from simulation.lab.instruments.srs_sim900 import SimulatedSIM900
    from simulation.lab.instruments.srs_sim960 import SimulatedSIM960
    from simulation.lab.instruments.tektronix_afg3152c import SimulatedAFG3152C
    from simulation.lab.servers.serial_line import SerialLine
    from simulation.lab.servers.tcp import TcpServer

    def tcp(device: SimulatedAFG3152C | Simulated81180A | SimulatedLockbox) -> str:
        return stack.enter_context(TcpServer(device)).address

    def serial(device: SimulatedSIM960 | SimulatedSIM900) -> str:
        return stack.enter_context(SerialLine(device)).address

    limits = {"load": 50.0, "low": 0.0, "high": 1.0}
    afg = TektronixAFG3152C(
        "afg",
        tcp(SimulatedAFG3152C()),
        channels={1: limits, 2: limits},
        trigger_latency=0.0,
        visalib="@py",
    )
    awg = Keysight81180A("awg", tcp(Simulated81180A()), peak_limit=1.0, visalib="@py")
    box = RedPitayaLockbox(
        "box",
        tcp(SimulatedLockbox()),
        input_channel=1,
        output_channel=1,
        output_min=-1.0,
        output_max=1.0,
        visalib="@py",
    )
    pid = SRSSIM960("pid", serial(SimulatedSIM960()), visalib="@py", output_min=-1, output_max=5)
    frame = SRSSIM900("frame", serial(SimulatedSIM900({3: SimulatedSIM960()})), visalib="@py")
    module = SRSSIM960InFrame("module", frame, 3, output_min=-1, output_max=5)
    return {
        "AFG3152C delay (TCP)": (lambda: afg.ch1.trigger_delay(1e-7), afg.ch1.trigger_delay.get),
        "81180A offset (TCP)": (lambda: awg.ch1.offset(0.1), awg.ch1.offset.get),
        "lockbox set-point (TCP)": (lambda: box.setpoint(0.1), box.setpoint.get),
        "SIM960 set-point (serial)": (lambda: pid.setpoint(0.1), pid.setpoint.get),
        "SIM960 in SIM900 (serial)": (lambda: module.setpoint(0.1), module.setpoint.get),
    }


def _uploads(scale: float) -> Iterator[Row]:
    from qcodes.instrument import Instrument

    awg, afg = Instrument.find_instrument("awg"), Instrument.find_instrument("afg")
    points = max(320, int(POINTS * scale)) // 32 * 32
    samples = 0.5 * np.sin(np.arange(points) / 1000)
    taken = _median_seconds(lambda: awg.load_segments(1, [samples], 4.2e9), 5)
    yield _row(f"81180A upload of {points:,} points", UPLOAD_SECONDS * scale, taken)
    short = 0.5 + samples[:131_072]
    taken = _median_seconds(lambda: afg.program_waveform(1, short, 250e6), 5)
    yield _row(f"AFG3152C upload of {len(short):,} points", UPLOAD_SECONDS, taken)


def _median_seconds(job: Callable[[], object], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        start = perf_counter()
        job()
        taken.append(perf_counter() - start)
    return median(taken)


def _row(name: str, promised: float, taken: float) -> Row:
    detail = f"{taken * 1e3:.2f} ms of {promised * 1e3:g} ms"
    return Row(name=name, ratio=promised / taken, target=1.0, detail=detail)
