"""Graph libraries: ONNX Runtime, OpenVINO, TensorRT."""
