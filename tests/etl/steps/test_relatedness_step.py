from pathlib import Path

import pandas as pd
import pytest

from contract.errors import InputError
from etl.steps import relatedness
from etl.steps.base import Run
from etl.steps.names import KINSHIP
from etl.steps.relatedness import PEOPLE
from etl.workspace import StepResult, Workspace
from tests.etl.study import Study

pytestmark = pytest.mark.usefixtures("hail_session")


def work(study: Study, out: Path, **changes: object) -> tuple[StepResult, pd.DataFrame]:
    """The step once more, on what the steps before it left; its result and kinship.parquet."""
    config = study.config(**changes)
    result = relatedness.work(Run(config, config.resolved_profile(), Workspace(config.work), out))
    return result, pd.read_parquet(out / KINSHIP)


def chain(people: list[str], path: Path) -> str:
    """Write a table of pairs that makes relatives of relatives of all these people."""
    pairs = pd.DataFrame({"id1": people[:-1], "id2": people[1:], "kinship": 0.25})
    pairs.to_csv(path, sep="\t", index=False)
    return str(path)


def people_of(study: Study) -> list[str]:
    return pd.read_parquet(study.out / "steps" / "03_relatedness" / PEOPLE)["sample_id"].tolist()


def test_work__parents_and_siblings_differ_in_ibs0(finished: Study, tmp_path: Path):
    result, pairs = work(finished, tmp_path)
    ibs0 = {frozenset((row.first, row.second)): row.ibs0 for row in pairs.itertuples()}
    by_kind: dict[str, list[float]] = {"parent_child": [], "siblings": []}
    for pair in finished.truth.related_pairs:
        both = frozenset((pair.sample_a, pair.sample_b))
        if pair.kind in by_kind and both in ibs0:
            by_kind[pair.kind].append(ibs0[both])
    assert max(by_kind["parent_child"]) < min(by_kind["siblings"])
    assert result.facts["unrelated"] < result.facts["people"]


def test_work__too_few_markers_are_refused_with_the_remedy(finished: Study, tmp_path: Path):
    with pytest.raises(InputError) as refused:
        work(finished, tmp_path, thresholds__relatedness__min_markers=100_000)
    (text,) = refused.value.faults
    assert "independent markers" in text
    assert "wanted at least 100000" in text
    assert "give calls of more chromosomes, or set kinship: {table: PATH}" in text


def test_work__few_markers_are_told(finished: Study, tmp_path: Path):
    result, _ = work(finished, tmp_path, thresholds__relatedness__few_markers=100_000)
    assert any("distant relatives are missed or invented" in text for text in result.warnings)


def test_work__a_chained_family_is_told_with_its_size(finished: Study, tmp_path: Path):
    people = people_of(finished)
    table = chain(people[:30], tmp_path / "pairs.tsv")
    result, pairs = work(finished, tmp_path, kinship__table=table)
    (text,) = [text for text in result.warnings if "one family holds" in text]
    # Families of others in the table of a tool are not looked for: those thirty and their declared relatives.
    size = int(text.split("holds ")[1].split(" of ")[0])
    assert 30 <= size < 40
    assert f"of {result.facts['people']} people" in text
    assert pairs["ibs0"].notna().all()


def test_work__skipped_kinship_leaves_an_empty_table(finished: Study, tmp_path: Path):
    result, pairs = work(finished, tmp_path, kinship="skip")
    assert list(pairs.columns) == ["first", "second", "kinship", "ibs0", "relationship"]
    assert pairs.empty
    assert "kinship was not estimated" in result.warnings[0]
