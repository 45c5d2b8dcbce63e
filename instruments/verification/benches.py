"""What is particular to each device: what must hold before, and what the manuals say it does.

Numbers and words are those of manuals and public drivers, not taken from the drivers' own tables.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import pi
from typing import Any, get_args

from instruments.verification.checks import (
    Check,
    CheckError,
    Step,
    common_checks,
    demand,
    set_and_read_back,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A device on the bench.

    Attributes
    ----------
    before : str
        What somebody must have seen to before the first check.
    checks : tuple of Check
    """

    before: str
    checks: tuple[Check, ...] = ()


def bench_of(instrument: Any) -> Bench:
    """Return the bench of an instrument's class, or of the nearest of its bases."""
    for kind in type(instrument).__mro__:
        if kind.__name__ in BENCHES:
            return BENCHES[kind.__name__]
    return Bench(before="outputs disconnected; nobody else uses it")


def checks_of(instrument: Any) -> tuple[Check, ...]:
    """Return all checks of an instrument, in an order that does no harm."""
    every = (*common_checks(instrument), *bench_of(instrument).checks, *_powerful(instrument))
    return tuple(sorted(every, key=lambda check: get_args(Step).index(check.step)))


def _powerful(instrument: Any) -> Iterator[Check]:
    """Give the checks that make light or bias."""
    if "emission" in instrument.parameters:
        yield Check(
            name="emission", step="light", expected="on, and off again, each read back",
            run=_emission,
        )  # fmt: skip
    if hasattr(instrument, "ramp_to") and hasattr(instrument, "delatch"):
        yield Check(
            name="ramp", step="bias", expected="0, 0.5 µA and 0 on channel 1", run=_ramp
        )  # fmt: skip


def _emission(laser: Any) -> str:
    try:
        laser.emission(True)
        demand(laser.emission() is True, "switched on, but reads off")
    finally:
        laser.safe_state()
    return demand(laser.emission() is False, "on, then off")


def _ramp(bias: Any) -> str:
    try:
        for current in (0.0, 0.5e-6, 0.0):
            bias.ramp_to(1, current)
            demand(abs(bias.current(1) - current) < 1e-8, f"{bias.current(1):g} A")
    finally:
        bias.safe_state()
    return "0, 0.5 µA, 0"


def _answers(name: str, query: str, expected: str, *replies: str) -> Check:
    """Return the check that a query gets one of some replies; none given: it is recorded."""

    def run(instrument: Any) -> str:
        reply = instrument.ask(query).strip()
        return demand(not replies or reply in replies, f"{query} → {reply}")

    return Check(name=name, step="read", expected=expected, run=run)


def _degrees(generator: Any) -> str:
    own = float(generator.ask("SOUR1:PHAS?"))
    try:
        generator.write("SOUR1:PHAS 90DEG")
        reply = float(generator.ask("SOUR1:PHAS?"))
    finally:
        generator.write(f"SOUR1:PHAS {own:.6g}")
    return demand(abs(reply - pi / 2) < 1e-3, f"90DEG reads {reply:g}")


def _memory_lengths(generator: Any) -> str:
    """Around 16 384 points the clock changes; on which side of it that number lies is unknown."""
    seen = []
    for points in (16_383, 16_384):
        generator.write(f"DATA:DEF EMEM,{points}")
        seen.append((points, int(generator.ask("DATA:POIN? EMEM"))))
    told = ", ".join(f"{wanted} → {found}" for wanted, found in seen)
    return demand(all(wanted == found for wanted, found in seen), told)


def _battery(bias: Any) -> str:
    told = [text for n in range(1, bias.n_channels + 1) for text in bias.events(n)]
    seen = any("switched over" in text for text in told)
    return demand(seen, "; ".join(told) or "no change-over was told")


def _rate_digits(servo: Any) -> str:
    own = servo.ask("RATE?")
    try:
        servo.write("RATE 2.2E-3")
        reply = servo.ask("RATE?").strip()
    finally:
        servo.write(f"RATE {own}")
    return demand(reply == "+0.2E-2", f"RATE 2.2E-3, then RATE? → {reply}")


def _limits_conflict(servo: Any) -> str:
    upper, lower = float(servo.ask("ULIM?")), float(servo.ask("LLIM?"))
    middle = (upper + lower) / 2
    try:
        servo.write(f"ULIM {middle:.2f}")
        servo.write(f"LLIM {(middle + upper) / 2:.2f}")
    except RuntimeError as error:
        return str(error)
    finally:
        servo.write(f"ULIM {upper:.2f}")
        servo.write(f"LLIM {lower:.2f}")
    told = "LLIM above ULIM was accepted"
    raise CheckError(told)


def _illegal_link(generator: Any) -> str:
    try:
        generator.write("DLAY 2,2,0")
    except RuntimeError as error:
        return demand(generator.ask("LERR?").strip() == "0", f"{error}; then LERR? 0")
    told = "DLAY 2,2,0 was accepted"
    raise CheckError(told)


def _sensor(meter: Any) -> str:
    fields = meter.sensor()
    wavelength_settable = 32
    flags = int(fields[-1]) if len(fields) == 6 and fields[-1].isdigit() else -1
    return demand(flags >= 0 and bool(flags & wavelength_settable), ", ".join(fields))


def _library_version(tagger: Any) -> str:
    version = str(dict(tagger.record_format().tags).get("HW_LibraryVersion", "not told"))
    return demand(version.startswith("3.2"), version)


def _every_channel(switch: Any) -> str:
    try:
        for channel in range(1, switch.n_channels + 1):
            switch.position(channel)
            demand(switch.position() == channel, f"{channel} reads {switch.position()}")
    finally:
        switch.safe_state()
    return f"1 to {switch.n_channels}, then dark ({switch.dark})"


def _detectors_stay_off(driver: Any) -> str:
    currents = [driver.known_current(n) for n in range(1, driver.n_channels + 1)]
    driver.snapshot(update=True)
    after = [driver.known_current(n) for n in range(1, driver.n_channels + 1)]
    return demand(currents == after, f"{currents} A, after a snapshot {after} A")


_DUMMY = "a dummy resistor instead of each nanowire; detectors unplugged"
_DARK = "key off or output shuttered; fibre capped"
_SNAPSHOT = Check(
    name="snapshot", step="read", expected="a snapshot changes no current", run=_detectors_stay_off
)  # fmt: skip
_SERVO = (
    _answers("mode", "AMAN?", "released: 0 or MAN", "0", "MAN"),
    Check(name="digits", step="set", expected="RATE 2.2E-3 reads +0.2E-2 (manual)",
          run=_rate_digits),
    Check(name="limits", step="error", expected="LLIM above ULIM is refused",
          run=_limits_conflict),
)  # fmt: skip

BENCHES: dict[str, Bench] = {
    "TektronixAFG3152C": Bench(
        before="both outputs off, and unplugged or on 50 Ω; AOM drivers without power",
        checks=(
            _answers("output 1", "OUTP1:STAT?", "off", "0"),
            _answers("output 2", "OUTP2:STAT?", "off", "0"),
            Check(name="phase", step="set", expected="90DEG reads 1.5708, in radians (manual)",
                  run=_degrees),
            Check(name="memory", step="set",
                  expected="16383 and 16384 points are taken; the edit memory is lost",
                  run=_memory_lengths),
            set_and_read_back("trigger_period", 1e-3, 2e-3),
            set_and_read_back("trigger_slope", "falling", "rising"),
        ),
    ),
    "Keysight81180A": Bench(
        before="outputs off; amplifier off; EOM disconnected",
        checks=(
            set_and_read_back("ch2.amplitude", 0.1, 0.2),
            set_and_read_back("ch1.trigger_level", 0.5, 1.0),
        ),
    ),
    "SRSSIM960": Bench(
        before="output disconnected from the piezo driver; inputs shorted or on 50 Ω",
        checks=_SERVO,
    ),
    "SRSSIM960InFrame": Bench(
        before="output disconnected from the piezo driver; inputs shorted or on 50 Ω",
        checks=_SERVO,
    ),
    "SRSSIM900": Bench(before="no module is streaming"),
    "RedPitayaLockbox": Bench(before="outputs into 50 Ω, not the stretcher"),
    "NewportTLB6700": Bench(
        before=_DARK, checks=(set_and_read_back("piezo_percent", 51.0, 50.0),)
    ),
    "TopticaDLCPro": Bench(before=_DARK),
    "SantecTSL": Bench(before=_DARK, checks=(set_and_read_back("power", 1e-3, 2e-3),)),
    "ParameterLaser": Bench(before=_DARK),
    "PicoQuantTimeHarp260": Bench(
        before="detectors off, or inputs open or terminated",
        checks=(
            Check(name="library", step="read",
                  expected="3.2: earlier ones count the other edge (manual)",
                  run=_library_version),
        ),
    ),
    "HarpTagger": Bench(before="detectors off, or inputs open or terminated"),
    "SwabianTimeTagger": Bench(before="inputs open"),
    "ThorlabsPM100": Bench(
        before="cap on the sensor",
        checks=(
            Check(name="sensor", step="read",
                  expected="six fields; flag 32, wavelength settable, is up", run=_sensor),
            set_and_read_back("averages", 1, 100),
        ),
    ),
    "LakeshoreModel372Thermometer": Bench(
        before="no heater range on; somebody watches the cryostat"
    ),
    "PhotonSpotBias": Bench(before=_DUMMY, checks=(_SNAPSHOT,)),
    "QuantumOpusBias": Bench(before=_DUMMY, checks=(_SNAPSHOT,)),
    "SRSSIM928Bias": Bench(
        before="nothing on the binding posts",
        checks=(
            _SNAPSHOT,
            Check(name="battery", step="hands", expected="a change-over is told (OVSR bit 4)",
                  run=_battery, hands="wait until a module has changed over to its other battery"),
        ),
    ),
    "SingleQuantumWebSQ": Bench(
        before="detectors disabled; nobody measures", checks=(_SNAPSHOT,)
    ),
    "ParameterBias": Bench(before=_DUMMY, checks=(_SNAPSHOT,)),
    "NIDAQOutput": Bench(before="output lines disconnected, or on a voltmeter"),
    "OnAVoltage": Bench(before="its voltage disconnected from the device"),
    "SRSDG645": Bench(
        before="outputs into 50 Ω",
        checks=(
            set_and_read_back("threshold", 1.0, 1.5),
            set_and_read_back("rate", 1e3, 2e3),
            Check(name="error", step="error",
                  expected="a channel after itself is refused; then LERR? is 0",
                  run=_illegal_link),
        ),
    ),
    "FibreSwitch": Bench(
        before="no light in the fibre",
        checks=(
            Check(name="channels", step="set", expected="each is told back", run=_every_channel),
        ),
    ),
    "ZurichHDAWG": Bench(before="outputs disconnected; EOM disconnected"),
    "HighFinesseWS7": Bench(before="nothing: it only reads"),
}  # fmt: skip
"""By the name of the driver's class."""
