"""What a media file promises, so that a file cut off in the middle is noticed.

A count written when the recording was finished is a promise, and so is the mark that ends an Ogg
stream. A length read off the last page (ogg, mpegts) is none, but all of it ought to be decoded;
one estimated from the bit rate (aac, mp3 without a count) is worth nothing.
"""

from __future__ import annotations

from encoder.audio.media.file_marks import behind_tags
from encoder.audio.media.file_view import FileView
from encoder.audio.media.ogg_pages import has_damaged_pages, is_torn
from encoder.audio.media.opening import Media

__all__ = ["declared_duration_s", "ends_damaged", "ends_unfinished", "timed_duration_s"]

_LONGEST_S = 10_000_000.0  # four months: beyond it a time is damaged
_LAST_BYTES = 1 << 17  # pages and packets have at most half of it
_TS_PACKETS = (188, 192, 204)
_NUT_INDEX = b"NX\xdd\x67\x2f\x23\xe6\x4e"
# Their headers count samples or frames.
_COUNTED = frozenset(["flac", "tta", "wv", "ape", "sox", "smjpeg", "mxf", "nistsphere"])
_MP3_SAMPLES = {True: 1152, False: 576}  # a frame of MPEG-1, and of the lower rates of MPEG-2


def declared_duration_s(media: Media, end_s: float) -> float | None:
    """Where the header says that the sound ends on the timeline; None where it does not.

    end_s: where the sound that is there ends. A WAV, and all that counts bytes, is taken to go on
    as it went so far.
    """
    formats = set(media.container.format.name.split(","))
    ticks, start, tick_s = media.stream.duration, media.stream.start_time, media.stream.time_base
    if "avi" in formats and media.stream.frames and tick_s is not None:
        length_s = float(media.stream.frames * tick_s)
        return length_s if length_s < _LONGEST_S else None
    if media.sound is not None and not media.sound.is_torn:
        return end_s * (1 + media.sound.missing)
    if "matroska" in formats:
        return _matroska_s(media)
    if formats & {"flv", "asf", "rm"}:
        return media.length_s
    if ticks is None or tick_s is None:
        return None
    length_s = float(ticks * tick_s)
    if "mp3" in formats:
        counted_s = _mp3_count_s(media.file)
        # FFmpeg sets the count aside where the file is another size: it was joined.
        return length_s if counted_s is not None and abs(counted_s - length_s) < 0.5 else None
    if "mp4" in formats:
        return length_s + float((start or 0) * tick_s) - media.origin_s
    return length_s if formats & _COUNTED else None


def timed_duration_s(media: Media) -> float | None:
    """Where the last timestamp says that the sound ends, of containers that have timestamps."""
    stream, formats = media.stream, set(media.container.format.name.split(","))
    if not formats & {"ogg", "mpegts", "mpeg"}:
        return None
    if stream.duration is None or stream.time_base is None:
        return None
    length_s = float(stream.duration * stream.time_base) - media.origin_s
    return length_s if length_s < _LONGEST_S else None


def ends_unfinished(media: Media) -> bool:
    """Whether the last page, packet or block is torn, of formats that consist of such, or an Ogg
    stream's last page does not say that it is the last."""
    kind, file = media.container.format.name, media.file
    first = max(0, file.size - _LAST_BYTES)
    if kind == "ogg":
        return is_torn(file.peek(first, _LAST_BYTES))
    if kind == "nut":
        return _NUT_INDEX not in file.peek(first, _LAST_BYTES)
    if kind == "mpeg":
        return _is_program_stream_torn(file.peek(first, _LAST_BYTES))
    if kind == "mpegts":
        # The packets' own size first: a torn file may be a multiple of another.
        marked = [n for n in _TS_PACKETS if file.peek(n, 1) == file.peek(0, 1) == b"G"]
        return all(file.size % packet for packet in marked[:1] or _TS_PACKETS)
    return media.sound is not None and media.sound.is_torn


def ends_damaged(media: Media) -> bool:
    """Whether what is at the end of an Ogg stream is not what it was when it was written."""
    if media.container.format.name != "ogg":
        return False
    return has_damaged_pages(media.file.peek(max(0, media.file.size - _LAST_BYTES), _LAST_BYTES))


def _is_program_stream_torn(tail: bytes) -> bool:
    """Whether the last packet, of sound, pictures or padding, is longer than what is there."""
    at = len(tail)
    while (at := tail.rfind(b"\0\0\1", 0, at)) >= 0:
        if len(tail) > at + 5 and 0xBB < tail[at + 3] < 0xF0:
            return at + 6 + int.from_bytes(tail[at + 4 : at + 6], "big") > len(tail)
    return False


def _matroska_s(media: Media) -> float | None:
    """The track's own DURATION tag; the whole file's length where sound is all there is."""
    try:
        hours, minutes, seconds = map(float, media.stream.metadata.get("DURATION", "").split(":"))
    except ValueError:
        return media.length_s if len(media.container.streams) == 1 else None
    return hours * 3600 + minutes * 60 + seconds - media.origin_s


def _mp3_count_s(file: FileView) -> float | None:
    """The seconds that an MP3's first frame counts if it is the Xing, Info or VBRI one."""
    frame = file.peek(behind_tags(file, 0), 4096)
    sync = next((i for i in range(len(frame) - 4) if frame[i] == 255 and frame[i + 1] > 223), None)
    if sync is None:
        return None
    for mark, behind in ((b"Xing", 8), (b"Info", 8), (b"VBRI", 14)):
        place = frame.find(mark)
        if place >= 0:
            count = int.from_bytes(frame[place + behind : place + behind + 4], "big")
            version, rate_index = frame[sync + 1] >> 3 & 3, frame[sync + 2] >> 2 & 3
            rates = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
            if version not in rates or rate_index == 3:
                return None
            return count * _MP3_SAMPLES[version == 3] / rates[version][rate_index]
    return None
