import base64
import gzip
import json
import re

import jinja2
import pandas as pd
import plotly.graph_objects as go
import pytest

from contract.page.html import grouped, page_environment, panels_html, render_page, write_page
from contract.page.panel import Panel, styled
from contract.page.payload import packed

TEMPLATE = """{% extends "page.html.j2" %}
{% block title %}{{ name }}{% endblock %}
{% block main %}{{ panels.only | panels }}{% endblock %}"""


def one_panel() -> Panel:
    return Panel(
        "one", "<b>hostile</b>", styled(go.Figure(go.Bar(x=[1], y=[2]))), pd.DataFrame({"x": [1], "y": [2]})
    )


def page(**values: object) -> str:
    environment = page_environment("contract.page")
    environment.loader = jinja2.ChoiceLoader([jinja2.DictLoader({"test": TEMPLATE}), environment.loader])
    return render_page(environment, "test", {"only": [one_panel()]}, **values)


def test_render_page__holds_figures_and_their_numbers_and_escapes_text():
    html = page(name="<script>alert(1)</script>")
    assert "<title>&lt;script&gt;" in html
    assert 'id="figure-one"' in html
    (text,) = re.findall(r'id="payload">(.*?)</script>', html)
    content = json.loads(gzip.decompress(base64.b64decode(text)))
    assert content["one"]["csv"] == "x,y\n1,2\n"
    assert content["one"]["figure"]["data"][0]["type"] == "bar"


def test_render_page__a_name_that_the_template_misses_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="'name' is undefined"):
        page()


def test_panels_html__escapes_titles_and_keeps_the_height():
    html = panels_html([one_panel()], "pairs")
    assert "&lt;b&gt;hostile&lt;/b&gt;" in html
    assert 'class="panels pairs"' in html
    assert "height:300px" in html


def test_write_page__leaves_only_the_page(tmp_path):
    write_page("<!doctype html>", str(tmp_path / "new" / "page.html"))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["page.html"]
    assert (tmp_path / "new" / "page.html").read_text() == "<!doctype html>"


def test_packed__same_text_same_bytes():
    assert packed("text") == packed("text")
    assert gzip.decompress(base64.b64decode(packed("täxt"))).decode() == "täxt"


@pytest.mark.parametrize(
    ("value", "text"), [(12345, "12,345"), (0.123456, "0.1235"), ("as it is", "as it is")]
)
def test_grouped__as_people_read_it(value, text):
    assert grouped(value) == text
