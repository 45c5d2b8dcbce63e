"""Bias of detectors from any QCoDeS voltage or current sources."""

import math
from collections.abc import Sequence
from threading import RLock
from typing import TYPE_CHECKING, Any

from instruments.adapters.switching import OnOff
from instruments.bases.bias_ramp import RampedBias
from instruments.bases.ramped_voltage import find_parameter

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack


class ParameterBias(RampedBias):
    """Bias currents through any sources; fulfils `instruments.roles.BiasSource`.

    A channel's current is what its source is set to, over the resistance if that is a voltage.
    Sources with an output switch are switched on at 0 only, before their first ramp. After each
    ramp the source is read back. Safe state: 0, and outputs off. Connecting changes nothing.

    Parameters
    ----------
    name : str
    sources : sequence of str
        Parameter of each channel, as ``gs200.voltage`` or ``smu.source.current``: V if
        `resistances` are given, else A.
    max_currents : sequence of float
        Hard cap of each channel, A: what its nanowire survives.
    ramp_rate : float
        A/s.
    tolerance : float
        Largest difference between set and read back current, A.
    resistances : sequence of float, optional
        In series with each detector, Ω.
    outputs : sequence of str, optional
        Parameter that switches each source's output.
    output_on, output_off : bool, int or str, optional
        Values of these parameters.
    ramp_step : float, optional
        Largest step, A.
    delatch_wait : float, optional
        s.
    """

    def __init__(
        self,
        name: str,
        sources: Sequence[str],
        max_currents: Sequence[float],
        ramp_rate: float,
        tolerance: float,
        resistances: Sequence[float] | None = None,
        outputs: Sequence[str] | None = None,
        output_on: bool | int | str = True,
        output_off: bool | int | str = False,
        ramp_step: float = 0.1e-6,
        delatch_wait: float = 0.1,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        lists = {"max_currents": max_currents, "resistances": resistances, "outputs": outputs}
        for key, given in lists.items():
            if given is not None and len(given) != len(sources):
                message = (
                    f"{name}: `{key}` must have one value per source, but has {len(given)} for "
                    f"{len(sources)} sources"
                )
                raise ValueError(message)
        if not all(0 < ohms < math.inf for ohms in resistances or ()):
            message = f"{name}: `resistances` must be positive, but are {list(resistances or ())}"
            raise ValueError(message)
        if not tolerance > 0:
            message = f"{name}: `tolerance` must be above 0 A, but is {tolerance}"
            raise ValueError(message)
        super().__init__(name, max_currents, ramp_rate, ramp_step, delatch_wait, **kwargs)
        self._tolerance = tolerance
        self._per_ampere = tuple(resistances or [1.0] * len(sources))
        self._sources = tuple(find_parameter(path) for path in sources)
        self._outputs = tuple(OnOff(path, output_on, output_off) for path in outputs or ())
        self._asking = RLock()
        self._known = [self._read_back(number) for number in range(1, len(sources) + 1)]

    @property
    def full_scale(self) -> float:
        """Infinite: what the sources can set is for their drivers to say."""
        return math.inf

    def get_idn(self) -> dict[str, str | None]:
        """Return whose parameters these are."""
        named = ", ".join(source.full_name for source in self._sources)
        return {"vendor": None, "model": f"bias by {named}", "serial": None, "firmware": None}

    def _write(self, channel: int, current: float) -> None:
        source, output = self._sources[channel - 1], self._output(channel)
        with self._asking:
            if output is not None and not output.is_on():
                source.set(0.0)
                if current == 0:
                    return
                output.put(on=True)
            source.set(current * self._per_ampere[channel - 1])

    def _confirm(self, channel: int, current: float) -> None:
        found = self._read_back(channel)
        if not abs(found - current) <= self._tolerance:
            self._known[channel - 1] = found
            message = (
                f"{self.name}: channel {channel} must carry {current * 1e6:.4g} µA after the ramp, "
                f"but {self._sources[channel - 1].full_name} reads back {found * 1e6:.4g} µA"
            )
            raise RuntimeError(message)

    def _drop(self, channel: int) -> None:
        super()._drop(channel)
        if (output := self._output(channel)) is not None:
            output.put(on=False)

    def _read_back(self, channel: int) -> float:
        """Return what the source carries, A: 0 while its output is off."""
        output = self._output(channel)
        with self._asking:
            if output is not None and not output.is_on():
                return 0.0
            value: Any = self._sources[channel - 1].get()
        return float(value) / self._per_ampere[channel - 1]

    def _output(self, channel: int) -> OnOff | None:
        return self._outputs[channel - 1] if self._outputs else None
