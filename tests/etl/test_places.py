"""Stores asked before Spark starts; real ones are in stores/."""

import socket

import fsspec
import pytest

from contract.config import load_config
from etl.config import EtlConfig
from etl.places import named_places, place_faults, stores
from tests.etl.mini import MiniInputs
from tests.object_store import object_store


def config_of(mini: MiniInputs, **changes: object) -> EtlConfig:
    mini.settings |= changes
    return load_config(EtlConfig, mini.write_config())


def test_stores__each_asked_once_and_out_by_writing(mini: MiniInputs):
    config = config_of(
        mini,
        out="s3a://b/deep/out",
        input={"vcf": ["s3://b/a.vcf.bgz", "s3a://c/b.vcf.bgz", "s3a://c/c.vcf.bgz"]},
        genes={"path": "hdfs://nn:8020/genes.gtf"},
    )
    assert [field for field, _ in named_places(config)].count("input.vcf") == 3
    assert stores(config) == {
        "s3a://b/deep/out": True,
        "s3a://c/b.vcf.bgz": False,
        "hdfs://nn:8020/genes.gtf": False,
    }


def test_place_faults__paths_ask_nobody(mini: MiniInputs, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("etl.places.open_storage", lambda place: pytest.fail(place))
    assert place_faults(config_of(mini)) == []


def test_place_faults__unknown_schemes_and_clusters_that_do_not_answer_are_told_together(mini: MiniInputs):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    config = config_of(mini, out="ftpx://host/x", genes={"path": f"hdfs://127.0.0.1:{port}/genes.gtf"})
    namenode, scheme = place_faults(config)
    assert namenode.startswith(
        f"hdfs://127.0.0.1:{port}/genes.gtf: store: found no answer (no answer from the"
    )
    assert scheme.startswith(
        "ftpx://host/x: URL: found no usable file system (Protocol not known: ftpx), wanted"
    )


def test_place_faults__the_probe_is_gone(mini: MiniInputs):
    assert place_faults(config_of(mini, out="memory://probed/out")) == []
    assert fsspec.filesystem("memory").find("/probed") == []


def test_place_faults__buckets_of_an_object_store(mini: MiniInputs, monkeypatch: pytest.MonkeyPatch):
    with object_store(monkeypatch) as bucket:
        assert place_faults(config_of(mini, out=f"{bucket}/out")) == []
        assert (
            place_faults(config_of(mini, samples={**mini.settings["samples"], "path": f"{bucket}/s"})) == []
        )
        faults = place_faults(config_of(mini, out="s3://absent/x", genes={"path": "s3://absent2/genes.gtf"}))
    assert [text.partition(" (")[0] for text in faults] == [
        "s3://absent2/genes.gtf: store: found no such bucket",
        "s3://absent/x: store: found no such bucket",
    ]


@pytest.mark.parametrize(
    "name", ["spark.hadoop.fs.s3a.secret.key", "spark.hadoop.fs.s3a.session.token", "fs.azure.account.key.x"]
)
def test_place_faults__a_key_in_the_configuration(name: str, mini: MiniInputs):
    (text,) = place_faults(config_of(mini, spark={"conf": {name: "planted"}}))
    assert text.startswith(f"spark.conf: {name}: found a key in the configuration, wanted credentials where")
    assert "planted" not in text


def test_place_faults__classes_that_find_a_key_are_none(mini: MiniInputs):
    name = "spark.hadoop.fs.azure.account.oauth.provider.type"
    assert place_faults(config_of(mini, spark={"conf": {name: "a.Provider"}})) == []
