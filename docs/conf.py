"""How the documentation is built. The reference pages are made from the code by `_ext/reference.py`."""

import sys
from pathlib import Path

from gpu_workbench import __version__

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "GPU Workbench"
release = version = __version__
project_copyright = "the GPU Workbench developers"
html_title = f"{project} {__version__}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "reference"]
exclude_patterns = ["_build"]
smartquotes = False  # flags begin with two hyphens

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#2b7a4b", "color-brand-content": "#2264c4"},
    "dark_css_variables": {"color-brand-primary": "#5cc98b", "color-brand-content": "#7fb4ff"},
}
