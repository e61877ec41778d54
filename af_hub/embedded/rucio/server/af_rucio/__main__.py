"""Start the server: ``python -m af_rucio SETTINGS``; the environment names rucio.cfg."""

from __future__ import annotations

import sys
from pathlib import Path

from .serve import serve
from .settings import Settings

serve(Settings.load(Path(sys.argv[1])))
