"""From a case/control exome VCF to a dataset for training, with quality control.

CONFIG is a YAML file (see conf/etl); KEY=VALUE replaces one of its settings, such as folds.seed=2.
The same file runs on a Spark cluster through deploy/submit_etl.sh.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

if __package__ in (None, ""):  # started as a file, by spark-submit; on YARN the packages come as an archive
    sent = Path("exoshard").resolve()
    sys.path.insert(0, str(sent if (sent / "etl").is_dir() else Path(__file__).resolve().parent.parent))

from contract.config import load_config
from contract.errors import InputError
from contract.storage import StorageError, refused
from etl.telling import is_seen, tell_status, told_status, told_stream

if TYPE_CHECKING:
    from etl.config import EtlConfig

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
console = Console(file=told_stream(), stderr=True)

ConfigPath = Annotated[str, typer.Argument(metavar="CONFIG", help="YAML file, see conf/")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="settings that replace the file's")
]


@app.command()
def plan(config: ConfigPath, overrides: Overrides = None) -> None:
    """Show the steps, and what a run would compute again."""
    from etl.config import EtlConfig
    from etl.pipeline import plan as planned

    with _faults_told():
        for status in planned(load_config(EtlConfig, config, overrides or ())):
            state = "up to date" if status.done else f"to do ({status.reason})"
            typer.echo(f"{status.step.folder:24} {status.step.title:58} {state}")


@app.command()
def check(config: ConfigPath, overrides: Overrides = None) -> None:
    """Report every fault of the configuration and the inputs, without starting Hail."""
    from etl.check import check as checked
    from etl.config import EtlConfig

    with _faults_told():
        settings = load_config(EtlConfig, config, overrides or ())
        _check_surroundings(settings)
        faults = checked(settings)
        if faults:
            raise InputError(faults)
    typer.echo("no faults found")


@app.command()
def run(config: ConfigPath, overrides: Overrides = None) -> None:
    """Run every step that is not up to date."""
    earlier = told_status()
    if earlier:  # what an input is refused for is not mended by YARN's next attempt
        raise typer.Exit(earlier)
    try:
        _run(config, overrides or ())
    except typer.Exit as end:
        tell_status(end.exit_code)
        raise
    except BaseException:
        tell_status(1)
        raise
    tell_status(0)


def _run(config: str, overrides: Sequence[str]) -> None:
    from etl.config import EtlConfig
    from etl.pipeline import engine
    from etl.pipeline import run as run_pipeline

    with _faults_told():
        settings = load_config(EtlConfig, config, overrides)
        _check_surroundings(settings)
    # Faults are told before the engine is stopped: they need not wait for it.
    with engine(settings) as starting, _faults_told():
        from etl.check import check as checked

        faults = checked(settings)
        if faults:
            raise InputError(faults)
        run_pipeline(settings, console=console, engine=starting)
    report = "" if settings.like else f"\nreport:  {settings.report}"
    typer.echo(f"dataset: {settings.dataset}{report}", file=sys.stdout if is_seen() else console.file)


def _check_surroundings(settings: EtlConfig) -> None:
    """Tell what is wrong with Spark or a store before Java starts, and before each reader tells it again."""
    from etl.engine_check import spark_fault
    from etl.places import place_faults

    faults = [text for text in (spark_fault(), *place_faults(settings)) if text]
    if faults:
        raise InputError(faults)


@app.command()
def simulate(config: ConfigPath, overrides: Overrides = None) -> None:
    """Simulate a cohort with known truth (conf/simulate)."""
    from etl.simulate import run_simulation

    with _faults_told():
        run_simulation(config, overrides or ())


@contextmanager
def _faults_told() -> Iterator[None]:
    handler = RichHandler(level=logging.WARNING, console=console, show_path=False, show_time=False)
    # A library that is imported before this sets up its own logging: ours takes its place.
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler], force=True)
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)  # tells with a traceback what it raises as well
    try:
        yield
    except (InputError, StorageError) as error:
        for text in error.faults if isinstance(error, InputError) else [refused(error)]:
            console.print(f"[bold red]error[/] {escape(text)}", highlight=False, markup=True, soft_wrap=True)
        raise typer.Exit(2) from None


if __name__ == "__main__":
    app()
