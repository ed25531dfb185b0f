"""The benchmark's own scripts and pages are not installed: their tests find them in the source tree."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "bench"))
