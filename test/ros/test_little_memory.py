"""The node and the shared memory that Fast DDS takes: too little of it, and what a killed node leaves."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from processes import SOURCE, NodeProcess

from dcfm_ros.share import share_path

SMALL_MEMORY = 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"'
# As the executable, but ends once its node is there; tells the size of what it has taken.
LARGEST_SEGMENT = """
from dcfm_ros.node import node
from dcfm_ros.node.main import main
from pathlib import Path
class Node(node.DcfmNode):
    def start(self):
        print("MiB:", max(path.stat().st_size >> 20 for path in Path("/dev/shm").iterdir()), flush=True)
        return False
node.DcfmNode = Node
main()
"""


def own_namespace(*command):
    return ["unshare", "-m", "sh", "-c", SMALL_MEMORY, "sh", *command]


@pytest.mark.skipif(
    shutil.which("unshare") is None or subprocess.call(own_namespace("true"), stderr=subprocess.DEVNULL) != 0,
    reason="may not mount a small /dev/shm of its own",
)
def test_in_a_small_memory_it_takes_a_small_segment_and_tells_the_remedy():
    done = subprocess.run(
        own_namespace(sys.executable, "-c", LARGEST_SEGMENT),
        cwd=SOURCE,
        env={**os.environ, "FASTDDS_DEFAULT_PROFILES_FILE": str(share_path("config", "fastdds.xml"))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "64 MiB" in done.stderr and "--shm-size" in done.stderr
    assert "MiB: 12" in done.stdout, done.stdout + done.stderr


def test_what_a_killed_node_leaves_is_removed_at_the_next_start(graph, tmp_path):
    alive = NodeProcess(tmp_path / "alive.log", namespace=graph.namespace, autostart=False)
    killed = NodeProcess(tmp_path / "killed.log", namespace=graph.namespace, autostart=False)
    with alive, killed:
        segments = {}
        for node in (alive, killed):
            graph.probe.until(lambda node=node: segment_of(node) is not None, "a segment")
            segments[node] = segment_of(node)
        killed.kill()
        assert segments[killed].exists()
        with NodeProcess(tmp_path / "next.log", namespace=graph.namespace, autostart=False) as following:
            graph.probe.until(lambda: segment_of(following) is not None, "the next start")
            assert not segments[killed].exists()
            assert segments[alive].exists()
            graph.probe.until(lambda: "dead processes" in following.output, "a word of it")


def segment_of(node):
    """What the process holds for its own messages, None before it does."""
    for file in Path(f"/proc/{node.pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            lock = re.fullmatch("(/dev/shm/fastdds_[0-9a-f]{16})_el", os.readlink(file))
            if lock:
                return Path(lock[1])
    return None
