"""The workshop beside `dcfm_ros`: where models are taught, measured and compared. A robot runs without it."""
