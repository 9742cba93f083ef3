from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from contract.config import ConfigModel, build_config, digest, dump_config, load_config
from contract.errors import InputError


class Inner(ConfigModel):
    limit: float = Field(0.5, ge=0, le=1)
    kind: Literal["a", "b"] = "a"


class Outer(ConfigModel):
    out: str
    inner: Inner = Inner()
    names: list[str] = Field(default_factory=list)


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_load_config__reads_values_and_defaults(tmp_path: Path):
    config = load_config(Outer, written(tmp_path, "out: build\ninner: {limit: 0.25}\n"))
    assert config == Outer(out="build", inner=Inner(limit=0.25))
    assert config.inner.kind == "a"


def test_load_config__tells_all_faults_at_once(tmp_path: Path):
    path = written(tmp_path, "inner: {limit: 7, kind: c, limmit: 1}\nnames: x\nmore: 1\n")
    with pytest.raises(InputError) as told:
        load_config(Outer, path)
    faults = told.value.faults
    assert {text.split(": ")[1] for text in faults} == {
        "out",
        "inner.limit",
        "inner.kind",
        "inner.limmit",
        "names",
        "more",
    }
    assert all(text.startswith(f"{path}: ") and "found" in text and "wanted" in text for text in faults)
    assert f"{path}: inner.limit: found 7, wanted: Input should be less than or equal to 1" in faults


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- a\n- b\n", "found a list, wanted key: value"),
        ("a: [1\n", "found no valid YAML"),
        ("just words\n", "found a str, wanted key: value"),
    ],
)
def test_load_config__no_mapping(tmp_path: Path, text: str, found: str):
    with pytest.raises(InputError, match=found):
        load_config(Outer, written(tmp_path, text))


def test_load_config__absent_file(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.yaml: configuration: found no readable file"):
        load_config(Outer, tmp_path / "none.yaml")


def test_load_config__binary_file(tmp_path: Path):
    path = tmp_path / "settings.yaml"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="found a binary file"):
        load_config(Outer, path)


def test_load_config__overrides_replace_and_are_read_as_yaml(tmp_path: Path):
    path = written(tmp_path, "out: build\ninner: {limit: 0.25}\n")
    config = load_config(Outer, path, ["inner.limit=0.75", "names=[x, y]", "inner.kind=b"])
    assert config == Outer(out="build", inner=Inner(limit=0.75, kind="b"), names=["x", "y"])


def test_load_config__an_override_makes_a_section_that_the_file_lacks(tmp_path: Path):
    assert load_config(Outer, written(tmp_path, "out: build\n"), ["inner.limit=1"]).inner.limit == 1


@pytest.mark.parametrize("override", ["inner.limit", "=3"])
def test_load_config__override_without_key_or_value(tmp_path: Path, override: str):
    with pytest.raises(InputError, match=rf"found '{override}', wanted key=value"):
        load_config(Outer, written(tmp_path, "out: build\n"), [override])


def test_load_config__override_that_is_no_yaml(tmp_path: Path):
    with pytest.raises(InputError, match=r"command line: names: found '\[x', wanted a YAML value"):
        load_config(Outer, written(tmp_path, "out: build\n"), ["names=[x"])


def test_load_config__unknown_override_is_a_fault(tmp_path: Path):
    with pytest.raises(InputError, match=r"inner\.lmit: found an unknown key"):
        load_config(Outer, written(tmp_path, "out: build\n"), ["inner.lmit=1"])


def test_dump_config__round_trip(tmp_path: Path):
    config = Outer(out="build", inner=Inner(kind="b"), names=["x"])
    assert load_config(Outer, written(tmp_path, dump_config(config))) == config


def test_digest__same_content_same_digest_whatever_the_order():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert digest(Inner()) == digest({"limit": 0.5, "kind": "a"})
    assert len(digest("text")) == 16


def test_build_config__names_the_section_it_was_read_from():
    with pytest.raises(InputError, match=r"^place: part\.inner\.limit: found 7, wanted: "):
        build_config(Outer, {"out": "build", "inner": {"limit": 7}}, "place", within="part")


def test_build_config__names_where_it_was_read():
    with pytest.raises(InputError, match=r"(?m)^place: out: found nothing, wanted a value for this key$"):
        build_config(Outer, {}, "place")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("s3://ID:planted@bucket/x", True),
        ("s3://ID:plan/te+d@bucket/x", True),
        ("https://host/x.vcf?X-Amz-Signature=planted", True),
        ("https://a.blob/x?sv=1&sig=planted", True),
        ("hdfs://host:8020/path@x", False),
        ("abfss://container@account/x", False),
        ("https://host/x.vcf?generation=5", False),
    ],
)
def test_build_config__a_url_with_a_key_in_it(url: str, told: bool):
    class Inputs(ConfigModel):
        vcf: list[str]

    class Settings(ConfigModel):
        input: Inputs

    content = {"input": {"vcf": [url]}}
    if not told:
        assert build_config(Settings, content, "x.yaml").input.vcf == [url]
        return
    with pytest.raises(InputError, match=r"^x\.yaml: input\.vcf: found a key in a URL, wanted cred") as error:
        build_config(Settings, content, "x.yaml")
    assert "planted" not in str(error.value)
