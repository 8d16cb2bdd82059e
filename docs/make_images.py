"""Make the pictures of the documentation.

Without an argument the README's, from the demo on Gly-Phe; with the output folder of `crysformer
experiment figures`, small copies of its figures for docs/paper.md:

    python docs/make_images.py [FIGURES]
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image

from crysformer.cli import main

#: Pixels across, and colours, of a small copy.
_WIDTH, _COLOURS = 1000, 96


def small_copy(source: Path, target: Path) -> None:
    """Write a picture again with fewer pixels and colours."""
    picture = Image.open(source).convert("RGB")
    if picture.width > _WIDTH:
        size = _WIDTH, round(picture.height * _WIDTH / picture.width)
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    few = picture.quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(target, optimize=True)


if __name__ == "__main__":
    images = Path(__file__).parent / "images"
    images.mkdir(exist_ok=True)
    if len(sys.argv) == 2:
        for source in sorted(Path(sys.argv[1]).glob("figure-*.png")):
            small_copy(source, images / source.name)
        sys.exit()
    with tempfile.TemporaryDirectory() as folder:
        if main(["demo", "-o", folder]) == 0:
            shutil.copy(Path(folder) / "gf" / "maps.png", images / "maps.png")
