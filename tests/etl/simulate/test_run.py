import gzip
import json

import pytest
import yaml

from contract.errors import InputError
from etl.simulate import run_simulation, simulate

FILES = ("cohort.vcf.bgz", "samples.tsv", "genes.gtf", "targets.bed", "constraint.tsv", "truth.json")
TINY = {
    "people": 40,
    "genes": {"count": 25, "backbone_markers": 30},
    "relatives": {"duplicates": 1, "parent_child": 1, "siblings": 1, "half_siblings": 1, "avuncular": 1},
    "phenotype": {"prevalence": 0.3, "causal_genes": 5},
}


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_simulate__same_seed_same_bytes_whatever_the_workers(config_with, tmp_path):
    simulate(config_with(tmp_path / "one", **TINY, workers=1))
    simulate(config_with(tmp_path / "two", **TINY, workers=2))
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert set(contents(tmp_path / "one")) == set(FILES)


def test_simulate__another_seed_another_study(config_with, tmp_path):
    simulate(config_with(tmp_path / "one", **TINY))
    simulate(config_with(tmp_path / "two", **TINY, seed=4))
    first, second = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert all(first[name] != second[name] for name in FILES)


def test_simulate__finished_study_is_left_alone(config_with, tmp_path):
    config = config_with(tmp_path / "x", **TINY)
    truth = simulate(config)
    before = {path.name: path.stat().st_mtime_ns for path in config.out.iterdir()}
    assert simulate(config) == truth
    assert {path.name: path.stat().st_mtime_ns for path in config.out.iterdir()} == before


def test_simulate__damaged_study_is_made_again(config_with, tmp_path):
    config = config_with(tmp_path / "x", **TINY)
    simulate(config)
    before = contents(config.out)
    (config.out / "samples.tsv").write_text("sample_id\n")
    simulate(config)
    assert contents(config.out) == before


def test_simulate__one_file_for_each_contig(config_with, tmp_path):
    simulate(config_with(tmp_path / "x", **TINY, vcf_per_contig=True, reference_genome="GRCh37"))
    (tmp_path / "x" / "notes.txt").write_text("mine")
    names = {path.name for path in (tmp_path / "x").glob("cohort*")}
    assert names <= {f"cohort.{contig}.vcf.bgz" for contig in [*range(1, 23), "X"]}
    assert len(names) > 15
    for name in ("cohort.7.vcf.bgz", "cohort.X.vcf.bgz"):
        lines = gzip.decompress((tmp_path / "x" / name).read_bytes()).decode().splitlines()
        assert {line.split("\t")[0] for line in lines if not line.startswith("#")} == {name.split(".")[1]}
    simulate(config_with(tmp_path / "x", **TINY))
    assert {path.name for path in (tmp_path / "x").iterdir()} == {*FILES, "notes.txt"}


def test_simulate__folder_that_cannot_be_made(config_with, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/x: out: found .*, wanted a folder that can be written"):
        simulate(config_with(tmp_path / "file" / "x", **TINY))


def test_run_simulation__reads_file_and_overrides(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump({**TINY, "out": str(tmp_path / "x")}))
    truth = run_simulation(path, ["people=44", "workers=1"])
    assert len(truth.people) == 44
    assert json.loads((tmp_path / "x" / "truth.json").read_text())["config"]["people"] == 44
