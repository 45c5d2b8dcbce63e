"""Constants of nature in SI units: exact by the SI of 2019, μ₀ as measured (CODATA 2022).

`scipy.constants`, which has them too, takes longer to load than all models together.
"""

from math import pi
from typing import Final

c: Final = 299_792_458.0
"""Speed of light in vacuum (m/s)."""

h: Final = 6.62607015e-34
"""Planck constant (J s)."""

hbar: Final = h / (2 * pi)
"""Reduced Planck constant (J s)."""

k: Final = 1.380649e-23
"""Boltzmann constant (J/K)."""

mu_0: Final = 1.25663706127e-6
"""Vacuum magnetic permeability (N/A²)."""
