"""A free-running generator of edges as the trigger of the experiment."""

from typing import TYPE_CHECKING

from qcodes.instrument import Instrument
from qcodes.validators import Numbers

from instruments.adapters.switching import OnOff, Word
from instruments.bases.parameters import Declared, add_parameters
from instruments.bases.ramped_voltage import find_parameter

if TYPE_CHECKING:
    from qcodes.instrument import InstrumentBaseKWArgs
    from typing_extensions import Unpack


class ParameterTrigger(Instrument):
    """A generator that fires while its output is on; fulfils `instruments.roles.TriggerSource`.

    Shape, level and load are the generator's own settings: give them as its `parameters` in the
    station file. Safe state: output off.

    Parameters
    ----------
    name : str
    source : str
        Parameter of the repetition rate in Hz.
    highest : float
        Highest rate, Hz.
    output : str
        Parameter that switches the output.
    output_on, output_off : bool, int or str, optional
        Its values.
    """

    rate = Declared[float](
        "Triggers per second",
        "Hz",
        get=lambda self: float(self._source.get()),
        set=lambda self, hertz: self._source.set(hertz),
        vals=lambda self: Numbers(0.0, self._highest),
        doc="As the generator has it.",
    )

    def __init__(
        self,
        name: str,
        source: str,
        highest: float,
        output: str,
        output_on: Word = True,
        output_off: Word = False,
        **kwargs: "Unpack[InstrumentBaseKWArgs]",
    ) -> None:
        super().__init__(name, **kwargs)
        self._source, self._highest = find_parameter(source), highest
        self._switch = OnOff(output, output_on, output_off)
        add_parameters(self)

    def get_idn(self) -> dict[str, str | None]:
        """Return whose parameters these are."""
        named = f"{self._source.full_name}, {self._switch.parameter.full_name}"
        return {"vendor": None, "model": f"trigger by {named}", "serial": None, "firmware": None}

    def set_delay(self, output: str, start: float, width: float) -> None:
        """Refuse: there are no delayed outputs."""
        message = f"{self.name}: there is no delayed output {output!r}; use a delay generator"
        raise ValueError(message)

    def set_running(self, *, on: bool) -> None:
        """Switch the output, and check."""
        self._switch.put(on=on)

    def is_running(self) -> bool:
        """Ask the instrument whether its output is on."""
        return self._switch.is_on()

    def missed_triggers(self) -> bool:
        """Return False: what runs freely is not triggered, so that it misses nothing."""
        return False

    def safe_state(self) -> None:
        """Switch the output off, and check."""
        self._switch.put(on=False)
