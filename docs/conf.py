"""The documentation site: `make docs` builds it into docs/_build/html."""

import logging
import sys
from pathlib import Path

import labkit

sys.path.append(str(Path(__file__).parent / "_extensions"))

logging.getLogger("qcodes").setLevel(logging.WARNING)

project = "labkit"
author = "The labkit developers"
version = release = labkit.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "driver_parameters",
    "roles_table",
    "docstrings",
    "commands",
]
exclude_patterns = ["_build", "_extensions", "peers_table.inc"]
templates_path = ["_templates"]
default_role = "py:obj"
highlight_language = "text"

myst_heading_anchors = 3

# Examples run at every build: what a page shows is what this version does.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
toc_object_entries = False
napoleon_google_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]

html_theme = "furo"
html_title = f"labkit {version}"
html_copy_source = False
html_show_copyright = False
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
