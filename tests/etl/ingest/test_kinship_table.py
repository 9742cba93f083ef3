from pathlib import Path

import pandas as pd
import pytest

from contract.errors import InputError
from etl.ingest.kinship_table import read_kinship

PEOPLE = ["A", "B", "C"]


def written(folder: Path, text: str, name: str = "pairs.kin0") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


def rows(frame: pd.DataFrame) -> list[tuple[str, str, float]]:
    return list(frame.itertuples(index=False, name=None))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "king.kin0",
            "FID1\tID1\tFID2\tID2\tN_SNP\tHetHet\tIBS0\tKinship\n0\tB\t0\tA\t900\t0.1\t0.0\t0.25\n",
        ),
        (
            "plink2.kin0",
            "#FID1\tIID1\tFID2\tIID2\tNSNP\tHETHET\tIBS0\tKINSHIP\n0\tB\t0\tA\t9\t0.1\t0\t0.25\n",
        ),
        ("plink2.kin0", "#IID1\tIID2\tNSNP\tHETHET\tIBS0\tKINSHIP\nB\tA\t900\t0.1\t0.0\t0.25\n"),
        ("genesis.txt", "ID1 ID2 nsnp kin\nB A 900 0.25\n"),
        ("hail.csv", "i,j,kin,ibd0\nB,A,0.25,0\n"),
    ],
)
def test_read_kinship__as_tools_write_it(tmp_path: Path, name: str, text: str):
    assert rows(read_kinship(written(tmp_path, text, name), PEOPLE)) == [("A", "B", 0.25)]


def test_read_kinship__other_people_and_oneself_are_left_out(tmp_path: Path):
    text = "ID1 ID2 kin\nA X 0.5\nA A 0.5\nC B 0.1\nB C 0.2\n"
    assert rows(read_kinship(written(tmp_path, text), PEOPLE)) == [("B", "C", 0.2)]


def test_read_kinship__faults(tmp_path: Path):
    with pytest.raises(InputError, match=r"kinship\.table: found no such file"):
        read_kinship(str(tmp_path / "absent"), PEOPLE)
    with pytest.raises(
        InputError, match="column of kinship: found columns ID1, ID2, IBS0, wanted one of kinship"
    ):
        read_kinship(written(tmp_path, "ID1 ID2 IBS0\nA B 0.1\n"), PEOPLE)
    with pytest.raises(InputError, match="kinship: found 'much', wanted a number in every row"):
        read_kinship(written(tmp_path, "ID1 ID2 kin\nA B much\n"), PEOPLE)
    with pytest.raises(InputError, match="found no pair of people of the calls, wanted the VCF's names"):
        read_kinship(written(tmp_path, "ID1 ID2 kin\nX Y 0.1\n"), PEOPLE)
