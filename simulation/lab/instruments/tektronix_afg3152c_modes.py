"""What a simulated AFG3152C knows of modulation, sweep and added noise: settings, never played.

Headers and ranges are those of Tektronix's programmer manual as `tm_devices` 3.7.0 quotes it
(`commands/gen_5xiee_afg`); values at power-on are chosen.
"""

from collections.abc import Iterator
from math import pi

from simulation.lab.servers.scpi_values import (
    HERTZ,
    PERCENTS,
    RADIANS,
    SECONDS,
    Number,
    Switch,
    Text,
    Word,
)
from simulation.lab.servers.simulated_scpi import Held

OFF = frozenset({"am", "fm", "pm", "pwm", "fsk"})
"""Names of the modes' switches: what is not played cannot be switched on."""
NOISE = "added_noise"
NOISE_SOURCES = (3, 4)
"""Numbers that the noise of channels 1 and 2 has as sources."""

_SOURCE = Word(("INTernal", "EXTernal"))
_SHAPE = Word(
    ("SINusoid", "SQUare", "TRIangle", "RAMP", "NRAMp", "PRNoise", "USER1", "USER2", "USER3",
     "USER4", "EMEMory", "EMEMory2"),
    aliases={"USER": "USER1", "EMEM1": "EMEM", "EMEMORY1": "EMEM"},
)  # fmt: skip
_CYCLES_PER_S = Number(low=0, units=HERTZ, form=".9E")
_AUDIO = Number(low=2e-3, high=50e3, units=HERTZ, form=".9E")
_TIME = Number(low=0, units=SECONDS, form=".6E")
_DEVIATIONS = {
    "AM": ("DEPTh", Number(low=0, high=120, units=PERCENTS), 50.0),
    "FM": ("DEViation", _CYCLES_PER_S, 1e6),
    "PM": ("DEViation", Number(low=0, high=pi, units=RADIANS), pi / 2),
    "PWM": ("DEViation:DCYCle", Number(low=0, high=100, units=PERCENTS), 5.0),
}


def _modulations() -> Iterator[Held]:
    for mode, (header, kind, default) in _DEVIATIONS.items():
        path, name = f"[SOURce#]:{mode}", mode.lower()
        yield Held(f"{path}[:STATe]", name, Switch(), False)
        yield Held(f"{path}:{header}", f"{name}_deviation", kind, default)
        yield Held(f"{path}:SOURce", f"{name}_source", _SOURCE, "INT")
        yield Held(f"{path}:INTernal:FREQuency", f"{name}_frequency", _AUDIO, 10e3)
        yield Held(f"{path}:INTernal:FUNCtion", f"{name}_shape", _SHAPE, "SIN")
        yield Held(f"{path}:INTernal:FUNCtion:EFILe", f"{name}_file", Text(), "")


MODES: tuple[Held, ...] = (
    *_modulations(),
    Held("[SOURce#]:FSKey[:STATe]", "fsk", Switch(), False),
    Held("[SOURce#]:FSKey:FREQuency", "fsk_frequency", _CYCLES_PER_S, 1e6),
    Held("[SOURce#]:FSKey:INTernal:RATE", "fsk_rate", _CYCLES_PER_S, 50.0),
    Held("[SOURce#]:FSKey:SOURce", "fsk_source", _SOURCE, "INT"),
    Held("[SOURce#]:FUNCtion:EFILe", "file", Text(), ""),
    Held("[SOURce#]:COMBine:FEED", "added", Text(), ""),
    Held(
        "SOURce#:POWer[:LEVel][:IMMediate][:AMPLitude]", NOISE,
        Number(low=0, high=50, units=PERCENTS), 0.0,
    ),
    Held("[SOURce#]:FREQuency:STARt", "sweep_start", _CYCLES_PER_S, 1e5),
    Held("[SOURce#]:FREQuency:STOP", "sweep_stop", _CYCLES_PER_S, 1e6),
    Held("[SOURce#]:FREQuency:CENTer", "sweep_centre", _CYCLES_PER_S, 5.5e5),
    Held("[SOURce#]:FREQuency:SPAN", "sweep_span", _CYCLES_PER_S, 9e5),
    Held("[SOURce#]:SWEep:TIME", "sweep_time",
            Number(low=1e-3, high=300, units=SECONDS, form=".6E"), 1.0),
    Held("[SOURce#]:SWEep:HTIMe", "sweep_hold", _TIME, 0.0),
    Held("[SOURce#]:SWEep:RTIMe", "sweep_return", _TIME, 1e-3),
    Held("[SOURce#]:SWEep:MODE", "sweep_mode", Word(("AUTO", "MANual")), "AUTO"),
    Held("[SOURce#]:SWEep:SPACing", "sweep_spacing", Word(("LINear", "LOGarithmic")), "LIN"),
)  # fmt: skip
FILES = frozenset({"file", *(f"{mode.lower()}_file" for mode in _DEVIATIONS)})
"""Names of settings that name a file; there are none."""


SWEPT = ("sweep_start", "sweep_stop", "sweep_centre", "sweep_span")


def swept(name: str, now: dict[str, float]) -> dict[str, float]:
    """Return `SWEPT` after one of them was set; `now` has the others as they were."""
    start, stop = now["sweep_start"], now["sweep_stop"]
    if name in ("sweep_centre", "sweep_span"):
        half = now["sweep_span"] / 2
        start, stop = now["sweep_centre"] - half, now["sweep_centre"] + half
    return {
        "sweep_start": start, "sweep_stop": stop,
        "sweep_centre": (start + stop) / 2, "sweep_span": stop - start,
    }  # fmt: skip
