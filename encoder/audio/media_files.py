"""Media files below a folder, in one order on every machine.

They are recognised by their ending, and nothing is opened, as a corpus may hold a million files.
Only where an ending is unknown, or there is none, the content decides.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from encoder.errors import AudioError, CorpusError

__all__ = ["MEDIA_SUFFIXES", "folders_in", "media_below", "media_in"]

_SOUND = """
    wav wave bwf rf64 w64 flac opus ogg oga spx mp3 mp2 mpga m4a m4b m4r aac adts wma aif aiff aifc
    caf sph au snd amr awb ac3 eac3 dts gsm wv ape mpc tta tak mka weba voc qcp ra ul ulaw al alaw
    sln
"""
_FILM = """
    webm mp4 m4v mov mkv avi mpg mpeg mpe vob ts mts m2ts 3gp 3g2 flv f4v wmv asf ogv rm rmvb mxf dv
    divx nut
"""
MEDIA_SUFFIXES = frozenset(f".{suffix}" for suffix in f"{_SOUND} {_FILM}".split())
# What lies beside sound and is none: not worth a look.
_OTHERS = """
    txt md rst pdf doc docx odt rtf html htm csv tsv json jsonl xml yaml yml toml ini cfg conf log
    rttm uem ctm stm lab phn wrd textgrid eaf srt vtt ass lrc trn tei cha ortho jpg jpeg png gif svg
    bmp tif tiff webp heic npy npz pt pth ckpt safetensors onnx h5 hdf5 parquet arrow sqlite db zip
    gz bz2 xz tar tgz 7z rar py sh pl m r exe dll so md5 sha1 sha256 m3u m3u8 pls cue nfo url lnk
    mid midi
"""
_OTHER_SUFFIXES = frozenset(f".{suffix}" for suffix in _OTHERS.split())


def media_below(
    folder: Path,
    inside: tuple[tuple[int, int], ...] = (),
    *,
    on_other: Callable[[Path], None] | None = None,
) -> Iterator[Path]:
    """The media files at any depth, sorted by name folder by folder; hidden ones are passed over.

    Links are followed, but not into a folder that they are in. CorpusError for a folder that cannot
    be listed.
    inside: the folders that are being listed. on_other: is given each file that is no media.
    """
    entries = _entries(folder)
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in inside:
        return
    for entry in entries:
        path = folder / entry.name
        if _is_folder(entry):
            yield from media_below(path, (*inside, here), on_other=on_other)
        elif _is_media(path):
            yield path
        elif on_other:
            on_other(path)


def folders_in(folder: Path) -> list[Path]:
    """The folders directly in a folder, sorted; hidden ones are passed over."""
    return [folder / entry.name for entry in _entries(folder) if _is_folder(entry)]


def media_in(folder: Path) -> list[Path]:
    """The media files directly in a folder, sorted."""
    entries = _entries(folder)
    paths = [folder / entry.name for entry in entries if not _is_folder(entry)]
    return [path for path in paths if _is_media(path)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _is_media(path: Path) -> bool:
    suffix = path.suffix.lower()
    if suffix in MEDIA_SUFFIXES or suffix in _OTHER_SUFFIXES:
        return suffix in MEDIA_SUFFIXES
    return _has_sound(path)


def _has_sound(path: Path) -> bool:
    """Whether the content is media with sound, whatever it is called; text never is."""
    from encoder.audio.media.opening import open_media

    try:
        with path.open("rb") as file:
            if b"\0" not in file.read(4096):
                return False
        with open_media(path, listen=False):
            return True
    except (AudioError, OSError):
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            shown = [e for e in entries if not e.name.startswith((".", "__MACOSX"))]
    except FileNotFoundError:
        raise CorpusError(f"the folder {str(folder)!r} does not exist: check the path") from None
    except NotADirectoryError:
        raise CorpusError(
            f"{str(folder)!r} is a file: give the folder that the corpus is in"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: no folder has such a name
        reason = getattr(error, "strerror", None) or error
        raise CorpusError(
            f"the folder {str(folder)!r} cannot be listed ({reason}): check that you may open it"
        ) from error
    return sorted(shown, key=lambda e: e.name)
