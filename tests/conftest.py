"""Puts tests/ on the path, so that tests may import what they share (`from panoptic_files import ...`)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
