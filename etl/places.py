"""The URLs of a configuration, each store asked once before Spark starts: is it there, does it let us in?

Java has clients of its own for the same stores: `etl.engine_check` asks those once Spark runs.
"""

from __future__ import annotations

import re
import socket
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from contract.config import texts_of
from contract.errors import InputError, fault
from contract.hdfs import named_namenode
from contract.refusals import ELSEWHERE, refusal
from contract.storage import (
    StorageError,
    exists,
    has_folders,
    is_url,
    join,
    open_storage,
    refused,
    remove,
    store_of,
    write_whole,
)
from etl.config import EtlConfig

KEYS = re.compile(
    r"secret|password|access\.?key|account\.key|encryption\.key|\.sas\.|token(?!\.(?:provider|impl))"
    r"|private\.?key",
    re.I,
)
"""Names of Spark's settings that hold a key; classes that find one are no key."""
IN_OPTIONS = re.compile(r"-D\S*(?:secret|password|key)\S*=", re.I)
"""Of Java, in a setting's value."""
SECONDS_TO_CONNECT = 10
AT_ONCE = 8
"""Stores that are asked at the same time."""


def place_faults(config: EtlConfig) -> list[str]:
    """Every URL that names no store, or one that does not answer or let us in; also keys where none belong.

    A file is written to `out` and removed again: permission, quota and safe mode show in nothing else.
    """
    faults = _keys_told(config)
    if faults:
        return faults
    asked = stores(config)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        told = threads.map(_place_fault, asked, asked.values())
    return [text for text in told if text is not None]


def stores(config: EtlConfig) -> dict[str, bool]:
    """A URL of each store that a configuration names -> whether it is written to, which is `out` alone."""
    found: dict[str, str] = {}
    for field, place in named_places(config):
        if field == "out" or store_of(place) not in found:
            found[store_of(place)] = place
    return {place: place == config.out for place in found.values()}


def named_places(config: EtlConfig) -> Iterator[tuple[str, str]]:
    """Field and URL of whatever a configuration reads and writes, `out` last."""
    settings = config.model_dump(mode="json", exclude={"spark", "out"})
    yield from (named for named in texts_of(settings) if is_url(named[1]) and "://" in named[1])
    if is_url(config.out):
        yield "out", config.out


def _place_fault(place: str, written: bool) -> str | None:
    try:
        open_storage(place)
        _ask_namenode(place)
        if written:
            _write_something(place)
        elif not has_folders(place):
            return _bucket_fault(place)
        else:
            exists(place)
    except InputError as error:
        return error.faults[0]
    except StorageError as error:
        return refused(error)
    except FileNotFoundError:
        return refusal(place, "the bucket does not exist")
    return None


def _write_something(place: str) -> None:
    name = f".probe-{uuid.uuid4().hex[:12]}"
    try:
        write_whole(join(place, name), b"can this be written?")
        remove(join(place, name))
    except StorageError as error:
        raise StorageError(error.errno, str(error.strerror).replace(f"/{name}: ", ": ", 1)) from None


def _bucket_fault(place: str) -> str | None:
    """The fault of a bucket that is read; one whose list is closed to us may still let us read a file."""
    try:
        there = exists(store_of(place))
    except StorageError as error:
        text = refused(error)
        return None if "found no permission" in text else text
    return None if there else refusal(place, "the bucket does not exist")


def _ask_namenode(place: str) -> None:
    """Spark and Hail ask the NameNode itself, Python its HTTP side: one may answer without the other."""
    address = named_namenode(place)
    if address is None:
        return
    try:
        socket.create_connection(address, timeout=SECONDS_TO_CONNECT).close()
    except OSError as error:
        words = (
            f"{place}: no answer from the NameNode at {address[0]}:{address[1]}: {error.strerror or error}"
        )
        raise StorageError(error.errno, words) from None


def _keys_told(config: EtlConfig) -> list[str]:
    return [
        fault("spark.conf", name, found="a key in the configuration", wanted=ELSEWHERE)
        for name, text in config.spark.conf.items()
        if text and (KEYS.search(name) or IN_OPTIONS.search(text))
    ]
