"""What the drivers of `make demo` and `make real` share: running commands, tables, figures as JSON."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.measure import Measured, run_measured
from train.readings import was_read

FIGURES = Path("build/figures")
PYTHON = sys.executable
HOROVODRUN = str(Path(sys.executable).with_name("horovodrun"))
RANKS = 2
TIMEOUT_SECONDS = 1800
console = Console()


class Chain:
    """Commands run one after another; the time they took together and their largest memory."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.peak_rss_mb = 0.0

    def run(self, title: str, command: Sequence[str]) -> None:
        """Run a command and wait; end the whole process with its status where it fails."""
        console.rule(f"[bold]{title}", align="left")
        console.print("$ " + " ".join(_short(word) for word in command), style="dim", highlight=False)
        measured: Measured = run_measured(command, TIMEOUT_SECONDS)
        self.seconds += measured.seconds
        self.peak_rss_mb = max(self.peak_rss_mb, measured.peak_rss_mb)
        if measured.returncode != 0:
            console.print(f"[bold red]{title} failed[/] with status {measured.returncode}")
            raise SystemExit(measured.returncode)

    def train(self, title: str, config: str, *overrides: str) -> None:
        """Fit on two Horovod ranks."""
        self.run(title, [HOROVODRUN, "-np", str(RANKS), PYTHON, "-m", "train", "fit", config, *overrides])

    def evaluate(self, title: str, run: str) -> None:
        """Read the sealed fold; once more where an earlier call read that of the same dataset."""
        again = ["--again"] if was_read(Path(run)) else []
        self.run(title, [PYTHON, "-m", "train", "evaluate", run, *again])


def read_json(path: str | Path) -> dict:
    """A JSON file that one of the commands wrote."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write_figures(name: str, figures: dict[str, object]) -> None:
    """Write build/figures/NAME.json under a temporary name and rename it."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    partial = FIGURES / f"{name}.json.partial"
    partial.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    partial.rename(FIGURES / f"{name}.json")


def interval(metric: dict[str, float]) -> str:
    """An estimate with its 95 % interval."""
    return f"{metric['estimate']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})"


def show(title: str, rows: Sequence[tuple[str, ...]], columns: Sequence[str]) -> None:
    """Print a table."""
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def _short(word: str) -> str:
    path = Path(word)
    return path.name if path.is_absolute() else word
