import ast
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

PROJECT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((PROJECT / "notebooks").glob("*.ipynb"))
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def code_cells(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_notebooks__there_are_some():
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook__is_stored_without_output(path):
    assert [cell.source for cell in code_cells(path) if cell.outputs or cell.execution_count] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook__defines_no_functions(path):
    trees = [ast.parse(cell.source) for cell in code_cells(path)]
    assert [node for tree in trees for node in ast.walk(tree) if isinstance(node, DEFINITIONS)] == []


def execute(path: Path) -> tuple[str, int]:
    """What a notebook prints, and how many figures it draws."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.text for output in outputs if output.output_type == "stream")
    return printed, sum("application/vnd.plotly.v1+json" in output.get("data", {}) for output in outputs)


def test_demo_results__runs_on_a_finished_demo(small_demo, monkeypatch):
    monkeypatch.setenv("EXOSHARD_DEMO", str(small_demo))
    printed, drawn = execute(PROJECT / "notebooks/01_demo_results.ipynb")
    assert "folds of one family, at most: 1" in printed
    assert "rank correlation of score and liability" in printed
    assert drawn == 7  # genotypes, variants, burden, features, losses, receiver operating, truth


def test_what_the_leak_adds__runs_on_the_figures_of_the_paper(small_paper, monkeypatch):
    monkeypatch.setenv("EXOSHARD_FIGURES", str(small_paper))
    printed, drawn = execute(PROJECT / "notebooks/02_what_the_leak_adds.ipynb")
    assert "1 cohorts of 240 people" in printed
    assert "true genetic liability: AUROC 0." in printed
    assert "left to explain: 0." in printed
    assert drawn == 2
