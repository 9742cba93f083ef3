import sys

import pytest
from rich.console import Console
from typer.testing import CliRunner

from deploy.bench.__main__ import app
from deploy.bench.commands import CommandFailed, measure
from deploy.bench.sizes import Sizes
from deploy.bench.table import figures_table


def test_figures_table__shows_every_figure_and_skips_parts_not_measured():
    figures = {
        "sizes": Sizes().model_dump(),
        "etl": {
            "simulate_seconds": 50.0,
            "bare_import_seconds": 20.0,
            "bare_import_peak_rss_mb": 3000.0,
            "etl_seconds": 70.0,
            "peak_rss_mb": 4000.0,
            "etl_ratio": 3.5,
            "step_seconds": {"01_ingest": 18.25},
        },
    }
    console = Console(width=120)
    with console.capture() as captured:
        console.print(figures_table(figures))
    text = captured.get()
    for shown in (
        "2,000 × 1,000 genes",
        "50.0",
        "20.0",
        "3,000",
        "70.0",
        "4,000",
        "3.50 × bare",
        "18.2",
    ):
        assert shown in text
    assert "training" not in text


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("loaders", "command line: part: found loaders, wanted etl or data"),
        ("peple=10", "peple"),
        ("people=many", "people"),
    ],
)
def test_bench__refuses_what_it_does_not_know(argument, told):
    done = CliRunner().invoke(app, [argument])
    assert done.exit_code == 2
    assert told in done.output


def test_measure__a_failed_command_is_named():
    with pytest.raises(CommandFailed, match=r"status 3 from: .* raise SystemExit\(3\)"):
        measure([sys.executable, "-c", "raise SystemExit(3)"])
