"""HDFS from Python: through libhdfs where a Hadoop installation has it, else over HTTP (WebHDFS).

Addresses come from Hadoop's own configuration: `core-site.xml` and `hdfs-site.xml` of HADOOP_CONF_DIR, of
HADOOP_HOME, or those that Spark sends to a container of YARN.
"""

from __future__ import annotations

import getpass
import os
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

import fsspec
import requests
from fsspec.implementations.arrow import ArrowFSWrapper, HadoopFileSystem
from fsspec.implementations.webhdfs import WebHDFS
from fsspec.spec import AbstractBufferedFile

CONF_FILES = ("core-site.xml", "hdfs-site.xml")
IN_CONTAINER = "__spark_conf__/__hadoop_conf__"
"""Where Spark puts Hadoop's configuration in the working folder of a container of YARN."""
HTTP_PORT, HTTPS_PORT = 9870, 9871
"""Ports of a NameNode that `hdfs-site.xml` says nothing of (Hadoop 3)."""
RPC_PORT = 8020
PATIENCE = (0.2, 1.0, 3.0)
"""Seconds before a request that failed in between is sent again."""
PATIENT = (10, 120)
"""Seconds in which a connection stands, and then an answer comes."""
SECONDS_TO_BE_SEEN = 1.0
"""Longer than between a look for a file and the move to its name."""
PASSING = ("RetriableException", "StandbyException", "LeaseExpiredException", "IOException")
"""What HDFS answers where the same request may succeed a little later."""
Answer = TypeVar("Answer")


class HdfsOverHttp(WebHDFS):  # type: ignore[misc]
    """WebHDFS whose writes are there whole or not at all, and whose failures are told in its own words.

    fsspec's class writes an empty file and appends to it, which readers see half of, and which a pipeline of
    few DataNodes refuses when one of them is lost.

    Parameters
    ----------
    host, port, use_https, user, kerberos
        Of the NameNode's WebHDFS, see fsspec's `WebHDFS`.
    authority
        What stands after hdfs:// in names of the same cluster.
    """

    protocol = "hdfs"

    def __init__(self, host: str, port: int, *, authority: str, **settings: Any) -> None:
        super().__init__(host=host, port=port, authority=authority, **settings)
        self._authority = authority

    def unstrip_protocol(self, name: str) -> str:
        """The hdfs:// URL of a path."""
        return f"hdfs://{self._authority}{self._strip_protocol(name)}"

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **unused: Any) -> bytes:
        """Content of a file, or of its bytes from `start` to before `end`."""
        begin = start or 0
        if begin < 0 or (end is not None and end < 0):
            size = int(self.info(path)["size"])
            begin = max(size + begin, 0) if begin < 0 else begin
            end = size + end if end is not None and end < 0 else end
        span = {"offset": begin} | ({} if end is None else {"length": max(end - begin, 0)})
        if span.get("length") == 0:
            return b""
        content: bytes = self._at_datanode(
            "OPEN", path, lambda where: self.session.get(where, timeout=PATIENT), **span
        ).content
        return content

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **unused: Any) -> None:
        """Write a whole file; with mode "create" only where there is none, else FileExistsError."""
        self._replace(path, lambda: value, over="NONE" if mode == "create" else "OVERWRITE")

    def put_file(self, lpath: str, rpath: str, callback: object = None, **unused: Any) -> None:
        """Write a file of this machine as a whole."""
        self._replace(rpath, partial(Path(lpath).open, "rb"))

    def mv(self, path1: str, path2: str, *, over: str = "OVERWRITE", **unused: Any) -> None:
        """Rename; a file that has the new name already goes, or with over="NONE" it is FileExistsError."""
        target = self._strip_protocol(path2)
        self._call("RENAME", method="put", path=path1, destination=target, renameoptions=over)

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **settings: Any) -> Any:
        if mode == "rb":
            return _Reader(self, path, mode, block_size or self.blocksize)
        return super()._open(path, mode, block_size, **settings)

    def _replace(self, path: str, content: Callable[[], Any], over: str = "OVERWRITE") -> None:
        path = self._strip_protocol(path)
        folder, _, name = path.rpartition("/")
        # Hidden, so that readers of the folder pass over it.
        unfinished = f"{folder}/.{name}.{uuid.uuid4().hex}"
        try:
            self._upload(unfinished, content)
            self.mv(unfinished, path, over=over)
        except BaseException:
            with suppress(OSError):  # what it failed of is what is told
                self.rm(unfinished)
            raise

    def _upload(self, path: str, content: Callable[[], Any]) -> None:
        def send(where: str) -> requests.Response:
            body = content()
            try:
                headers = {"content-type": "application/octet-stream"}
                answer: requests.Response = self.session.put(
                    where, data=body, headers=headers, timeout=PATIENT
                )
            finally:
                getattr(body, "close", lambda: None)()
            return answer

        self._at_datanode("CREATE", path, send, overwrite="true", permission="644")

    def _at_datanode(
        self, op: str, path: str, ask: Callable[[str], requests.Response], **settings: Any
    ) -> requests.Response:
        """What a DataNode answers that the NameNode names; another one where that is lost."""
        lost = ""

        def attempt() -> requests.Response:
            nonlocal lost
            excluded = {"excludedatanodes": lost} if lost else {}
            method = "PUT" if op == "CREATE" else "GET"
            named = self._call(op, method, path, redirect=False, **settings, **excluded)
            where = named.headers.get("Location")
            if where is None:  # a gateway (HttpFS) answers by itself
                return named
            try:
                return _raise_for(ask(where), path)
            except (requests.ConnectionError, requests.Timeout):
                # Every other time all count: nodes that share a host can't be told apart.
                lost = "" if lost else urlsplit(where).hostname or ""
                raise

        return self._patiently(attempt)

    def _call(
        self, op: str, method: str = "get", path: str | None = None, **settings: Any
    ) -> requests.Response:
        data, redirect = settings.pop("data", None), settings.pop("redirect", True)
        inside = self._strip_protocol(path) if path is not None else ""

        def attempt() -> requests.Response:
            answer = self.session.request(
                method.upper(),
                self.url + quote(inside, safe="/="),
                params={**settings, **self.pars, "op": op.upper()},
                data=data,
                allow_redirects=redirect,
                timeout=PATIENT,
            )
            return _raise_for(answer, inside)

        return self._patiently(attempt)

    def _patiently(self, attempt: Callable[[], Answer]) -> Answer:
        for pause in PATIENCE:
            try:
                return attempt()
            except (requests.ConnectionError, requests.Timeout, PassingError):
                time.sleep(pause)
        try:
            return attempt()
        except (requests.ConnectionError, requests.Timeout):
            where = urlsplit(self.url).netloc
            raise OSError(None, f"no answer from the NameNode at {where} or its DataNodes") from None


class WholeWrites(ArrowFSWrapper):  # type: ignore[misc]
    """A file system of Arrow's where a file comes whole or not at all."""

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **unused: Any) -> None:
        """Write content; with mode "create" only where there is no file, else FileExistsError.

        Content that is no other's, such as a lock's, is then created by one of several who try at once.
        """
        if mode != "create":
            super().pipe_file(path, value)
            return

        def write(unfinished: str) -> None:
            with self.open(unfinished, "wb") as stream:
                stream.write(value)

        self._place(path, write, over=False)
        # Another's move, begun before ours was seen, takes the place of ours: the last one has the file.
        time.sleep(SECONDS_TO_BE_SEEN)
        if self.cat_file(path) != value:
            raise FileExistsError(17, "a file is there", path)

    def put_file(self, lpath: str, rpath: str, callback: object = None, **unused: Any) -> None:
        """Write a file of this machine as a whole."""
        self._place(rpath, partial(super().put_file, lpath), over=True)

    def _place(self, path: str, write: Callable[[str], None], *, over: bool) -> None:
        path = self._strip_protocol(path)
        folder, _, name = path.rpartition("/")
        unfinished = f"{folder}/.{name}.{uuid.uuid4().hex}"
        self.makedirs(folder, exist_ok=True)
        try:
            write(unfinished)
            if not over and self.exists(path):
                raise FileExistsError(17, "a file is there", path)
            self.mv(unfinished, path)  # Arrow removes what is there first
        except BaseException:
            with suppress(OSError):
                self.rm_file(unfinished)
            raise


class HdfsByLibrary(WholeWrites, HadoopFileSystem):  # type: ignore[misc]
    """HDFS through libhdfs."""


class _Reader(AbstractBufferedFile):  # type: ignore[misc]
    def _fetch_range(self, start: int, end: int) -> bytes:
        content: bytes = self.fs.cat_file(self.path, start, min(end, self.size))
        return content


class PassingError(OSError):
    """HDFS refused for a reason that may pass."""


def _raise_for(answer: requests.Response, path: str) -> requests.Response:
    if answer.ok:
        return answer
    try:
        told = answer.json()["RemoteException"]
        kind, words = str(told["exception"]), str(told["message"]).splitlines()[0]
    except (ValueError, KeyError, TypeError):
        kind, words = "", f"{answer.status_code} {answer.reason}"
    if kind == "FileNotFoundException":
        raise FileNotFoundError(2, "no such file or folder", path)
    if kind in ("AccessControlException", "SecurityException"):
        raise PermissionError(13, words, path)
    if kind == "FileAlreadyExistsException" or "already exists" in words:
        raise FileExistsError(17, words, path)
    if kind in PASSING or answer.status_code >= 502:
        raise PassingError(None, words)
    raise OSError(None, words)


def hdfs_filesystem(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """The file system of an hdfs:// URL, and the path inside it.

    Parameters
    ----------
    url
        hdfs://HOST:PORT/PATH, hdfs://NAMESERVICE/PATH, or hdfs:///PATH for the cluster's default.

    Raises
    ------
    ValueError
        If the URL names no cluster and Hadoop's configuration names no default.
    """
    parts = urlsplit(url)
    authority = parts.netloc or _default_authority()
    if _libhdfs():
        host, _, port = authority.partition(":")
        return HdfsByLibrary(host, int(port or 0)), parts.path or "/"
    return _over_http(authority), parts.path or "/"


def named_namenode(url: str) -> tuple[str, int] | None:
    """Host and port of the NameNode of an hdfs:// URL; None of others, and of a name service of several."""
    if urlsplit(url).scheme != "hdfs":
        return None
    authority = urlsplit(url).netloc or _default_authority()
    if hadoop_settings().get(f"dfs.ha.namenodes.{authority}"):
        return None
    host, _, port = authority.partition(":")
    return host, int(port or RPC_PORT)


def _default_authority() -> str:
    default = hadoop_settings().get("fs.defaultFS", "")
    if not default.startswith("hdfs://"):
        raise ValueError("hdfs:/// without a host, and no core-site.xml in HADOOP_CONF_DIR that names one")
    return urlsplit(default).netloc


def _over_http(authority: str) -> HdfsOverHttp:
    settings = hadoop_settings()
    addresses = namenode_addresses(authority, settings)
    options: dict[str, Any] = {"user": _user()}
    if settings.get("hadoop.security.authentication") == "kerberos":
        options = {"kerberos": True}
    secure = settings.get("dfs.http.policy") == "HTTPS_ONLY"
    found = []
    for address in addresses:
        host, _, port = address.partition(":")
        found.append(
            HdfsOverHttp(host, int(port or HTTP_PORT), authority=authority, use_https=secure, **options)
        )
    return found[0] if len(found) == 1 else _active(found)


def _user() -> str:
    """Who asks; tasks of Spark run under the account of their node, for the one who submitted."""
    named = (os.environ.get(name) for name in ("HADOOP_USER_NAME", "SPARK_USER"))
    return next(filter(None, named), None) or getpass.getuser()


def _active(namenodes: list[HdfsOverHttp]) -> HdfsOverHttp:
    """The one of several NameNodes that answers for all; the first where none says so."""
    for namenode in namenodes:
        try:
            namenode.info("/")
        except OSError:
            continue
        return namenode
    return namenodes[0]


def namenode_addresses(authority: str, settings: Mapping[str, str]) -> list[str]:
    """HOST:PORT of WebHDFS for each NameNode of HOST:PORT or of a name service.

    Parameters
    ----------
    authority
        What stands after hdfs://.
    settings
        Of Hadoop's configuration.
    """
    secure = settings.get("dfs.http.policy") == "HTTPS_ONLY"
    key, port = ("https", HTTPS_PORT) if secure else ("http", HTTP_PORT)
    members = settings.get(f"dfs.ha.namenodes.{authority}", "")
    if members:
        names = [name.strip() for name in members.split(",")]
        ways = [settings.get(f"dfs.namenode.rpc-address.{authority}.{name}", name) for name in names]
        return [
            settings.get(f"dfs.namenode.{key}-address.{authority}.{name}", f"{way.partition(':')[0]}:{port}")
            for name, way in zip(names, ways, strict=True)
        ]
    host = authority.partition(":")[0]
    stated = settings.get(f"dfs.namenode.{key}-address", "")
    # The address in the file is that of the default cluster, and its host may be "all interfaces".
    own = urlsplit(settings.get("fs.defaultFS", "")).netloc in ("", authority)
    if stated and own:
        stated_host, _, stated_port = stated.partition(":")
        return [f"{host if stated_host in ('', '0.0.0.0') else stated_host}:{stated_port or port}"]
    return [f"{host}:{port}"]


def hadoop_settings() -> dict[str, str]:
    """Settings of Hadoop's configuration files; empty where there are none."""
    return dict(_settings_in(*_conf_folders()))


def _conf_folders() -> tuple[str, ...]:
    named = [os.environ.get("HADOOP_CONF_DIR", "")]
    if home := os.environ.get("HADOOP_HOME"):
        named.append(f"{home}/etc/hadoop")
    return tuple(folder for folder in (*named, str(Path(IN_CONTAINER).absolute())) if folder)


@cache
def _settings_in(*folders: str) -> Mapping[str, str]:
    for folder in folders:
        files = [Path(folder, name) for name in CONF_FILES]
        if any(file.is_file() for file in files):
            found: dict[str, str] = {}
            for file in files:
                if file.is_file():
                    for item in ElementTree.parse(file).getroot().iter("property"):
                        found[(item.findtext("name") or "").strip()] = (item.findtext("value") or "").strip()
            return found
    return {}


def _libhdfs() -> bool:
    """Whether there is a libhdfs that Arrow finds, with Hadoop's classes for it."""
    home = os.environ.get("HADOOP_HOME", "")
    folder = os.environ.get("ARROW_LIBHDFS_DIR") or f"{home}/lib/native"
    return bool(os.environ.get("CLASSPATH")) and Path(folder, "libhdfs.so").is_file()
