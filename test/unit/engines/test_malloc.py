"""What the C library does with memory, asked of a process of its own."""

import subprocess
import sys

import pytest

CODE = """
import ctypes, sys, threading
from dcfm_ros.engines.malloc import share_one_heap
libc = ctypes.CDLL(None)
libc.fopen.restype = libc.malloc.restype = ctypes.c_void_p
shared = share_one_heap() if sys.argv[1] == "shared" else False
together = threading.Barrier(8)
def use():
    libc.free(ctypes.c_void_p(libc.malloc(1000)))
    together.wait()
threads = [threading.Thread(target=use) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
out = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, out)
libc.fclose(out)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks glibc")
def test_threads_share_one_heap_where_asked_to():
    heaps = {}
    for how in ("shared", "apart"):
        done = subprocess.run([sys.executable, "-c", CODE, how], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        heaps[how] = done.stdout.count("<heap nr=")
    assert heaps["shared"] == 1 < heaps["apart"]
