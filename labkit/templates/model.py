"""A squeezer feeds an optomechanical cavity through a lossy link. Rates in units of omega_b.

labkit theory point  THIS_FILE --set delta=0.9
labkit theory sweep  THIS_FILE --x delta:0.5:1.5:101 --y eta:0:1:51 -o map.nc
labkit theory figure THIS_FILE --x delta:0.5:1.5:101 --y eta:0:1:51 --result E_a_b
"""

from typing import Annotated

from simulation.theory.couplings import radiation_pressure, single_mode_squeezing
from simulation.theory.models.own import own_model
from simulation.theory.network import Link, Mode, Network
from simulation.theory.quantities import FRACTION, NON_NEGATIVE, Quantity, Value


# Every argument is a parameter; a Quantity gives it unit, range, meaning and source.
def squeezed_drive(
    xi: Annotated[Value, Quantity("omega_b", NON_NEGATIVE, "parametric gain", "")] = 0.2,
    kappa_s: float = 1.0,
    eta: Annotated[Value, Quantity("", FRACTION, "efficiency of the link", "")] = 0.9,
    phi: float = 0.0,
    delta: float = 1.0,
    kappa_a: float = 0.5,
    G: float = 0.2,
    gamma_b: float = 1e-4,
    n_b: float = 10.0,
) -> Network:
    """Declare the modes and what connects them."""
    return Network(
        modes=[
            Mode("s", damping=kappa_s),
            Mode("a", detuning=delta, damping=kappa_a),
            Mode("b", detuning=1.0, damping=gamma_b, occupation=n_b),
        ],
        couplings=[single_mode_squeezing("s", 1j * xi), radiation_pressure("a", "b", G)],
        links=[Link("s", "a", efficiency=eta, phase=phi)],
    )


MODEL = own_model(squeezed_drive, rate_unit="omega_b")
