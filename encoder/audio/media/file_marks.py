"""By which bytes media files, and tags behind them, begin."""

from __future__ import annotations

from encoder.audio.media.file_view import FileView

__all__ = ["AMR", "EBML", "VOC", "begins_file", "behind_tags"]

EBML = b"\x1a\x45\xdf\xa3"
AMR = b"#!AMR\n"
VOC = b"Creative Voice File\x1a"
_PLAIN = (
    b"caff", b"riff", b".snd", b"fLaC", b"OggS", b"TTA1", b".SoX", b"XoS.", b"wvpk", b"nut/",
)  # fmt: skip
_MOST_TAGS = 8


def begins_file(head: bytes) -> bool:
    """Whether the first 64 bytes are those of a file that is looked for behind another one."""
    return (
        (head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] in (b"WAVE", b"AVI "))
        or (head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"))
        or head.startswith((*_PLAIN, AMR, VOC))
        or head[4:8] == b"ftyp"
        or (head[:4] == EBML and (b"webm" in head or b"matroska" in head))
        or (head[:4] == b"FLV\x01" and head[5:9] == b"\0\0\0\x09")
    )


def behind_tags(view: FileView, at: int) -> int:
    """Where what players know as no sound ends that begins at `at`: tags of ID3 and APE, zeros."""
    for _ in range(_MOST_TAGS):
        head = view.peek(at, 32)
        if head[:3] == b"TAG":
            at += 128
        elif head[:3] == b"ID3" and len(head) >= 10:  # the size has seven bits a byte
            at += 10 + (head[6] << 21) + (head[7] << 14) + (head[8] << 7) + head[9]
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            has_header = head[23] & 0x20
            at += 32 + (int.from_bytes(head[12:16], "little") if has_header else 0)
        else:
            break
    return view.size if not any(view.peek(at, 1 << 16)) else min(at, view.size)
