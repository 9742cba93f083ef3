import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
BLOCK = 40_000_000  # bytes: above the largest block that glibc would reuse by itself
NEW_PAGES = """
import resource, sys
from train.memory import keep_freed_memory
size = int(sys.argv[2])
if sys.argv[1] == "keep":
    assert keep_freed_memory()
b"x" * size
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    b"x" * size
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def new_pages(kind: str) -> int:
    command = [sys.executable, "-c", NEW_PAGES, kind, str(BLOCK)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_keep_freed_memory__large_blocks_reuse_their_pages():
    one_block = BLOCK // resource.getpagesize()
    assert new_pages("keep") < one_block
    assert new_pages("default") > 4 * one_block
