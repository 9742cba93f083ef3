"""Every fault that people make, through the command line: one sentence, status 2, no traceback."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contract.config import load_config
from etl.__main__ import app
from etl.check import check
from etl.config import EtlConfig
from tests.etl.mini import HEADER, PEOPLE, RECORDS, SAMPLES, MiniInputs, vcf_text, write_bgzip

PROJECT = Path(__file__).resolve().parents[2]


def etl(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "etl", *words],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def told(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return [line.removeprefix("error ") for line in done.stderr.splitlines()]


def absent_vcf(mini: MiniInputs) -> str:
    mini.vcf.unlink()
    return f"{mini.vcf}: input.vcf: found no such file, wanted a VCF file or a glob of some"


def contig_names_of_another_build(mini: MiniInputs) -> str:
    mini.write_vcf(
        vcf_text(HEADER.replace("chr1", "1"), records=[line.removeprefix("chr") for line in RECORDS])
    )
    mini.settings["reference"] = "GRCh38"
    return f"{mini.vcf}: CHROM: found '1', wanted names of GRCh38, such as 'chr1'"


def contig_length_of_another_build(mini: MiniInputs) -> str:
    mini.write_vcf(vcf_text(HEADER.replace("248956422", "249250621")))
    return f"{mini.vcf}: ##contig length of chromosome 1: found 249250621, wanted 248956422 (GRCh38)"


def sample_in_the_table_alone(mini: MiniInputs) -> str:
    mini.samples.write_text(SAMPLES + "P5\tcase\tmale\n")
    return f"{mini.vcf}: #CHROM line: found 1 people of {mini.samples} absent, wanted all of them"


def sample_in_the_vcf_alone(mini: MiniInputs) -> str:
    mini.samples.write_text(SAMPLES.replace("P4\tcontrol\tfemale\n", ""))
    return f"{mini.samples}: samples: found 1 people of {mini.vcf} absent, wanted all of them"


def repeated_sample_in_the_vcf(mini: MiniInputs) -> str:
    mini.write_vcf(vcf_text(people=(*PEOPLE, "P3")))
    return f"{mini.vcf}: #CHROM line: found 1 repeated names, wanted each once"


def repeated_sample_in_the_table(mini: MiniInputs) -> str:
    mini.samples.write_text(SAMPLES + "P4\tcontrol\tfemale\n")
    return f"{mini.samples}: sample id: found 1 repeated, wanted each once"


def label_column_absent(mini: MiniInputs) -> str:
    mini.settings["samples"]["status"]["column"] = "diagnosis"
    return f"{mini.samples}: column 'diagnosis': found columns sample_id, status, sex, wanted 'diagnosis'"


def label_of_one_value(mini: MiniInputs) -> str:
    mini.samples.write_text(SAMPLES.replace("control", "case"))
    return (
        f"{mini.samples}: column 'status': found case, wanted two values: case (case) and control (control)"
    )


def format_field_lacking(mini: MiniInputs) -> str:
    header = HEADER.replace("##FORMAT=<ID=PL", "##FORMAT=<ID=XX")
    mini.write_vcf(vcf_text(header, records=[record.replace(":PL", ":XX") for record in RECORDS]))
    return (
        f"{mini.vcf}: FORMAT: found AD, DP, GQ, GT, XX, "
        "wanted also PL for genotype quality control (genotype_qc: skip does without it)"
    )


def truncated_bgzip(mini: MiniInputs) -> str:
    mini.vcf.write_bytes(mini.vcf.read_bytes()[:-40])
    return f"{mini.vcf}: bgzip: found no end-of-file block: the file is cut off, wanted a complete file"


def no_vcf_at_all(mini: MiniInputs) -> str:
    mini.vcf.write_text("people\n")
    return f"{mini.vcf}: first line: found people, wanted ##fileformat=VCF…"


def absent_samples_table(mini: MiniInputs) -> str:
    mini.samples.unlink()
    return f"{mini.samples}: samples.path: found no such file, wanted a samples table"


def absent_gene_table(mini: MiniInputs) -> str:
    mini.genes.unlink()
    return f"{mini.genes}: "


def properties_of_other_genes(mini: MiniInputs) -> str:
    path = mini.genes.with_name("constraint.tsv")
    path.write_text("gene_id\tloeuf\nENSG2\t0.5\n")
    mini.settings["genes"]["properties"] = {"path": str(path), "gene_id": "gene_id", "columns": ["loeuf"]}
    return (
        f"{path}: column gene_id: found properties of other genes, "
        "wanted some of the 1 genes of the axis, such as 'ENSG1'"
    )


def no_consequences_in_the_file(mini: MiniInputs) -> str:
    mini.write_vcf(vcf_text(HEADER.replace("ID=CSQ", "ID=ANN")))
    return f"{mini.vcf}: INFO CSQ: found no such field in the header, wanted VEP's annotation"


def another_order_of_consequences_in_the_second_file(mini: MiniInputs) -> str:
    other = mini.vcf.with_name("second.vcf.bgz")
    write_bgzip(other, vcf_text(HEADER.replace("Allele|Consequence|Gene", "Allele|Gene|Consequence")))
    mini.settings["input"]["vcf"] = [str(mini.vcf), str(other)]
    return (
        f"{other}: INFO CSQ: found Allele|Gene|Consequence|SYMBOL|BIOTYPE|LoF|PolyPhen|SIFT, "
        f"wanted Allele|Consequence|Gene|SYMBOL|BIOTYPE|LoF|PolyPhen|SIFT as in {mini.vcf}"
    )


def unknown_profile(mini: MiniInputs) -> str:
    mini.settings["profile"] = "bipx"
    return f"{PROJECT}/conf/profiles/bipx.yaml: profile: found no such file, wanted a YAML file or one of"


def unknown_key(mini: MiniInputs) -> str:
    mini.settings["input"]["vfc"] = "x"
    return f"{mini.config}: input.vfc: found an unknown key, wanted one of the documented keys"


def threshold_out_of_range(mini: MiniInputs) -> str:
    mini.settings["thresholds"] = {"sample": {"min_call_rate": 93}}
    return "configuration: thresholds.sample.min_call_rate: found 93, wanted: "


def threshold_of_an_unknown_group(mini: MiniInputs) -> str:
    mini.settings["thresholds"] = {"variants": {"min_hwe_p": 0}}
    return "configuration: thresholds.variants: found an unknown key, wanted one of the documented keys"


def misspelt_metric(mini: MiniInputs) -> str:
    mini.settings["thresholds"] = {"sample": {"max_deviations": {"n_singletons": 6}}}
    return "configuration: thresholds.sample.max_deviations.n_singletons: found an unknown key"


def out_is_a_file(mini: MiniInputs) -> str:
    mini.settings["out"] = str(mini.samples)
    return f"{mini.samples}: out: found a file, wanted a folder, or a name that is free"


def out_lies_under_a_file(mini: MiniInputs) -> str:
    mini.settings["out"] = f"{mini.samples}/build/out"
    return f"{mini.samples}: out: found a file, wanted a folder, or a name that is free"


def memory_without_a_number(mini: MiniInputs) -> str:
    mini.settings["spark"] = {"driver_memory": "lots"}
    return (
        f"{mini.config}: spark.driver_memory: found 'lots', wanted: a number and a unit, such as 3g or 512m"
    )


def covariate_of_three_values(mini: MiniInputs) -> str:
    header, *rows = SAMPLES.splitlines()
    sites = [f"{row}\t{site}" for row, site in zip(rows, "ABCA", strict=True)]
    mini.samples.write_text("\n".join([f"{header}\tsite", *sites]) + "\n")
    mini.settings["covariates"] = ["is_female", "site"]
    return (
        f"{mini.samples}: covariates: column 'site': found 3 values, of which 3 are no numbers (A, B, C), "
        "wanted numbers, or two values"
    )


def batch_covariate_without_its_column(mini: MiniInputs) -> str:
    mini.settings["covariates"] = ["is_female", "batch"]
    return (
        f"{mini.config}: covariates: found ['is_female', 'batch'], "
        "wanted: samples.batch to name the column of batches, or no batch here"
    )


def no_records(mini: MiniInputs) -> str:
    mini.write_vcf(vcf_text(records=[]))
    return f"{mini.vcf}: records: found none, wanted at least one variant"


def status_code_that_yaml_reads_as_a_boolean(mini: MiniInputs) -> str:
    mini.settings["samples"]["status"]["control"] = [False]
    return (
        f"{mini.config}: samples.status.control.0: found False, wanted: quotes around the value: YAML reads"
    )


def mask_whose_score_is_not_in_the_annotation(mini: MiniInputs) -> str:
    mask = {"name": "damaging", "any_of": [{"classes": ["plof"]}, {"scores": {"revel": {"min": 0.773}}}]}
    mini.settings["masks"] = {"masks": [mask]}
    return f"{mini.vcf}: mask damaging: found score revel, wanted scores among polyphen, sift (what"


def two_masks_of_one_name(mini: MiniInputs) -> str:
    mini.settings["masks"] = {"masks": [{"name": "plof", "classes": ["plof"]}] * 2}
    return f"{mini.config}: masks: found a mapping, wanted: masks with different names, not plof twice"


FAULTS = [
    absent_vcf,
    contig_names_of_another_build,
    contig_length_of_another_build,
    sample_in_the_table_alone,
    sample_in_the_vcf_alone,
    repeated_sample_in_the_vcf,
    repeated_sample_in_the_table,
    label_column_absent,
    label_of_one_value,
    format_field_lacking,
    truncated_bgzip,
    no_vcf_at_all,
    absent_samples_table,
    absent_gene_table,
    properties_of_other_genes,
    no_consequences_in_the_file,
    another_order_of_consequences_in_the_second_file,
    unknown_profile,
    unknown_key,
    threshold_out_of_range,
    threshold_of_an_unknown_group,
    misspelt_metric,
    out_is_a_file,
    out_lies_under_a_file,
    memory_without_a_number,
    batch_covariate_without_its_column,
    covariate_of_three_values,
    no_records,
    status_code_that_yaml_reads_as_a_boolean,
    mask_whose_score_is_not_in_the_annotation,
    two_masks_of_one_name,
]


@pytest.mark.parametrize("spoil", FAULTS, ids=lambda spoil: spoil.__name__)
def test_check__tells_the_fault(mini: MiniInputs, spoil: Callable[[MiniInputs], str]):
    sentence = spoil(mini)
    done = CliRunner().invoke(app, ["check", str(mini.write_config())])
    assert done.exit_code == 2
    faults = [line.removeprefix("error ") for line in done.stderr.splitlines()]
    assert [text for text in faults if text.startswith(sentence)], faults
    assert len(faults) == 1


@pytest.mark.parametrize(
    "spoil", [absent_vcf, truncated_bgzip, label_of_one_value], ids=lambda spoil: spoil.__name__
)
def test_run__tells_the_fault_and_keeps_what_was_there(mini: MiniInputs, spoil: Callable[[MiniInputs], str]):
    dataset = Path(mini.settings["out"]) / "dataset" / "manifest.json"
    dataset.parent.mkdir(parents=True)
    dataset.write_text("an earlier result")
    sentence = spoil(mini)
    assert told(etl("run", str(mini.write_config())))[0].startswith(sentence)
    assert dataset.read_text() == "an earlier result"


def test_check__another_order_of_consequences_is_none_when_the_order_is_given(mini: MiniInputs):
    another_order_of_consequences_in_the_second_file(mini)
    mini.settings["annotation"]["csq_fields"] = [
        "Allele",
        "Consequence",
        "Gene",
        "SYMBOL",
        "BIOTYPE",
        "LoF",
        "PolyPhen",
        "SIFT",
    ]
    assert check(load_config(EtlConfig, mini.write_config())) == []


def test_check__one_of_several_files_may_be_without_records(mini: MiniInputs):
    other = write_bgzip(mini.vcf.with_name("second.vcf.bgz"), vcf_text(records=[]))
    mini.settings["input"]["vcf"] = [str(other), str(mini.vcf)]
    assert check(load_config(EtlConfig, mini.write_config())) == []


def test_check__no_faults(mini: MiniInputs):
    done = etl("check", str(mini.write_config()))
    assert (done.returncode, done.stdout) == (0, "no faults found\n")


def test_check__all_faults_of_all_inputs_at_once(mini: MiniInputs):
    sentences = [
        contig_length_of_another_build(mini),
        sample_in_the_table_alone(mini),
        absent_gene_table(mini),
        unknown_profile(mini),
    ]
    faults = told(etl("check", str(mini.write_config())))
    assert all(any(text.startswith(sentence) for text in faults) for sentence in sentences), faults


def test_check__seconds_and_neither_hail_nor_spark(mini: MiniInputs):
    code = (
        "import sys; from contract.config import load_config; from etl.config import EtlConfig; "
        "from etl.check import check; print(check(load_config(EtlConfig, sys.argv[1]))); "
        "print(sorted({'hail', 'pyspark', 'torch'} & set(sys.modules)))"
    )
    words = [sys.executable, "-c", code, str(mini.write_config())]
    started = time.process_time(), time.monotonic()
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["[]", "[]"]
    assert time.monotonic() - started[1] < 15, "2 seconds alone; more where other work takes the cores"


def test_run__unreadable_values_are_told_with_file_and_record(mini: MiniInputs):
    mini.write_vcf(vcf_text(records=[RECORDS[0].replace("0,60,900", "0,60,many", 1)]))
    (text,) = told(etl("run", str(mini.write_config())))
    assert text == (
        f"{mini.vcf}: record chr1:1100: found Invalid character 'm' in 'PL' FORMAT field, "
        "wanted genotype columns as in the VCF format"
    )
