"""Time tags to counts, g², the entanglement witness and fits; knows nothing of instruments.

>>> import analysis
>>> analysis.count("run7.ptu", "run.gates.yaml")        # doctest: +SKIP

The witness of counts is `analysis.witness.witness`.
"""
# One of labkit's own packages. labkit/_guard.py looks for this line.

from analysis.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
