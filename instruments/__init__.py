"""QCoDeS drivers of the instruments in a pulsed DLCZ experiment.

Every driver goes by its short name, ``instruments.TektronixAFG3152C``, also in station files; its
module is imported when the name is first asked for.
"""
# One of labkit's own packages. labkit/_guard.py looks for this line.

from collections.abc import Callable
from importlib import import_module
from typing import Any

DRIVERS: dict[str, str] = {
    "AWG5014Pulses": "instruments.adapters.awg5014",
    "AWG5014Waveforms": "instruments.adapters.awg5014",
    "AgiltronFF": "instruments.optical_switches",
    "AgiltronSelfAlign": "instruments.optical_switches",
    "BlueforsControl": "instruments.bluefors",
    "BlueforsController": "instruments.bluefors",
    "BlueforsLogs": "instruments.bluefors",
    "HighFinesseWS7": "instruments.highfinesse_wavemeter",
    "Keysight81180A": "instruments.keysight_81180a.driver",
    "LakeshoreModel372Thermometer": "instruments.thermometers",
    "MicronOpticsFFPTF2": "instruments.analog",
    "NIDAQOutput": "instruments.nidaq_output",
    "NewportTLB6700": "instruments.newport_tlb6700.driver",
    "OxfordTritonThermometer": "instruments.thermometers",
    "ParameterAttenuator": "instruments.adapters.light",
    "ParameterBias": "instruments.adapters.bias",
    "ParameterLaser": "instruments.adapters.light",
    "ParameterPowerMeter": "instruments.adapters.light",
    "ParameterThermometer": "instruments.adapters.thermometer",
    "ParameterTrigger": "instruments.adapters.trigger",
    "ParameterVoltage": "instruments.adapters.voltage",
    "PhotonSpotBias": "instruments.snspd_bias",
    "PicoQuantHydraHarp400": "instruments.picoquant_harps.driver",
    "PicoQuantMultiHarp150": "instruments.picoquant_harps.driver",
    "PicoQuantPicoHarp330": "instruments.picoquant_harps.driver",
    "PicoQuantSnapi": "instruments.picoquant_timeharp260.snapi",
    "PicoQuantTimeHarp260": "instruments.picoquant_timeharp260.driver",
    "QuantumOpusBias": "instruments.snspd_bias",
    "RedPitayaLockbox": "instruments.redpitaya_lockbox",
    "SRSDG645": "instruments.srs.dg645",
    "SRSSIM900": "instruments.srs.sim900",
    "SRSSIM928Bias": "instruments.srs.sim928",
    "SRSSIM960": "instruments.srs.sim960",
    "SRSSIM960InFrame": "instruments.srs.sim960",
    "SantecTSL550": "instruments.santec_tsl",
    "SantecTSL570": "instruments.santec_tsl",
    "SercaloSwitch": "instruments.optical_switches",
    "SercaloVP1": "instruments.analog",
    "SingleQuantumWebSQ": "instruments.single_quantum_websq",
    "SwabianTimeTagger": "instruments.swabian.timetagger",
    "TektronixAFG3152C": "instruments.tektronix_afg3152c.driver",
    "ThorlabsPM100": "instruments.thorlabs_pm100",
    "TopticaDLCPro": "instruments.toptica_dlcpro",
    "VoltageActuator": "instruments.analog",
    "ZurichHDAWG": "instruments.zurich_hdawg",
}
"""Modules of the drivers by short name."""

__all__ = ["DRIVERS", *DRIVERS]


def plugin_driver(name: str) -> Any:
    """Return the driver that an installed plug-in calls `name` (group ``labkit.instruments``).

    Raises
    ------
    AttributeError
        If there is none, or it cannot be loaded; the message names the plug-in.
    """
    from importlib.metadata import entry_points

    for point in entry_points(group="labkit.instruments", name=name):
        try:
            return point.load()
        except Exception as error:  # foreign code may fail in any way
            owner = point.dist.name if point.dist is not None else "an unknown package"
            message = (
                f"driver {name!r} of plug-in {owner} ({point.value}) cannot be loaded: "
                f"{type(error).__name__}: {error}"
            )
            raise AttributeError(message) from error
    message = f"module 'instruments' has no attribute {name!r}"
    raise AttributeError(message)


def drivers_in(package: str, folder: str) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package that gives the drivers whose modules are in a folder.

    Parameters
    ----------
    package : str
        For the message if there is no such driver.
    folder : str
        Beginning of the modules' names.
    """

    def driver(name: str) -> Any:
        if name not in DRIVERS and not folder:
            return plugin_driver(name)
        if name not in DRIVERS or not DRIVERS[name].startswith(folder):
            message = f"module {package!r} has no attribute {name!r}"
            raise AttributeError(message)
        return getattr(import_module(DRIVERS[name]), name)

    return driver


__getattr__ = drivers_in(__name__, "")


def __dir__() -> list[str]:
    return sorted({*globals(), *DRIVERS})
