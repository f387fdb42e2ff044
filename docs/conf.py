import sys
from pathlib import Path

import gankit

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "gankit"
author = "the gankit authors"
version = release = gankit.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "gankit_docs",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
# no curly quotes: what stands in quotes is to be typed as it stands
smartquotes_action = "D"

autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"gankit {release}"
html_static_path = ["_static"]
html_css_files = ["gankit.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
