"""Reading calls of any format as a run does, without Spark, and the small cohort that formats share."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from contract.config import build_config
from contract.errors import InputError
from etl.cohort.schema import COHORT_SCHEMA
from etl.config import EtlConfig
from etl.ingest.files import open_source
from etl.ingest.source import Reference, Source
from etl.ingest.vcf import Reading, Totals
from etl.steps.ingest import read_settings

PEOPLE = {"F1": "2", "M1": "1", "F2": "2", "M2": "1", "U1": "0"}
"""Name -> sex in PLINK's codes."""

RECORDS = (
    "1 100 A G PASS 0/1 1/1 ./. 0/0 1|0",
    "1 300 AT A . 0/1 0/1 ./. 0/0 0/0",
    "1 400 C CAA q10 0/0 0/1 1/1 0/0 ./.",
    "2 500 G T PASS 0/0 0/0 0/0 0/0 0/1",
    "X 100000 C T PASS 1/1 0/1 0/0 0/1 0/0",
    "X 5000000 C T PASS 0/1 1 ./. 0 0/1",
    "X 5000100 C T PASS 1/1 . 0/0 0/1 0/0",
    "Y 5000100 C T PASS . 1 . 0 .",
    "MT 1000 C T PASS 1 1 0 0 .",
)
"""All but FILTER can be said in PLINK 1: two alleles, haploid calls of men on X and of all on Y and MT."""

MULTIALLELIC = "1 600 A G,T PASS 0/1 1/2 ./. 0/2 2/2"
WITH_MULTIALLELIC = (*RECORDS[:3], MULTIALLELIC, *RECORDS[3:])

HEADER = """\
##fileformat=VCFv4.2
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FILTER=<ID=q10,Description="Low quality">
##INFO=<ID=CSQ,Number=.,Type=String,Description="Format: Allele|Consequence|Gene|SYMBOL|BIOTYPE">
##contig=<ID=1,length=249250621>
##contig=<ID=2,length=243199373>
##contig=<ID=X,length=155270560>
##contig=<ID=Y,length=59373566>
##contig=<ID=MT,length=16569>
"""


def write_vcf(path: Path, *records: str) -> Path:
    """Records as in `RECORDS`, each with a consequence of its first alternate allele."""
    lines = []
    for record in records:
        contig, position, ref, alt, filters, *calls = record.split()
        info = f"CSQ={alt.split(',')[0]}|stop_gained|ENSG1|ONE|protein_coding"
        lines.append("\t".join([contig, position, ".", ref, alt, ".", filters, info, "GT", *calls]))
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *PEOPLE]
    path.write_text(HEADER + "\t".join(columns) + "\n" + "\n".join(lines) + "\n")
    return path


def run_config(calls: dict[str, Any], **changes: Any) -> EtlConfig:
    """A configuration of the calls; the other inputs are never opened."""
    settings: dict[str, Any] = {
        "out": "unused",
        "reference": "GRCh37",
        "input": calls,
        "samples": {"path": "unused", "status": {"column": "s", "case": ["1"], "control": ["0"]}},
        "genes": {"path": "unused"},
        "annotation": {"kind": "intervals"},
        "masks": {"preset": "any"},
        "genotype_qc": "skip",
    }
    return build_config(EtlConfig, settings | changes, "configuration")


def read_calls(calls: dict[str, Any], *, parts: int = 1, **changes: Any) -> tuple[pa.Table, Totals]:
    """Rows of the cohort in the order of the calls, and what was counted."""
    config = run_config(calls, **changes)
    return read_source(open_source(config.input), config, parts)


def read_source(source: Source, config: EtlConfig, parts: int = 1) -> tuple[pa.Table, Totals]:
    reference = Reference(config.reference, config.reference_fasta)
    headers, faults = source.inspect(reference)
    if faults:
        raise InputError(faults)
    settings = read_settings(config, config.resolved_profile(), headers)
    tables, totals = [COHORT_SCHEMA.empty_table()], Totals()
    for part in source.parts(headers, parts, reference):
        reading = Reading(part, settings)
        tables += list(reading.tables())
        totals += reading.totals()
    return pa.concat_tables(tables), totals


def faults_of(calls: dict[str, Any], **changes: Any) -> list[str]:
    """What the check before a run says of the calls."""
    config = run_config(calls, **changes)
    return open_source(config.input).inspect(Reference(config.reference, config.reference_fasta))[1]


def rows(table: pa.Table, *without: str) -> list[dict[str, Any]]:
    """Rows by contig, position and allele, but for the columns that the format can't fill."""
    found = table.drop(["variant", *without]).to_pylist()
    return sorted(found, key=lambda row: (row["contig"], row["position"], row["alt"]))


@pytest.fixture(scope="session")
def plink2() -> str:
    program = os.environ.get("EXOSHARD_PLINK2") or shutil.which("plink2")
    if program is None:
        pytest.skip("no plink2 on PATH; EXOSHARD_PLINK2 may name it")
    return program


def convert(plink2: str, vcf: Path, *command: str, people: dict[str, str] = PEOPLE) -> Path:
    """The VCF's calls as another format, `command` being plink2's; the prefix of what it wrote."""
    sexes = vcf.with_suffix(".sex")
    sexes.write_text("#IID\tSEX\n" + "".join(f"{name}\t{sex}\n" for name, sex in people.items()))
    prefix = vcf.with_name(vcf.name.split(".")[0])
    arguments = [
        "--vcf",
        vcf,
        "--update-sex",
        sexes,
        "--vcf-half-call",
        "m",
        "--split-par",
        "hg19",
        *command,
        "--out",
        prefix,
    ]
    subprocess.run([plink2, *map(str, arguments)], check=True, capture_output=True, timeout=60)
    return prefix


def write_vds(vcf: Path, path: Path, **settings: Any) -> str:
    """The VCF's calls as a VDS: reference calls as blocks of one base, the alleles of other calls local.

    `settings` are further ones of `hl.import_vcf`.
    """
    import hail as hl

    table = hl.import_vcf(str(vcf), reference_genome="GRCh37", **settings).drop("rsid")
    call = table.GT
    alleles = hl.sorted(hl.array(hl.set(hl.array([0]).extend(hl.range(call.ploidy).map(lambda n: call[n])))))
    local = hl.if_else(
        call.ploidy == 1,
        hl.call(alleles.index(call[0])),
        hl.call(alleles.index(call[0]), alleles.index(call[1])),
    )
    is_reference = call.n_alt_alleles() == 0
    table = table.select_entries(
        END=hl.or_missing(is_reference, table.locus.position),
        LA=hl.or_missing(~is_reference, alleles),
        LGT=local,
    )
    hl.vds.VariantDataset.from_merged_representation(table).write(str(path))
    return str(path)
