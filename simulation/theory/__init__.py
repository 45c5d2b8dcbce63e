"""Gaussian theory of optomechanical entanglement: pure numpy and scipy, no files, no hardware.

>>> from simulation import theory
>>> theory.point("yu2020", kappa_2_hz=0.5e6)            # doctest: +SKIP
"""

from analysis.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
