"""`python -m deploy.bench.bench_train [key=value ...]`: loaders and training steps beside their yardsticks.

Prints a table and writes build/figures/bench-train.json.
"""

from pathlib import Path

import typer

from contract.example import write_example
from deploy.bench.loaders import measure_loaders
from deploy.bench.sizes import TrainSizes
from deploy.bench.suite import Figures, Settings, run_suite
from deploy.bench.table import train_table
from deploy.bench.training import measure_memory, measure_one_rank, measure_ranks
from deploy.console import console

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def bench(settings: Settings = None) -> None:
    """Measure loaders, one rank, two ranks and memory on drawn features."""
    run_suite("bench-train", TrainSizes, settings, PARTS, train_table)


def dataset(folder: Path, sizes: TrainSizes, figures: Figures) -> Figures:
    """Write the dataset; its features mean nothing."""
    console.print(f"writing {sizes.people} people × {sizes.genes} genes × 4 channels")
    shape = {"n_samples": sizes.people, "n_genes": sizes.genes, "density": sizes.density}
    write_example(str(folder / "dataset"), **shape, causal=(1, 2, 3))
    return {"sizes": sizes.model_dump()}


def loaders(folder: Path, sizes: TrainSizes, figures: Figures) -> Figures:
    """People per second that reach a step."""
    console.print("measuring the loaders")
    return measure_loaders(str(folder / "dataset"), folder, sizes)


def one_rank(folder: Path, sizes: TrainSizes, figures: Figures) -> Figures:
    """Steps of one rank."""
    console.print("measuring steps of one rank")
    return measure_one_rank(str(folder / "dataset"), sizes)


def ranks(folder: Path, sizes: TrainSizes, figures: Figures) -> Figures:
    """Steps of two ranks."""
    console.print("measuring steps of two ranks")
    return measure_ranks(str(folder / "dataset"), folder / "training", sizes)


def memory(folder: Path, sizes: TrainSizes, figures: Figures) -> Figures:
    """Memory over epochs."""
    console.print("looking at memory over ten epochs")
    return measure_memory(str(folder / "dataset"))


PARTS = (dataset, loaders, one_rank, ranks, memory)

if __name__ == "__main__":
    app()
