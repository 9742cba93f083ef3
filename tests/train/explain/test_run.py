import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from contract.errors import InputError
from contract.manifest import read_manifest
from tests.train.runs import CAUSAL
from train import __main__ as command
from train.explain.config import ExplainConfig
from train.explain.people import PEOPLE_NAME
from train.explain.run import EXPLANATIONS_NAME, GENES_NAME, explain

PLANTED = {f"GENE{gene}" for gene in CAUSAL}


@pytest.fixture(scope="module")
def explained(evaluated_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run explained on 300 people, with a list of the planted genes."""
    folder = tmp_path_factory.mktemp("explained")
    run = Path(shutil.copytree(evaluated_run, folder / "run"))
    (folder / "planted.txt").write_text("\n".join(sorted(PLANTED)))
    explain(run, ExplainConfig(sample=300, people=True, lists=(folder / "planted.txt",), top=(3, 10)))
    return run


def test_explain__planted_genes_rank_first(explained: Path) -> None:
    genes = pd.read_parquet(explained / GENES_NAME).sort_values("rank")
    assert set(genes["symbol"][:3]) == PLANTED
    first = genes[:3]
    assert (first["attribution_low"] > genes["attribution"].iloc[3]).all()
    assert (first["rank_high"] <= 3).all()
    assert (first["burden_log10_p"] > 5).all()
    assert (first["slope_plof"] > 1).all()
    assert first["attribution_plof"].min() > genes["attribution_synonymous"].iloc[3:].max()


def test_explain__tells_completeness_agreement_enrichment_and_random_weights(explained: Path) -> None:
    found = json.loads((explained / EXPLANATIONS_NAME).read_text())
    assert found["completeness"]["passed"]
    assert found["completeness"]["worst_error"] <= 0.01
    assert found["people"] == {"explained": 300, "outside_sealed_fold": 900}
    assert found["ranking"]["by"] == "inclusion"
    assert {gene["symbol"] for gene in found["ranking"]["top"][:3]} == PLANTED
    assert found["ranking"]["top"][0]["inclusion"] > 0.99
    assert found["ranking"]["top"][0]["inclusion_low"] is None  # no refits
    assert found["lists"][0]["top"][0] == {
        "top": 3,
        "overlap": 3,
        "expected": pytest.approx(0.15),
        "p": pytest.approx(1 / 34220),
    }  # 60 choose 3
    assert found["agreement"]["top"][0]["overlap"] == 3
    assert found["association"]["genes_above_threshold"] >= 3
    assert found["randomisation"]["passed"]
    assert found["shares"]["channels"]["plof"] > found["shares"]["channels"]["synonymous"]
    assert "replication" in found["lists_note"]


def test_explain__attributions_of_people_add_up_and_are_private(explained: Path, dataset: str) -> None:
    path = explained / PEOPLE_NAME
    people = pd.read_parquet(path)
    parts = people["attributions"].map(np.sum) + people["not_carried"] + people["covariates"].map(np.sum)
    difference = people["logit"] - people["baseline_logit"]
    assert ((parts - difference).abs() <= 0.0101 * difference.abs().clip(lower=0.05)).all()
    assert read_manifest(dataset).test_fold not in set(people["fold"])
    assert "sample_id" not in people
    assert path.stat().st_mode & 0o077 == 0


def test_explain__single_people_only_on_request(evaluated_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(evaluated_run, tmp_path / "run"))
    explain(run, ExplainConfig(sample=20, randomisations=1))
    assert not (run / PEOPLE_NAME).exists()
    assert not list(run.glob("*.partial"))


def test_explain__works_without_the_sealed_fold(evaluated_run: Path, tmp_path: Path, dataset: str) -> None:
    run, root = Path(shutil.copytree(evaluated_run, tmp_path / "run")), tmp_path / "dataset"
    shutil.copytree(dataset, root)
    shutil.rmtree(root / "samples" / f"fold={read_manifest(dataset).test_fold}")
    facts = run / "bundle" / "bundle.json"
    facts.write_text(facts.read_text().replace(dataset, str(root)))
    assert explain(run, ExplainConfig(sample=20, randomisations=1))["people"]["explained"] == 20


def test_explain__inclusion_of_the_bundle_ranks_and_refits_give_intervals(
    evaluated_run: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(evaluated_run, tmp_path / "run"))
    path = run / "bundle" / "genes.parquet"
    genes = pd.read_parquet(path)
    inclusion_G = np.where(np.arange(60) == 11, 0.99, 0.01)
    genes.assign(inclusion=inclusion_G, **dict.fromkeys(EFFECTS, 0.5)).to_parquet(path, index=False)

    def make_refit(config: object, design: object):
        return lambda fold, seed: (inclusion_G - fold / 1000, np.ones((4, 60)))

    config = ExplainConfig(sample=20, randomisations=1, folds="all", seeds=(1, 2), top=(1,))
    found = explain(run, config, make_refit)
    table = pd.read_parquet(run / GENES_NAME)
    assert found["ranking"]["by"] == "inclusion"
    assert len(found["ranking"]["refits"]) == 18
    assert found["ranking"]["stability"] == [{"top": 1, "share": 1.0, "expected": pytest.approx(1 / 60)}]
    assert table["rank"][11] == table["rank_high"][11] == 1
    assert 0.98 < table["inclusion_low"][11] < table["inclusion_high"][11] < 0.991
    assert (table["effect_plof"] == 0.5).all()


def test_explain__bundle_without_effects_ranks_by_attribution(evaluated_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(evaluated_run, tmp_path / "run"))
    path = run / "bundle" / "genes.parquet"
    pd.read_parquet(path).drop(columns=["inclusion", *EFFECTS]).to_parquet(path, index=False)
    found = explain(run, ExplainConfig(sample=100, randomisations=1))
    assert found["ranking"]["by"] == "attribution"
    assert {gene["symbol"] for gene in found["ranking"]["top"][:3]} == PLANTED
    assert found["ranking"]["top"][0]["inclusion"] is None
    assert "effect_plof" not in pd.read_parquet(run / GENES_NAME)


EFFECTS = [f"effect_{name}" for name in ("plof", "damaging_missense", "other_missense", "synonymous")]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"folds": (9,)}, r"command line: --folds: found \[9\], wanted some of \[0, 1, .* 8\], or all"),
        ({"seeds": (1,)}, r"--folds, --seeds: found refits of a model of kind gene_cnn, wanted a model with"),
    ],
)
def test_explain__refits_that_cannot_be(evaluated_run: Path, settings: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        explain(evaluated_run, ExplainConfig(**settings), lambda config, design: None)


def test_explain__another_dataset(evaluated_run: Path, tmp_path: Path, dataset: str) -> None:
    run, root = Path(shutil.copytree(evaluated_run, tmp_path / "run")), tmp_path / "dataset"
    shutil.copytree(dataset, root)
    manifest = root / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"seed": 5', '"seed": 6'))
    facts = run / "bundle" / "bundle.json"
    facts.write_text(facts.read_text().replace(dataset, str(root)))
    with pytest.raises(InputError, match="found another dataset, wanted the one that was trained on"):
        explain(run)


def test_cli__explain(evaluated_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(evaluated_run, tmp_path / "run"))
    done = CliRunner().invoke(command.app, ["explain", str(run), "sample=20", "randomisations=1"])
    assert done.exit_code == 0, done.output
    assert "20 people, attributions complete within" in done.stdout
    for words, message in (
        (["smaple=20"], "command line: smaple: found an unknown key"),
        (["--seeds", "x"], "command line: seeds.0: found 'x'"),
        (["--folds", "most"], "command line: folds"),
    ):
        refused = CliRunner().invoke(command.app, ["explain", str(run), *words])
        assert refused.exit_code == 2
        assert message in refused.stderr
