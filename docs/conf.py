"""The site of docs/ (`make docs`). Its pages are Markdown that reads well without it, too."""

import logging
import re
from pathlib import Path
from typing import Any

import mermaidx
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError
from sphinx.util.docutils import SphinxDirective

import aer_dask
from scripts import sentences

# the theme's colours have Python print all that is logged
logging.getLogger("qiskit").setLevel(logging.WARNING)

project = "aer-dask"
release = version = aer_dask.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_argparse_cli",
    "sphinx_copybutton",
]
html_theme = "furo"
smartquotes_action = "D"  # quotes stay as they are, so that sentences are found and code is code
html_title = f"aer-dask {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.svg"
html_copy_source = html_show_copyright = False
html_theme_options = {
    "source_repository": "https://github.com/aer-dask/aer-dask",
    "source_branch": "main",
    "source_directory": "docs/",
}
myst_fence_as_directive = ["mermaid"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "description"
# what others document; their sites are not asked, so that a build needs no network
nitpick_ignore_regex = [
    ("py:.*", r"(collections|datetime|dask|distributed|numpy|os|qiskit|qiskit_aer)\..*"),
    ("py:.*", "AerError|Axes|JobError|Run|Security"),
]
autodoc_typehints_description_target = "documented"


class Mermaid(SphinxDirective):
    """A diagram, drawn when the site is built."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Draw it."""
        picture = mermaidx.render("\n".join(self.content)).svg()
        return [nodes.raw("", f'<div class="mermaid">{picture}</div>', format="html")]


class Said(SphinxDirective):
    """What errors of a class say, but for what the page has already; without a class, the chart."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """List it."""
        if self.arguments:
            page = Path(self.env.doc2path(self.env.docname)).read_text()
            said = [text for kind, text in sentences.said() if kind == self.arguments[0]]
            texts = [text for text in said if not sentences.is_told(text, page)]
        else:
            texts = sentences.refused()
        if not texts:
            raise self.error(f"No {self.arguments[0]} of aer-dask is left to list.")
        items = [
            nodes.list_item("", nodes.paragraph("", text, support_smartquotes=False))
            for text in texts
        ]
        return [nodes.bullet_list("", *items, classes=["said"])]


def ours(app: Sphinx, env: BuildEnvironment, node: Any, content: nodes.Element) -> Any:
    """Where a name of ours is documented that is written short, or by the module it comes from."""
    target, domain = node.get("reftarget", ""), env.domains.python_domain
    is_short = target[:1].isupper()
    if node.get("refdomain") == "py" and (is_short or target.startswith("aer_dask.")):
        wanted = target if is_short else target.rpartition(".")[2]
        for full in domain.objects:
            if full.endswith(f".{wanted}"):
                role, where = node["reftype"], node["refdoc"]
                return domain.resolve_xref(env, where, app.builder, role, full, node, content)
    return None


#: What a browser fetches for a page by itself, from another host.
FETCHED = re.compile(
    r"""<(?:script|img|link|iframe|source)\b[^>]*\b(?:src|href)="(?:https?:)?//[^"]*"""
)


def closed(app: Sphinx, failure: Exception | None) -> None:
    """Fail where a page asks another host than its own."""
    for page in sorted(Path(app.outdir).rglob("*.html")):
        if found := FETCHED.search(page.read_text()):
            raise SphinxError(f"{page.name} has something fetched from another host: {found[0]}")


def setup(app: Sphinx) -> None:
    """Tell Sphinx what is ours."""
    app.add_directive("mermaid", Mermaid)
    app.add_directive("said", Said)
    app.add_directive("refused", Said)
    app.connect("missing-reference", ours)
    app.connect("build-finished", closed)
