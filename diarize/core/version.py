"""The version of the installed package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["package_version"]


def package_version() -> str:
    """The installed version, or "unknown" when run from a bare checkout."""
    try:
        return version("deepspeaker-diarize")
    except PackageNotFoundError:
        return "unknown"
