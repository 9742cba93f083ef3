from pathlib import Path

import pytest

from contract.config import load_config
from contract.errors import InputError
from etl.config import EtlConfig
from etl.pipeline import plan

PROJECT = Path(__file__).resolve().parents[2]


def test_plan__absent_input_is_told_by_name(tmp_path):
    vcf = tmp_path / "cohort.vcf.bgz"
    vcf.touch()
    overrides = [f"input.vcf={vcf}", f"samples.path={tmp_path}/absent.tsv", f"out={tmp_path}"]
    config = load_config(EtlConfig, PROJECT / "conf/etl/demo.yaml", overrides)
    with pytest.raises(InputError, match=r"absent\.tsv: input: found no readable file .*, wanted a file"):
        plan(config)
