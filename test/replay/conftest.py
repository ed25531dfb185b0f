"""What tests of replay share."""

import pytest
from fakes import FakeEngine


@pytest.fixture
def fake_engine(monkeypatch):
    """No network, no weights file."""
    monkeypatch.setattr("dcfm_ros.replay.replayer.create_engine", lambda weights, config: FakeEngine())
    monkeypatch.setattr("dcfm_ros.replay.replayer.weights_path", lambda given: "none")
