"""How the C library hands memory back to the system between training steps."""

from __future__ import annotations

import ctypes
import platform

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # parameters of mallopt(3)
LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Keep freed memory in this process, so that each step reuses the pages of the one before.

    By default glibc maps every block of many megabytes anew. A training step on a CPU frees and takes
    hundreds of megabytes, and touching that many new pages took more than half of its time (19,000 genes ×
    4 channels, 64 people). Returns whether the C library has the setting; elsewhere nothing changes.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, LARGEST_INT))
