import numpy as np
import pandas as pd
import pytest

from contract.config import build_config
from etl.simulate.config import SimulateConfig
from etl.simulate.gene_tables import write_constraint, write_targets
from etl.simulate.loci import Locus, lay_out

GENE = Locus(0, 0, 100, 500, exons=((100, 200), (400, 500)), number=1)
CONFIG = build_config(SimulateConfig, {"out": "x"}, "test")


def test_write_targets__exons_with_flanks_and_markers_on_target(tmp_path):
    loci = [GENE, Locus(1, 0, 3_001, 6_000), Locus(2, 0, 9_001, 12_000, off_target=True)]
    write_targets(loci, CONFIG, tmp_path / "targets.bed")
    assert (tmp_path / "targets.bed").read_text() == "chr1\t69\t230\nchr1\t369\t530\nchr1\t3000\t6000\n"


def test_write_constraint__loeuf_falls_with_selection(tmp_path):
    settings = {"out": "x", "genes": {"count": 400, "constraint_sigma": 1.5}}
    config = build_config(SimulateConfig, settings, "test")
    write_constraint(lay_out(config), config, tmp_path / "constraint.tsv")
    table = pd.read_csv(tmp_path / "constraint.tsv", sep="\t")
    assert table.columns.tolist() == ["gene_id", "symbol", "s_het", "loeuf"]
    assert len(table) == 400
    assert np.log(table["s_het"]).std() == pytest.approx(1.5, abs=0.15)
    assert table[["s_het", "loeuf"]].corr("spearman").iloc[0, 1] < -0.6
