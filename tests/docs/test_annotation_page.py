import re
from pathlib import Path

import pytest
import yaml

from contract.config import build_config, load_config
from etl.annotate.config import AnnotationConfig, GenesConfig
from etl.annotate.consequence import CONSEQUENCE
from etl.annotate.scores import FIELDS
from etl.config import EtlConfig

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs/annotation.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SETTINGS = re.findall(
    r"^# .*annotation: (\{.*\})$", (PROJECT / "conf/etl/annotated.yaml").read_text(), re.MULTILINE
)


@pytest.mark.parametrize("block", BLOCKS)
def test_page__yaml_is_a_valid_configuration(block: str):
    content = yaml.safe_load(block)
    built = build_config(AnnotationConfig, content["annotation"], "docs/annotation.md")
    assert built.kind == content["annotation"].get("kind", "csq")
    if "genes" in content:
        build_config(GenesConfig, content["genes"], "docs/annotation.md")


def test_page__names_every_column_score_and_kind():
    kinds = AnnotationConfig.model_json_schema()["properties"]["kind"]["enum"]
    assert [
        name for name in [*(f.name for f in CONSEQUENCE), *FIELDS, *kinds] if f"`{name}`" not in PAGE
    ] == []


def test_annotated_yaml__is_valid_with_each_source():
    config = load_config(EtlConfig, PROJECT / "conf/etl/annotated.yaml")
    assert config.annotation.transcripts == "mane"
    assert len(SETTINGS) == 4
    for text in SETTINGS:
        build_config(AnnotationConfig, yaml.safe_load(text), "conf/etl/annotated.yaml")
