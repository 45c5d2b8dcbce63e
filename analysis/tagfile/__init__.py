"""Tag files of every supported format, as streams of 32-bit records with one layout table.

`open_tags` opens any of them; `convert` turns one into another; `summarise` counts what is there.
"""

from analysis.lazy_names import lazy_names

__getattr__, __dir__, __all__ = lazy_names(__name__, __file__)
