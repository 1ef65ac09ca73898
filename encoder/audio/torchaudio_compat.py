"""The one place that imports torchaudio, beside any build of torch.

torchaudio's Linux wheel carries a compiled extension linked to CUDA. Beside a CPU-only torch the
plain import dies with OSError while loading it, yet nothing used here (mel banks, resampling)
needs the extension. So when the plain import fails that way, a stand-in for
`torchaudio._extension` that reports "no extension" is put in place and the import is tried again.
"""

from __future__ import annotations

import functools
import importlib
import sys
import types
from typing import Any

from encoder.errors import BackendUnavailable

__all__ = ["torchaudio"]


@functools.cache
def torchaudio() -> types.ModuleType:
    """The torchaudio module; BackendUnavailable if it cannot be imported at all."""
    try:
        return importlib.import_module("torchaudio")
    except OSError:
        return _import_without_extension()
    except ImportError as error:
        raise BackendUnavailable(
            f"torchaudio cannot be imported ({error}): install it with `pip install torchaudio`"
        ) from error


def _import_without_extension() -> types.ModuleType:
    for name in [n for n in sys.modules if n == "torchaudio" or n.startswith("torchaudio.")]:
        del sys.modules[name]  # half-imported pieces of the failed attempt
    stand_in = types.ModuleType("torchaudio._extension")
    stand_in._IS_TORCHAUDIO_EXT_AVAILABLE = False  # type: ignore[attr-defined]
    stand_in._IS_ALIGN_AVAILABLE = False  # type: ignore[attr-defined]
    stand_in.fail_if_no_align = _refuse  # type: ignore[attr-defined]
    stand_in._load_lib = lambda _name: False  # type: ignore[attr-defined]
    sys.modules["torchaudio._extension"] = stand_in
    try:
        return importlib.import_module("torchaudio")
    except (ImportError, OSError) as error:
        del sys.modules["torchaudio._extension"]
        raise BackendUnavailable(
            f"torchaudio cannot be imported beside this torch ({error}): "
            "install the torchaudio release that belongs to it"
        ) from error


def _refuse(_function: Any) -> Any:
    """Decorator for the one function that does need the extension (forced alignment)."""

    def unavailable(*_args: Any, **_kwargs: Any) -> Any:
        raise BackendUnavailable("this torchaudio build has no compiled extension")

    return unavailable
