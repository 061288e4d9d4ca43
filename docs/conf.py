"""How the documentation is built: ``python -m sphinx -W docs site``, warnings as errors.

The pages are plain Markdown that also reads well where it lies. What only the built site needs is made here: the order
of the pages, README and CHANGELOG as pages of it, the reference, from the docstrings, and the gallery, whose scripts
are run: one that fails fails the build.
"""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(ROOT / "kernels"), str(ROOT / "hardware_models")]

project = "neurolrnn"
author = "the authors of neurolrnn"
extensions = [
    "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_gallery.gen_gallery",
]  # fmt: skip
myst_heading_anchors = 3
html_theme = "furo"
html_title = "neurolrnn"
exclude_patterns = ["pictures"]
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False  # shapes are not names to look up
autodoc_typehints = "none"  # the docstrings say types and shapes
autodoc_member_order = "bysource"
viewcode_line_numbers = True
suppress_warnings = ["myst.header"]  # a page may begin below level one where it is generated

GALLERY = ("plot_paper.py", "plot_bits.py", "plot_reckon.py", "plot_spikes.py", "plot_export_c.py")
"""Scripts of examples/gallery, in the order in which they are shown."""
sphinx_gallery_conf: dict[str, Any] = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "generated/gallery",
    "abort_on_example_error": True,
    # Locally only scripts that changed; delete docs/generated/gallery to run all.
    "run_stale_examples": bool(os.environ.get("CI")),
    "capture_repr": (),
    "image_srcset": ["2x"],
    "remove_config_comments": True,
    "show_signature": False,
    "write_computation_times": False,
}

NAVIGATION = {
    "Begin": ["generated/readme", "tutorial", "generated/gallery/index"],
    "How to": ["choose_rule", "rules", "own_data", "tasks", "formats", "large_networks", "sparse", "extending"],
    "How many bits": ["profile", "cluster", "profile_answers", "quantisation_study", "quantised_vowels"],
    "Chips": ["fit_my_chip", "chip_limits", "locality", "chip_learning", "chips"],
    "Deploy": [
        "spiking",
        "spiking_modes",
        "export",
        "bundle",
        "deploy_c",
        "deploy_verilog",
        "deploy_lava",
        "consumers",
        "damaged_files",
    ],
    "What the figures are": ["comparison", "performance", "performance_avx2", "reproduce"],
    "Explanations": ["numerics", "rounding", "theory", "theory_beyond", "theory_pictures", "rank"],
    "Reference": ["generated/api", "generated/changelog", "generated/contributing"],
}
"""Pages of the site in their order; every page of the folder is in it."""
API = {
    "neurolrnn": "Networks, tasks, rules, precision, runs. These names are promised: they change only with a new "
    "major version, and what leaves is announced a version before.",
    "neurolrnn.tasks": "Tasks. Promised like the names of the package.",
    "neurolrnn.theory": "Formulas. Promised in meaning; arguments may still grow.",
    "neurolrnn.profiles": "What profiles answer: suggestions, attribution, ranges. Promised in meaning; arguments may "
    "still grow.",
    "neurolrnn.spiking": "Networks as spikes. Promised in meaning; arguments may still grow.",
    "neurolrnn.chips": "Demands, verdicts and runs under limits. Promised in meaning; arguments may still grow.",
    "neurolrnn.exports": "Targets and reports of exports. Promised in meaning; arguments may still grow.",
    "neurolrnn.reproduction": "The claims of the paper and their verdicts. Promised in meaning; claims may be added.",
    "neurolrnn.reports": "Pages in HTML. The call is promised, what a page shows is not.",
    "neurolrnn.citations": "Papers behind a run, in BibTeX. Promised.",
    "neurolrnn.cli": "The command. Verbs, options, exit codes and the keys of ``--json`` are promised like the names "
    "of the package; texts and tables are for people and may change.",
    "neurolrnn_hardware.catalogue": "Chip sheets. The layout of a sheet is promised.",
    "neurolrnn_kernels.formats": "Number formats. What all other modules of neurolrnn_kernels hold is for kernels, and "
    "may change at any time.",
}
"""Modules of the reference, each with what is promised of its names."""
MOVED = {"../README.md": "generated/readme.md", "../CHANGELOG.md": "generated/changelog.md",
         "../CONTRIBUTING.md": "generated/contributing.md",
         "../examples/gallery/README.rst": "generated/gallery/index.rst"}  # fmt: skip


def write(path: Path, text: str) -> None:
    """Write a file only if it changes, so that a second build has little to do."""
    path.parent.mkdir(exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def public(module: ModuleType) -> list[str]:
    """Return the names that a module means for others, submodules left out."""
    names = getattr(module, "__all__", None)
    if names is None:
        names = [n for n in vars(module) if not n.startswith("_") and _is_own(module, n)]
    return sorted((n for n in names if not isinstance(getattr(module, n), ModuleType)), key=str.lower)


def _is_own(module: ModuleType, name: str) -> bool:
    return getattr(getattr(module, name), "__module__", None) == module.__name__


def generate(_: Any) -> None:
    """Write the pages that exist only in the built site."""
    folder = DOCS / "generated"
    for name in ("README", "CHANGELOG", "CONTRIBUTING"):
        text = (ROOT / f"{name}.md").read_text(encoding="utf-8")
        text = text.replace("](docs/pictures/", "](../pictures/").replace("](docs/", "](../")
        text = text.replace("](CHANGELOG.md)", "](changelog.md)").replace("](CONTRIBUTING.md)", "](contributing.md)")
        text = text.replace("](examples/gallery/README.rst)", "](gallery/index.rst)")
        text = re.sub(r"\[([^]]*)\]\((neurolrnn/[^)]*)\)", r"\1 (`\2`)", text)  # a file of the package, not a page
        write(folder / f"{name.lower()}.md", text)
    overview = ["# The public interface", "", "Everything a user needs, by module, and what is promised of it. What "
                "is not listed here is internal and may change at any time. Before version 1.0.0 a minor version may "
                "break a promise; the changelog then says BREAKING.", ""]  # fmt: skip
    shown: set[int] = set()
    for module_name, promise in API.items():
        module = import_module(module_name)
        page = f"api_{module_name.replace('.', '_')}"
        names = public(module)
        overview += [f"## [{module_name}]({page}.md)", "", promise, "", ", ".join(f"`{n}`" for n in names), ""]
        lines = [f"# {module_name}", "", promise, "", "```{eval-rst}"]
        for name in names:
            thing = getattr(module, name)
            lines += [_directive(thing, f"{module_name}.{name}", id(thing) in shown), ""]
            shown.add(id(thing))
        write(folder / f"{page}.md", "\n".join([*lines, "```", ""]))
    pages = "\n".join(f"api_{m.replace('.', '_')}" for m in API)
    overview += ["```{toctree}", ":hidden:", "", pages, "```", ""]
    write(folder / "api.md", "\n".join(overview))


def _directive(thing: Any, name: str, again: bool) -> str:
    if isinstance(thing, type):
        text = f".. autoclass:: {name}" if again else f".. autoclass:: {name}\n   :members:"
    else:
        text = f".. autofunction:: {name}" if callable(thing) else f".. py:data:: {name}"
    return text + ("\n   :no-index:" if again else "")


def escape(_: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Keep |x| and λ_- of formulas from being read as markup."""
    parts = "\n".join(lines).split("``")
    for k in range(0, len(parts), 2):  # outside of literals
        parts[k] = re.sub(r"(?<=\w)_(?=[^\w`]|$)", r"\\_", parts[k].replace("|", "\\|"))
    text = "``".join(parts)
    text = re.sub(r"^( +):type: (.*)$", r"\n\1(\2)", text, flags=re.MULTILINE)  # a shape is no name to look up
    lines[:] = text.split("\n")


def complete(_: Any, name: str, source: list[str]) -> None:
    """Lead links to pages that lie outside this folder to their copies, and give the front page its contents."""
    for there, here in MOVED.items():
        source[0] = source[0].replace(f"]({there})", f"]({here})")
    for anchor in set(re.findall(r'<a id="([^"]+)"></a>', source[0])):  # which Sphinx does not know as targets
        source[0] = re.sub(rf"\[([^]]*)\]\(#{re.escape(anchor)}\)", rf'<a href="#{anchor}">\1</a>', source[0])
    if name == "index":
        for caption, pages in NAVIGATION.items():
            source[0] += f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n" + "\n".join(pages) + "\n```\n"


def setup(app: Any) -> None:
    """Register the hooks."""
    from sphinx_gallery.sorting import ExplicitOrder  # not where the tests only read this file

    sphinx_gallery_conf["within_subsection_order"] = ExplicitOrder(GALLERY)
    app.connect("builder-inited", generate)
    app.connect("source-read", complete)
    app.connect("autodoc-process-docstring", escape)
