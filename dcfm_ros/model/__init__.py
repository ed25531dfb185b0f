"""The network: backbones, decomposition, fusion, classifier, checkpoints."""
