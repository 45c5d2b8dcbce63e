"""labkit: experiment control, time-tag analysis and theory for pulsed DLCZ experiments.

>>> import labkit
>>> result = labkit.analyse("run7.ptu", "run.gates.yaml")        # doctest: +SKIP
>>> print(result.witness)                                        # doctest: +SKIP
>>> labkit.sweep("tan2020", x=("delta_1", range(3)))             # doctest: +SKIP

Names are loaded when first used; `dir(labkit)` lists them.
"""

from labkit._guard import check_packages

__version__ = "0.2.0"

check_packages()

from analysis.lazy_names import lazy_names  # noqa: E402  # only once it is labkit's own `analysis`

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
