"""What commands share that load models and read several files."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from diarize.segmentation import SEGMENTERS
from encoder.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from diarize.embedding.clip_embedding import ClipEmbedder
    from encoder.calibration.score_calibration import Calibration

__all__ = ["check_files", "models"]


@contextmanager
def models(
    embedder: str | None, segmenter: str | None, *, shown: bool
) -> Iterator[
    tuple[ClipEmbedder, Calibration | None, str, Callable[[str, float, float | None], None]]
]:
    """For a block: (voices, the embedder's calibration, its name, what is told of progress)."""
    from diarize.cli.console import progress
    from diarize.pipeline.config import DiarizeConfig

    plan = DiarizeConfig()
    used = embedder or plan.embedder
    SEGMENTERS.check(segmenter or plan.segmenter)
    with progress(shown=shown) as on_stage:
        on_stage("load", 0, None)
        from diarize.embedding.clip_embedding import ClipEmbedder
        from diarize.embedding.embedders import load_embedder
        from encoder.calibration.score_calibration import find_calibration

        loaded = load_embedder(used, device=plan.device)
        finder = SEGMENTERS.build(segmenter or plan.segmenter, {}, where="segmentation")
        yield ClipEmbedder(finder, loaded), find_calibration(loaded.fingerprint), used, on_stage


def check_files(files: list[Path]) -> None:
    """ConfigError or AudioError for the first that is no file."""
    for path in files:
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            raise AudioError(f"there is no file {str(path)!r}: check the path") from None
        except (OSError, ValueError) as error:  # a name that no disk can have, or a loop
            reason = getattr(error, "strerror", None) or str(error)
            raise AudioError(f"cannot read {str(path)!r} ({reason}): check the path") from error
        if stat.S_ISDIR(mode):
            raise ConfigError(f"{str(path)!r} is a folder: give the files in it")
        if not stat.S_ISREG(mode):  # a pipe would be waited for
            raise AudioError(f"{str(path)!r} is no file: give media files")
