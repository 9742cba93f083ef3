from pathlib import Path

import yaml

from contract.config import build_config
from etl.aggregate.config import Condition, MaskConfig, MasksConfig, ScoreRange
from etl.aggregate.presets import PRESETS
from etl.annotate.config import AnnotationConfig

PAGE = Path(__file__).resolve().parents[2] / "docs/masks.md"
TEXT = PAGE.read_text()


def blocks() -> list[str]:
    return [part.split("```")[0] for part in TEXT.split("```yaml")[1:]]


def test_masks_page__yaml_is_a_valid_configuration():
    contents = [yaml.safe_load(block) for block in blocks()]
    preset, own, uncalled = (
        build_config(MasksConfig, content["masks"], PAGE.name) for content in contents if "masks" in content
    )
    (groups,) = (content["annotation"] for content in contents if "annotation" in content)
    assert build_config(AnnotationConfig, groups, PAGE.name).groups.masks == "cohort.masks"
    assert preset.preset == "bipex"
    assert [mask.coding for mask in uncalled.resolved()] == ["additive", "missing"]
    assert [mask.name for mask in own.resolved()] == ["plof_rare", "damaging", "plof_two_hits", "plof_saige"]


def test_masks_page__names_every_key_and_value():
    keys = {*MaskConfig.model_fields, *Condition.model_fields, *ScoreRange.model_fields} - {"name"}
    values = {"alternate", "minor", "additive", "dominant", "recessive", "missing"}
    values |= {"sum", "max", "comphet", "two_hits"}
    values |= {"madsen_browning", "beta", "diploid", "haploid"}
    assert sorted(name for name in keys | values if f"`{name}`" not in TEXT) == []


def test_masks_page__tells_the_masks_of_every_preset():
    rows = {line.split("`")[1]: line for line in TEXT.splitlines() if line.startswith("| `")}
    assert set(PRESETS) <= set(rows)
    for name in ("bipex", "schema", "brava", "genebass"):
        assert [mask["name"] for mask in PRESETS[name] if mask["name"] not in rows[name]] == []
