"""onnxruntime without its telemetry."""

from __future__ import annotations

import os
from types import ModuleType

__all__ = ["import_onnxruntime"]

# Read once, as onnxruntime is imported; the second name is that of versions before its release.
_REFUSALS = ("ORT_DISABLE_TELEMETRY", "ORT_TELEMETRY_DISABLED")


def import_onnxruntime() -> ModuleType:
    """The package, told to leave alone the user's home and the network: by itself it keeps a device
    id and a database in the one, and sends what it does over the other, from the import on.

    A choice that the user has made by these variables stands, and so does a package that was
    imported before. ImportError or OSError as an import has them.
    """
    added = [name for name in _REFUSALS if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        import onnxruntime
    finally:
        for name in added:
            del os.environ[name]
    return onnxruntime
