"""Freed memory stays with the process."""

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, sys
from leafdist.system.processes import keep_freed_memory
if sys.argv[1] == "kept": keep_freed_memory()
bytearray(b"1") * (100 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
bytearray(b"1") * (100 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif("glibc" not in platform.libc_ver()[0], reason="another libc")
def test_freed_memory_is_used_again() -> None:
    """Without a fault for each of its 25,600 pages."""
    faults = [int(subprocess.check_output([sys.executable, "-c", COUNT, how])) for how in ("given back", "kept")]
    assert faults[1] < 100 < faults[0]
