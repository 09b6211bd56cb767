"""The site: `sphinx-build -n -W --keep-going -b html docs build/site` in a checkout.

Nothing is fetched: pages are built, and shown, without a network.
"""

import inspect
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Kernels of notebooks import the checkout, too.
os.environ["PYTHONPATH"] = os.pathsep.join(
    [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
)

from made_tf.portable.version import __version__  # noqa: E402

project = "made_tf"
copyright = "the made_tf authors, Apache-2.0"  # noqa: A001
version = release = __version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "commands",
    "mathml",
]
exclude_patterns = ["_*", "**/.ipynb_checkpoints"]
default_role = "code"  # single backticks in docstrings

# Notebooks: run at each build, nothing kept.
nb_execution_mode = "force"
nb_execution_timeout = 600
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_output_stderr = "remove"  # what TensorFlow says when it starts
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]

autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # those of Keras and TFP are theirs
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
# Types of signatures are names of other libraries, whose pages are not at hand offline.
nitpick_ignore_regex = [("py:.*", ".*")]

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "made_tf"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "made_tf"},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "search_bar_text": "Search these pages",
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}


def _skip_foreign(app, what, name, item, skip, options):
    """Leaves out methods that a metaclass of TFP or scikit-learn has put into a class."""
    del app, what, name, options
    module = getattr(item, "__module__", None) or "made_tf"
    return True if not module.startswith("made_tf") else skip


def _own_signature(app, what, name, item, options, signature, returns):
    """Shows the arguments of a class where Keras' `__new__` hides them."""
    del app, name, options
    if what == "class" and signature == "(*args, **kwargs)":
        own = inspect.signature(item.__init__)
        parameters = list(own.parameters.values())[1:]  # without self
        return str(own.replace(parameters=parameters)), returns
    return None


def setup(app):
    """Registers what this file adds."""
    app.connect("autodoc-process-signature", _own_signature)
    app.connect("autodoc-skip-member", _skip_foreign)
