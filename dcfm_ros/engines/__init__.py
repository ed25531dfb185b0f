"""How the two graphs run: one small interface, and a factory that chooses what runs it."""

from dcfm_ros.engines.base import Engine
from dcfm_ros.engines.config import EngineConfig
from dcfm_ros.engines.factory import create_engine

__all__ = ["Engine", "EngineConfig", "create_engine"]
