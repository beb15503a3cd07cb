"""Keeps the C library from handing memory back to the kernel after each tensor.

glibc maps big blocks afresh each time, and the kernel then clears every page anew: on the CPU that is the largest single
cost of a training step. Told to keep what it has, the process runs 1.3 to 1.9 times as fast (docs/training.md).
"""

import ctypes
import platform

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # from glibc's malloc.h


def keep_freed_memory() -> bool:
    """Make glibc's malloc serve big blocks from its heap and keep them when freed. Lasts as long as the process.

    Returns whether anything was changed: not where the C library is another, or another allocator is preloaded
    (its users lose nothing: mallopt is then a call without effect).
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(
        mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, 2**31 - 1) and mallopt(M_TOP_PAD, 64 << 20)
    )
