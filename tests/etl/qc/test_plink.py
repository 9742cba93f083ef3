from pathlib import Path

import hail as hl
import numpy as np
import pandas as pd
import pytest

from etl.qc.plink import (
    HET_BITS,
    HOM_ALT_BITS,
    HOM_REF_BITS,
    MISSING_BITS,
    Markers,
    pack,
    read_plink,
    write_plink,
)
from tests.etl.qc.hail_markers import markers_matrix

BITS = np.array(
    [
        [HOM_REF_BITS, HET_BITS, HOM_ALT_BITS, MISSING_BITS, HET_BITS],
        [HOM_ALT_BITS, HOM_ALT_BITS, HOM_REF_BITS, HOM_REF_BITS, MISSING_BITS],
    ],
    dtype=np.uint8,
)
DOSAGES = [[0, 1, 2, np.nan, 1], [2, 2, 0, 0, np.nan]]
PEOPLE = ("0", "a name", 'quoted "b"', "-9", "é")


@pytest.fixture
def markers() -> Markers:
    sites = pd.DataFrame(
        {"contig": ["chr1", "chr12"], "position": [7, 1_000_000], "ref": ["A", "CT"], "alt": ["G", "CA"]}
    )
    return Markers(sites, PEOPLE, pack(BITS))


def test_pack__four_people_in_a_byte():
    # From the highest bits: missing 01, hom alt 00, het 10, hom ref 11; then the fifth person.
    assert pack(BITS)[0].tolist() == [0b01_00_10_11, 0b10]


def test_dosages__some_markers(markers: Markers):
    assert np.array_equal(markers.dosages(0, 2), DOSAGES, equal_nan=True)
    assert np.array_equal(markers.dosages(1, 2), DOSAGES[1:], equal_nan=True)


def test_take__sites_and_genotypes(markers: Markers):
    second = markers.take(np.array([1]))
    assert second.sites["contig"].tolist() == ["chr12"]
    assert np.array_equal(second.dosages(0, 1), DOSAGES[1:], equal_nan=True)


def test_read_plink__what_was_written(markers: Markers, tmp_path: Path):
    write_plink(markers, str(tmp_path / "markers"))
    found = read_plink(str(tmp_path / "markers"))
    assert found.people == PEOPLE
    assert found.sites.equals(markers.sites)
    assert np.array_equal(found.packed_MB, markers.packed_MB)


@pytest.mark.usefixtures("hail_session")
def test_markers_matrix__hail_reads_the_same_calls(markers: Markers, tmp_path: Path):
    write_plink(markers, str(tmp_path / "markers"))
    mt = markers_matrix(str(tmp_path / "markers"), "GRCh38")
    assert mt.s.collect() == list(PEOPLE)
    assert mt.locus.collect() == [hl.Locus("chr1", 7, "GRCh38"), hl.Locus("chr12", 1_000_000, "GRCh38")]
    assert mt.alleles.collect() == [["A", "G"], ["CT", "CA"]]
    wanted = [None if np.isnan(value) else value for row in DOSAGES for value in row]
    assert mt.GT.n_alt_alleles().collect() == wanted
