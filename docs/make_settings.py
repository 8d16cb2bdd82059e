"""Write docs/reference/settings.md from the settings themselves: python docs/make_settings.py."""

from __future__ import annotations

from pathlib import Path

from crysformer.phasing.settings import SolveSettings
from crysformer.settings import to_toml
from crysformer.training.config import TrainingConfig

PAGE = Path(__file__).parent / "reference" / "settings.md"
HEAD = """# Settings

Made by `python docs/make_settings.py`. These are all the keys that settings files in TOML may have,
with their defaults; a file needs only those that it changes.
"""
SECTIONS = (
    (
        "The search",
        "For `crysformer solve --settings FILE.toml`; `--print-settings` prints them.",
        SolveSettings(),
    ),
    (
        "Training",
        "For `crysformer train --config FILE.toml`; `--print-config` prints them.",
        TrainingConfig(),
    ),
)


def content() -> str:
    """The whole page."""
    parts = [
        f"## {title}\n\n{text}\n\n```toml\n{to_toml(settings).strip()}\n```\n"
        for title, text, settings in SECTIONS
    ]
    return "\n".join([HEAD, *parts])


if __name__ == "__main__":
    PAGE.write_text(content(), encoding="utf-8")
