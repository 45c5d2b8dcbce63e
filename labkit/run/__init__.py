"""Runs: folders that are complete in themselves, journaled block by block, resumable."""

from analysis.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
