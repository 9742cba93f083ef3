"""Masks out of the mask definitions of regenie, as a configuration without masks has them."""

from pathlib import Path

import pytest

from contract.config import build_config
from contract.errors import InputError
from etl.aggregate.config import Condition
from etl.annotate.config import AnnotationConfig
from etl.annotate.group_masks import unused_masks
from etl.config import EtlConfig
from tests.etl.mini import MiniInputs

ANNO = "chr1:1100:A:G ENSG1 LoF\nchr1:1200:A:G ENSG1 missense\n"


def write_regenie(folder: Path, masks: str) -> dict[str, str]:
    (folder / "anno").write_text(ANNO)
    (folder / "masks").write_text(masks)
    paths = {"path": str(folder / "anno"), "masks": str(folder / "masks")}
    return {"kind": "groups", "format": "regenie", **paths}


def test_etl_config__masks_of_regenie_are_the_channels(mini: MiniInputs, tmp_path: Path):
    del mini.settings["masks"]
    mini.settings["annotation"] = write_regenie(tmp_path, "M1 LoF\n\nM2\tLoF,missense,mine\n")
    config = build_config(EtlConfig, mini.settings, "test")
    one, two = config.masks.resolved()
    assert (one.name, one.max_frequency, one.combine, one.frequency) == ("M1", 0.01, "max", "alternate")
    assert two.any_of == (
        Condition(classes=("plof", "other_missense", "mine"), terms=("LoF", "missense", "mine")),
    )
    # The resolved configuration is whole: it needs the file no more.
    (tmp_path / "masks").unlink()
    assert build_config(EtlConfig, config.model_dump(mode="json"), "test") == config


def test_etl_config__settings_of_regenie_s_masks(mini: MiniInputs, tmp_path: Path):
    del mini.settings["masks"]
    settings = write_regenie(tmp_path, "M1 lof\n")
    mini.settings["annotation"] = settings | {"max_frequency": 0.2, "combine": "comphet"}
    (mask,) = build_config(EtlConfig, mini.settings, "test").masks.resolved()
    assert (mask.max_frequency, mask.combine) == (0.2, "comphet")
    message = "max_frequency and combine with masks, the file whose masks they are of"
    with pytest.raises(InputError, match=message):
        build_config(AnnotationConfig, settings | {"masks": None, "combine": "sum"}, "test")


def test_etl_config__a_block_of_masks_goes_before_regenie_s(mini: MiniInputs, tmp_path: Path):
    mini.settings["annotation"] = write_regenie(tmp_path, "M1 lof\n")
    config = build_config(EtlConfig, mini.settings, "test")
    assert config.masks.preset == "bipex"
    assert unused_masks(config.annotation.groups, config.masks) == [
        f"{tmp_path}/masks: its masks are no channels: the configuration's block masks goes before them"
    ]
    del mini.settings["masks"]
    config = build_config(EtlConfig, mini.settings, "test")
    assert unused_masks(config.annotation.groups, config.masks) == []
    assert unused_masks(None, config.masks) == []


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ("M1 lof\nM1 missense\n", r"masks: line 2: found mask M1 again, wanted each mask once"),
        ("M1\n", r"masks: line 1: found mask M1 alone, wanted a name and annotations"),
        ("\n", r"masks: masks: found none, wanted a name and annotations by line"),
        (None, r"nowhere: annotation: found no readable file"),
    ],
)
def test_etl_config__bad_mask_definitions(masks: str | None, message: str, mini: MiniInputs, tmp_path: Path):
    del mini.settings["masks"]
    settings = write_regenie(tmp_path, masks or "")
    if masks is None:
        settings["masks"] = str(tmp_path / "nowhere")
    mini.settings["annotation"] = settings
    with pytest.raises(InputError, match=message):
        build_config(EtlConfig, mini.settings, "test")


def test_etl_config__neither_masks_nor_a_file_of_them(mini: MiniInputs):
    del mini.settings["masks"]
    with pytest.raises(InputError, match="test: masks: found nothing, wanted a value for this key"):
        build_config(EtlConfig, mini.settings, "test")
    mini.settings["annotation"] = {"kind": "nothing"}
    with pytest.raises(InputError) as error:
        build_config(EtlConfig, mini.settings, "test")
    assert len(error.value.faults) == 1
