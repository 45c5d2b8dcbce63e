"""The simulated twin of DRIVER_FILE.

It states its own facts, from the manual, and never imports the driver: what both got wrong in the
same way nobody would notice.
"""

from simulation.lab.servers.scpi_values import Number, Switch
from simulation.lab.servers.simulated_scpi import Held, SimulatedScpi


class SimulatedVoltageSource(SimulatedScpi):
    """Long and short headers, `?`, ranges and the error queue come from the base class."""

    settings = (  # header as in the manual: [] may be left out, small letters too; after *RST
        Held("[SOURce:]VOLTage[:LEVel]", "voltage", Number(low=-10, high=10), 0.0),
        Held("OUTPut[:STATe]", "output", Switch(), False),
    )

    def __init__(self) -> None:
        super().__init__("Your Company,Model 1,0001,1.0")

    @property
    def at_the_connector(self) -> float:
        """What the world would see, V."""
        return self.number("voltage") if self.value("output") else 0.0
