"""A page: templates that both reports share, places for panels, and the file it is written to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from contract.page.panel import Panel
from contract.page.payload import packed_panels, packed_plotly
from contract.storage import write_whole


def page_environment(package: str) -> jinja2.Environment:
    """Templates in `package`/templates, which may extend and include those of this package.

    Text is escaped, and a name that a template misses is an error.
    """
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(name, "templates") for name in (package, "contract.page")]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"panels": panels_html, "count": grouped}
    return environment


def render_page(
    environment: jinja2.Environment,
    template: str,
    sections: Mapping[str, Sequence[Panel]],
    **values: Any,
) -> str:
    """The page's HTML with everything in it: nothing is loaded from outside.

    Parameters
    ----------
    environment
        As `page_environment` made it.
    template
        Name of a template that extends page.html.j2.
    sections
        Panels by section, which the template finds under `panels`.
    values
        Whatever else the template names.
    """
    return environment.get_template(template).render(
        **values,
        panels=sections,
        plotly=packed_plotly(),
        payload=packed_panels([panel for panels in sections.values() for panel in panels]),
    )


def write_page(html: str, path: str) -> None:
    """Write a page under a temporary name and rename it; any path or URL that fsspec knows."""
    write_whole(path, html.encode())


def grouped(value: object) -> str:
    """A number as people read it."""
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:.4g}" if isinstance(value, float) else str(value)
    )


def panels_html(panels: Sequence[Panel], layout: str = "") -> Markup:
    """A place for each panel's figure, which the browser draws, and a button for its data.

    `layout` is a further class of the style sheet.
    """
    one = Markup(
        '<figure class="panel{wide}"><figcaption>{title}'
        '<button type="button" class="data" data-panel="{name}">data (CSV)</button></figcaption>'
        '<div class="plot" id="figure-{name}" style="height:{height}px"></div></figure>'
    )
    inside = Markup("\n").join(
        one.format(
            wide=" wide" if panel.wide else "",
            title=panel.title,
            name=panel.name,
            height=panel.figure.layout.height,
        )
        for panel in panels
    )
    return Markup('<div class="panels {}">{}</div>').format(layout, inside)
