"""Description of the machine that a measurement was made on."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from pathlib import Path

import torch


def machine() -> str:
    """Describe processor, cores, GPU, load and versions for the head of a dated result file."""
    cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":")[1].strip() for line in cpuinfo.splitlines() if "model name" in line]
    model = names[0] if names else platform.machine()
    device = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    load = f"load {os.getloadavg()[0]:.1f}; " if hasattr(os, "getloadavg") else ""
    gemmi = importlib.metadata.version("gemmi")
    return (
        f"{model}, {os.cpu_count()} cores{device}; {load}Python "
        f"{platform.python_version()}, torch {torch.__version__}, gemmi {gemmi}"
    )


def run_head(options: str) -> str:
    """Describe date, machine and options of a run in one paragraph."""
    return f"{datetime.date.today()}. {machine()}. Options: {options}."
