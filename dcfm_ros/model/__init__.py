"""The network: backbones, decomposition, fusion, classifier, checkpoints."""

from dcfm_ros.model.checkpoint import load_model, save_model
from dcfm_ros.model.config import ModelCard, ModelConfig
from dcfm_ros.model.dcfm import DCFM, build_model
from dcfm_ros.model.published import from_published
from dcfm_ros.model.shipped import default_weights

__all__ = [
    "DCFM",
    "ModelCard",
    "ModelConfig",
    "build_model",
    "default_weights",
    "from_published",
    "load_model",
    "save_model",
]
