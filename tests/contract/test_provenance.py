from pathlib import Path

import numpy as np

from contract.provenance import file_digest, software_versions, source_digest


def test_software_versions__installed_and_absent():
    versions = software_versions(["numpy", "no-such-distribution"])
    assert versions["numpy"] == np.__version__
    assert versions["no-such-distribution"] == "absent"
    assert versions["python"].startswith("3.")


def test_file_digest__of_the_content_alone(tmp_path: Path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"abc")
    second.write_bytes(b"abc")
    assert file_digest(first) == file_digest(second) == "ba7816bf8f01cfea"  # SHA-256 of abc
    second.write_bytes(b"abd")
    assert file_digest(second) != file_digest(first)


def test_source_digest__names_and_contents_of_sources(tmp_path: Path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "one.py").write_text("x = 1\n")
    before = source_digest(tmp_path)
    (tmp_path / "notes.txt").write_text("no source")
    assert source_digest(tmp_path) == before
    (tmp_path / "inner" / "one.py").write_text("x = 2\n")
    changed = source_digest(tmp_path)
    (tmp_path / "page.html.j2").write_text("<p>")
    assert source_digest(tmp_path) != changed, "a template is code"
    (tmp_path / "page.html.j2").unlink()
    (tmp_path / "inner" / "one.py").rename(tmp_path / "inner" / "two.py")
    assert len({before, changed, source_digest(tmp_path)}) == 3
