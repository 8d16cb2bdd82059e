"""Make the picture of the README from the demo on Gly-Phe: python docs/make_images.py."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from crysformer.cli import main

if __name__ == "__main__":
    images = Path(__file__).parent / "images"
    images.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        if main(["demo", "-o", folder]) == 0:
            shutil.copy(Path(folder) / "gf" / "maps.png", images / "maps.png")
