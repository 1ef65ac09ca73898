"""What commands share that read files of one speaker each, with a gallery."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from diarize.gallery.gallery import MISSING, Gallery, default_gallery
from diarize.models.presets import USERS, check_fetched
from diarize.pipeline.config import load_config
from diarize.segmentation import SEGMENTERS
from encoder.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from diarize.embedding.clip_embedding import ClipEmbedder
    from encoder.calibration.score_calibration import Calibration

__all__ = ["check_files", "chosen_embedder", "gallery_to_change", "models", "open_gallery"]


@contextmanager
def open_gallery(
    path: str | Path | None, *, writing: bool = False, quiet: bool = False, missing: str = MISSING
) -> Iterator[Gallery]:
    """The gallery in `path`, or the user's own. For `writing` it is made where it does not exist,
    and what forbids writing is raised now, before models are loaded. Remarks on the file are
    printed unless `quiet`; `missing` is the next step where there is none."""
    from diarize.cli.console import tell

    remark = None if quiet else tell
    with Gallery.open(
        path or default_gallery(), create=writing, missing=missing, on_warning=remark
    ) as gallery:
        if writing:
            gallery.check_writable()
        yield gallery


@contextmanager
def gallery_to_change(
    path: str | Path | None,
    changed: str,
    unchanged: str,
    *,
    writing: bool = False,
    quiet: bool = False,
    missing: str = MISSING,
) -> Iterator[Gallery]:
    """As `open_gallery`; an interrupt says of `changed` and `unchanged` what is true then."""
    from diarize.cli.console import interruptible

    opened: list[Gallery] = []
    with (
        interruptible(lambda: changed if opened and opened[0].changed else unchanged),
        open_gallery(path, writing=writing, quiet=quiet, missing=missing) as gallery,
    ):
        opened.append(gallery)
        yield gallery


def chosen_embedder(preset: str | None, embedder: str | None) -> str:
    """The name given, else that of the preset, by default the user's own; what was not fetched is
    refused."""
    config = load_config(preset=preset, otherwise=USERS)
    used = embedder or config.embedder
    check_fetched(config.preset, {"embedder": used})
    return used


@contextmanager
def models(
    preset: str | None, embedder: str | None, segmenter: str | None, *, shown: bool
) -> Iterator[
    tuple[ClipEmbedder, Calibration | None, str, Callable[[str, float, float | None], None]]
]:
    """For a block: (the embedder of clips, its calibration, its name, the callback of progress)."""
    from diarize.cli.console import progress

    SEGMENTERS.check(segmenter or SEGMENTERS.names()[0])
    used = chosen_embedder(preset, embedder)
    with progress(shown=shown) as on_stage:
        on_stage("load", 0, None)
        from diarize.clips.group import ClipsConfig
        from diarize.embedding.clip_embedding import ClipEmbedder
        from diarize.embedding.embedders import load_embedder
        from encoder.calibration.score_calibration import find_calibration

        defaults = ClipsConfig()
        loaded = load_embedder(used, device=defaults.device)
        finder = SEGMENTERS.build(segmenter or defaults.segmenter, {}, where="segmentation")
        clip_embedder = ClipEmbedder(finder, loaded)
        yield clip_embedder, find_calibration(loaded.fingerprint, used), used, on_stage


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
