"""Sphinx configuration; the reference pages are generated from the code at each build."""

from __future__ import annotations

import sys
import warnings
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

from generate import write_reference

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "analysis-facility"
author = "The analysis-facility contributors"
project_copyright = "2026, the analysis-facility contributors"
release = installed_version("analysis-facility")
version = release

# it documents inherited traits unasked, and complains of those without help (autodoc-traits#27)
warnings.filterwarnings("ignore", category=FutureWarning, module="autodoc_traits")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "autodoc_traits"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
default_role = "literal"
autodoc_typehints = "description"

html_theme = "sphinx_book_theme"
html_title = "analysis-facility"
html_static_path = ["images", "static"]
html_css_files = ["tables.css"]
html_theme_options = {"show_toc_level": 2, "use_download_button": False}


def setup(app: Sphinx) -> None:
    """Write the generated pages before Sphinx reads the sources."""
    app.connect("builder-inited", lambda app: write_reference(Path(app.srcdir)))
