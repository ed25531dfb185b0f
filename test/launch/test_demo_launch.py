"""demo.launch.py: plays, writes the report and ends by itself."""

import pytest


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_demo_plays_to_the_end(launched, weights, tmp_path):
    launch = launched(
        "demo.launch.py",
        f"output:={tmp_path / 'out'}",
        f"arguments:=--frames 6 --size 96x64 --weights {weights}",
        environment={"XDG_CACHE_HOME": str(tmp_path)},
    )
    status = launch.process.wait(600)  # a busy machine first compiles the renderer and the network
    assert status == 0, launch.output
    assert (tmp_path / "out" / "index.html").is_file(), launch.output
    assert launch.children() == []
