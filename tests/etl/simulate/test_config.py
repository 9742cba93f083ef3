from pathlib import Path

import pytest
import yaml

from contract.config import build_config, load_config
from contract.errors import InputError
from etl.simulate.config import SimulateConfig

CONFIGS = Path(__file__).resolve().parents[3] / "conf" / "simulate"


def build(**settings: object) -> SimulateConfig:
    return build_config(SimulateConfig, {"out": "x", **settings}, "study.yaml")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_simulate_config__every_shipped_file_is_valid(path):
    config = load_config(SimulateConfig, path)
    assert config.seed == yaml.safe_load(path.read_text())["seed"]


def test_simulate_config__unknown_key():
    with pytest.raises(InputError, match=r"genes\.cuont: found an unknown key"):
        build(genes={"cuont": 3})


def test_simulate_config__more_causal_genes_than_genes():
    with pytest.raises(InputError, match=r"causal_genes of at most genes\.count, 5"):
        build(genes={"count": 5}, phenotype={"causal_genes": 6})


def test_simulate_config__more_relatives_than_half_of_the_people():
    with pytest.raises(InputError, match="at most half of the 40 people"):
        build(people=40, relatives={"siblings": 11})


def test_simulate_config__kit_shares_do_not_sum_to_one():
    kit = {"name": "a", "batch": "b", "mean_depth": 40, "case_share": 0.5, "control_share": 1}
    with pytest.raises(InputError, match=r"case_share sum to 1, not 0\.5"):
        build(kits=[kit])


def test_simulate_config__ancestry_of_no_population():
    unknown = {"name": "a", "share": 1, "admixture": {"martian": 1}}
    with pytest.raises(InputError, match="ancestry a of shares of european, african, east_asian that sum"):
        build(population={"ancestries": [unknown]})


def test_simulate_config__kit_with_weights_of_no_ancestry():
    kit = {"name": "a", "batch": "b", "mean_depth": 40, "case_share": 1, "control_share": 1}
    with pytest.raises(InputError, match="kits with weights of the ancestries, not finnish"):
        build(kits=[{**kit, "ancestry_weights": {"finnish": 2}}])


def test_simulate_config__no_such_defect_to_switch_off():
    with pytest.raises(InputError, match=r"switched_off of kinds among .*, not bad_luck"):
        build(variant_defects={"switched_off": ["bad_luck"]})


def test_simulate_config__consequence_shares_above_one():
    with pytest.raises(InputError, match="sum of at most 1"):
        build(consequences={"other_missense": 0.9})


def test_result_settings__leave_out_what_cannot_change_the_result():
    assert build(workers=1).result_settings() == build(workers=2, out="y").result_settings()
    assert build(seed=1).result_settings() != build(seed=2).result_settings()
