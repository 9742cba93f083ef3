"""The same numbers as plink2's, on the same files.

`EXOSHARD_PLINK2` names the program where it is not on PATH. Without root, from Debian's packages:

    apt-get download plink2 libblas3 liblapack3 libdeflate0 libzstd1 libgfortran5
    for package in *.deb; do dpkg -x $package root; done
    root/usr/bin/plink2 --version    # with the folders of root's libraries in LD_LIBRARY_PATH
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from etl.cohort.people import kept_people
from etl.cohort.schema import KEY
from etl.qc.components import find_components
from etl.qc.exact import hardy_weinberg_p
from etl.qc.kinship import king, opposite_homozygotes
from etl.qc.plink import MarkerFile, Markers, read_plink
from etl.qc.variant_counts import READ_COLUMNS, count_batch, genotype_counts, make_strata
from etl.qc.variants import smallest_p
from etl.steps import ingest
from etl.steps.base import Run
from etl.workspace import Workspace
from tests.etl.study import Study

Plink2 = Callable[..., Path]
"""Runs plink2 with these arguments and returns the prefix of its output."""


@pytest.fixture
def plink2(tmp_path: Path) -> Plink2:
    program = os.environ.get("EXOSHARD_PLINK2") or shutil.which("plink2")
    if program is None:
        pytest.skip("no plink2 on PATH; EXOSHARD_PLINK2 may name it")

    def run(*arguments: str) -> Path:
        out = tmp_path / "plink2"
        command = [program, *arguments, "--threads", "2", "--memory", "1000", "--out", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return out

    return run


def read_table(path: Path) -> pd.DataFrame:
    """One of plink2's tables; names of people and chromosomes stay text."""
    names = {"#CHROM": str, "#IID": str, "IID": str, "#IID1": str, "IID2": str}
    return pd.read_csv(path, sep="\t", dtype=names).rename(columns=lambda name: name.removeprefix("#"))


def counted(study: Study, vcf: Path, folder: Path) -> pd.DataFrame:
    """Our counts of all people as one group of controls, by plink2's name of a variant."""
    config = study.config(input__vcf=vcf, genotype_qc="skip")
    folder.mkdir()
    ingest.work(Run(config, config.resolved_profile(), Workspace(str(folder)), folder))
    sums = pd.read_parquet(folder / ingest.SUMS)
    same = {"is_case": 0, "training": True, "sex": None, "ancestry": "one", "batch": "one"}
    samples = sums.assign(sample_index=sums["person"], **same)
    table = pq.read_table(folder / ingest.COHORT, columns=list(READ_COLUMNS))
    (batch,) = table.filter(pc.field("region") == "autosome").combine_chunks().to_batches()
    counts = count_batch(batch, kept_people(sums, samples), make_strata(samples))
    frame = counts.select(["allele_count", "allele_number", "call_rate"]).to_pandas()
    frame["hwe_p"] = smallest_p(counts, hardy_weinberg_p(np.unique(genotype_counts(counts), axis=0)))
    keys = zip(*(counts.column(name).to_pylist() for name in KEY), strict=True)
    return frame.set_index(pd.Index([":".join(map(str, key)) for key in keys]))


@pytest.mark.usefixtures("hail_session")
def test_counts__frequency_missingness_and_equilibrium(simulated: Study, plink2: Plink2, tmp_path: Path):
    vcf = simulated.cohort / "calls.2.vcf.bgz"
    ours = counted(simulated, vcf, tmp_path / "ingest")
    names = ("--set-all-var-ids", "@:#:$r:$a", "--new-id-max-allele-len", "500")
    reading = ("--vcf", str(vcf), "--autosome", "--max-alleles", "2", *names)
    out = plink2(*reading, "--freq", "--missing", "variant-only", "--hardy", "midp")
    theirs = pd.concat(
        [
            read_table(out.with_suffix(".afreq")).set_index("ID")["ALT_FREQS"],
            read_table(out.with_suffix(".vmiss")).set_index("ID")["F_MISS"],
            read_table(out.with_suffix(".hardy")).set_index("ID")["MIDP"],
        ],
        axis=1,
    )
    both = theirs.join(ours, how="inner")
    assert len(both) > 0.9 * len(theirs) > 300
    assert (both["F_MISS"] > 0).sum() > 50
    assert (both["MIDP"] < 0.01).sum() > 5
    assert np.allclose(both["allele_count"] / both["allele_number"], both["ALT_FREQS"], rtol=0, atol=1e-6)
    assert np.allclose(1 - both["call_rate"], both["F_MISS"], rtol=0, atol=1e-6)
    assert np.allclose(both["hwe_p"], both["MIDP"], rtol=0, atol=1e-6)


@pytest.fixture
def prefix(finished: Study) -> str:
    return str(finished.out / "steps" / "03_relatedness" / "markers")


def places(markers: Markers, names: pd.Series) -> np.ndarray:
    return pd.Index(markers.people).get_indexer(pd.Index(names))


def test_king__kinship_and_ibs0_of_all_pairs(prefix: str, plink2: Plink2):
    markers = read_plink(prefix)
    n_people = len(markers.people)
    out = plink2("--bfile", prefix, "--make-king-table", "cols=id,nsnp,ibs0,kinship")
    theirs = read_table(out.with_suffix(".kin0"))
    assert len(theirs) == n_people * (n_people - 1) / 2
    pairs = pd.DataFrame(
        {"first": places(markers, theirs["IID1"]), "second": places(markers, theirs["IID2"])}
    )
    file = MarkerFile(prefix, len(markers), n_people)
    ours = king(file, slice(0, n_people), slice(0, n_people))[pairs["first"], pairs["second"]]
    assert np.allclose(ours, theirs["KINSHIP"], rtol=0, atol=1e-4)
    assert np.allclose(opposite_homozygotes(markers, pairs), theirs["IBS0"], rtol=0, atol=1e-6)


def test_find_components__correlate(prefix: str, plink2: Plink2):
    markers = read_plink(prefix)
    ours = find_components(markers, np.ones(len(markers.people), dtype=bool), 4)
    out = plink2("--bfile", prefix, "--pca", "4")
    theirs = read_table(out.with_suffix(".eigenvec"))
    scores = ours.scores_PK[places(markers, theirs["IID"])]
    assert ours.n_above_noise >= 1
    for place in range(ours.n_above_noise):
        correlation = np.corrcoef(scores[:, place], theirs[f"PC{place + 1}"])[0, 1]
        assert abs(correlation) > 0.99, f"component {place + 1}"
