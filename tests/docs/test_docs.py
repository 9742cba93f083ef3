import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from contract.config import build_config
from contract.example import write_example
from etl.aggregate.config import MasksConfig
from etl.annotate.config import GenesConfig
from etl.associate.burden_tests import ASSOCIATION_SCHEMA
from etl.associate.config import AssociationConfig
from etl.cohort.schema import COHORT_SCHEMA
from etl.config import EtlConfig, InputConfig, SamplesConfig
from etl.export.covariates import KINDS, MAX_FILLED
from tests.etl.cohort_rows import cohort_table, variant, write_cohort
from train.audit import rules
from train.audit.provenance import MIN_KINSHIP
from train.audit.registry import CHECKS

PROJECT = Path(__file__).resolve().parents[2]
README = PROJECT / "README.md"
COHORT_PAGE = PROJECT / "docs" / "cohort.md"
NETWORK_PAGE = PROJECT / "docs" / "network.md"
ASSOCIATION_PAGE = PROJECT / "docs" / "association.md"
COVARIATES_PAGE = PROJECT / "docs" / "covariates.md"
AUDIT_PAGE = PROJECT / "docs" / "audit.md"
PAGES = [
    README,
    PROJECT / "CHANGELOG.md",
    PROJECT / "CONTRIBUTING.md",
    *sorted((PROJECT / "docs").glob("*.md")),
    *sorted((PROJECT / "deploy").rglob("*.md")),
]
FENCED = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^    (\S.*)$", re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#]+)\)")
TOP_LEVEL = {path.name for path in PROJECT.iterdir()}
FILE = re.compile(r"[\w.-]+/[\w./-]+\.(py|sh|md|ya?ml|ipynb|svg|png|toml|lock)")
GENERATED = "build/"
ADDRESSES = re.compile(
    r"pypi\.org|pythonhosted|conda\.|registry\.|docker\.io|index-url|(?<![\w.])/(work|tmp)/"
)
TYPER_APPS = {"etl": "etl.__main__", "train": "train.__main__"}


def fenced(kind: str, page: Path = README) -> list[str]:
    return [match["text"] for match in FENCED.finditer(page.read_text()) if match["kind"] == kind]


def named_paths(page: Path) -> set[str]:
    """Paths into the checkout that a page names in code spans and links."""
    text = FENCED.sub("", page.read_text())
    words = {word for span in CODE.findall(text) for word in span.split()}
    words |= {link for link in LINK.findall(text) if "://" not in link}
    words = {word.rstrip(",.;:") for word in words}
    return {word for word in words if word.split("/")[0] in TOP_LEVEL or FILE.fullmatch(word)}


def shell_lines(page: Path) -> list[str]:
    """Commands in a page's console blocks and indented blocks, without comments."""
    lines = [line for block in fenced("console", page) for line in block.splitlines()]
    lines += INDENTED.findall(FENCED.sub("", page.read_text()))
    return [line.split(" #")[0].strip() for line in lines]


def commands(program: str) -> list[list[str]]:
    """Words after `program` of each command that holds it, over all pages."""
    found = [
        line.split(f"{program} ", 1)[1].split()
        for page in PAGES
        for line in shell_lines(page)
        if program in line
    ]
    assert found, f"no page shows {program}"
    return found


def subcommands(package: str) -> set[str]:
    module = __import__(TYPER_APPS[package], fromlist=["app"])
    return {command.name or command.callback.__name__ for command in module.app.registered_commands}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_pages__name_only_paths_that_exist(page):
    named = {path for path in named_paths(page) if not path.startswith(GENERATED)}
    places = (PROJECT, page.parent)
    assert sorted(path for path in named if not any(list(place.glob(path)) for place in places)) == []


def test_named_paths__sees_the_readme_s_tour():
    assert {"contract/schema.py", "etl/steps/", "docs/pipeline.svg", "LICENSE"} <= named_paths(README)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_pages__hold_no_address_of_a_registry_and_no_path_of_one_machine(page):
    assert [line for line in page.read_text().splitlines() if ADDRESSES.search(line)] == []


@pytest.mark.parametrize("package", ["etl", "train"])
def test_commands__name_subcommands_and_configurations_that_exist(package):
    for subcommand, *arguments in commands(f"python -m {package}"):
        assert subcommand in subcommands(package)
        configurations = [word for word in arguments if word.startswith("conf/")]
        assert [path for path in configurations if not (PROJECT / path).is_file()] == []


def test_commands__name_make_targets_that_exist():
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    shown = {line.split()[1] for page in PAGES for line in shell_lines(page) if line.startswith("make ")}
    spans = {
        span.split()[1]
        for page in PAGES
        for span in CODE.findall(page.read_text())
        if span.startswith("make ")
    }
    assert {"demo", "test"} <= shown
    assert sorted((shown | spans) - targets) == []


def test_readme__stays_short():
    assert len(README.read_text().splitlines()) <= 200


def test_readme__walk_through_is_a_valid_configuration():
    first, second = (yaml.safe_load(block) for block in fenced("yaml"))
    config = build_config(EtlConfig, first, "README.md")
    assert config.resolved_profile().variant.min_call_rate == 0.98
    assert [mask.name for mask in build_config(MasksConfig, second["masks"], "README.md").resolved()] == [
        "plof_rare",
        "missense_revel",
    ]


@pytest.mark.parametrize("block", fenced("yaml", PROJECT / "docs" / "inputs.md"))
def test_inputs_page__blocks_are_valid(block):
    (name, settings), *others = yaml.safe_load(block).items()
    assert others == []
    build_config({"input": InputConfig, "samples": SamplesConfig}[name], settings, "docs/inputs.md")


def test_inputs_page__plain_people_files_mean_what_it_says():
    block = next(text for text in fenced("yaml", PROJECT / "docs" / "inputs.md") if "samples:" in text)
    settings = yaml.safe_load(block)["samples"]
    plain = build_config(SamplesConfig, {"path": settings["path"]}, "docs/inputs.md")
    assert build_config(SamplesConfig, settings, "docs/inputs.md") == plain


def test_cohort_page__python_block_finds_the_carriers(tmp_path, monkeypatch):
    table = cohort_table(
        variant("chr1", 100, "0/0 0/1 1/1 ./. fail"), variant("chrX", 9_000_000, "0 1 0 0 0")
    )
    root = tmp_path / "build/demo/steps/01_ingest"
    write_cohort(table, root / "cohort")
    pd.DataFrame({"person": range(5), "sample_id": list("ABCDE")}).to_parquet(root / "sums.parquet")
    monkeypatch.chdir(tmp_path)
    (block,) = fenced("python", COHORT_PAGE)
    found: dict = {}
    exec(compile(block, "docs/cohort.md", "exec"), found)
    carriers = found["carriers"]
    assert list(zip(carriers["position"], carriers["sample_id"], carriers["call"], strict=True)) == [
        (100, "B", 1),
        (100, "C", 2),
        (9_000_000, "B", 3),
    ]


def test_cohort_page__names_every_column():
    text = COHORT_PAGE.read_text()
    assert [name for name in COHORT_SCHEMA.names if f"`{name}`" not in text] == []


def test_network_page__properties_are_a_valid_configuration():
    (block,) = fenced("yaml", NETWORK_PAGE)
    genes = build_config(GenesConfig, yaml.safe_load(block)["genes"], "docs/network.md")
    assert genes.properties.columns == {"loeuf": "oe_lof_upper", "pli": "pLI"}


def test_association_page__names_every_column_and_the_defaults():
    text = ASSOCIATION_PAGE.read_text()
    assert [name for name in ASSOCIATION_SCHEMA.names if f"`{name}`" not in text] == []
    (block,) = fenced("yaml", ASSOCIATION_PAGE)
    assert AssociationConfig(**yaml.safe_load(block)["association"]) == AssociationConfig()


def test_covariates_page__names_the_kinds():
    text = COVARIATES_PAGE.read_text()
    assert [name for name in KINDS if f"| `{name}` |" not in text] == []
    assert f"more than {MAX_FILLED:.0%}".replace("%", " %") in text


def test_audit_page__has_a_row_for_each_check_and_the_limits():
    rows = [line.split("|")[1].strip() for line in AUDIT_PAGE.read_text().splitlines() if line[:1] == "|"]
    assert sorted(check.title for check in CHECKS if rows.count(check.title) != 1) == []
    text = AUDIT_PAGE.read_text()
    assert f"0.05 / {rules.STATISTICAL_CHECKS} for each check" in text
    limits = (rules.SMALL_DIFFERENCE, rules.BALANCED_AUROC, rules.SMALL_AUROC, rules.VARIANCE_RATIO)
    shown = "".join(line for line in text.splitlines() if line[:1] == "|")
    assert [limit for limit in (*limits, rules.MATERIAL_GAIN, MIN_KINSHIP) if str(limit) not in shown] == []
    assert f"{rules.z_limit():.2f} standard errors" in text


def test_audit_page__splits_checks_as_the_rules_count_them():
    tested = AUDIT_PAGE.read_text().split("**By a test**")[1].split("\nA check")[0]
    assert sum(f"| {check.title} |" in tested for check in CHECKS) == rules.STATISTICAL_CHECKS


def test_readme__shows_every_command_of_training():
    shown = {
        line.split("python -m train ")[1].split()[0] for line in shell_lines(README) if "-m train" in line
    }
    assert subcommands("train") - shown == {"report"}  # evaluate writes the report


def test_readme__python_block_reads_a_dataset(tmp_path, monkeypatch):
    manifest = write_example(str(tmp_path / "build/demo/dataset"), n_samples=40, n_genes=7, density=0.2)
    monkeypatch.chdir(tmp_path)
    (block,) = fenced("python")
    found: dict = {}
    exec(compile(block, "README.md", "exec"), found)
    assert found["dense"].shape == (40, 4, 7)
    assert found["dense"].sum() == pytest.approx(sum(values.sum() for values in found["people"]["values"]))
    assert sorted(found["people"]["fold"].astype(int).unique()) == [fold.index for fold in manifest.folds]
    first = found["people"].iloc[0]
    channel, gene = divmod(int(first["indices"][0]), 7)
    assert found["dense"][0, channel, gene] == first["values"][0]
