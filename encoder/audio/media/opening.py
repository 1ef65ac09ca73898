"""Anything a user may name as sound, opened, with one audio track chosen.

What a sample's place on the timeline is, and what is warned of, is decided in
`encoder.audio.timestamps`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition

from encoder.audio.media.container import check_read, open_container, tracks_in
from encoder.audio.media.file_view import FileView
from encoder.audio.media.joined_files import find_next_file
from encoder.audio.media.sound_chunks import SoundBytes, find_sound_bytes
from encoder.audio.media.sources import Source, open_source
from encoder.audio.media.tracks import choose_track

__all__ = ["Media", "open_media"]


@dataclass(frozen=True)
class Media:
    """An open container, the audio track to be read, and what its header says."""

    name: str  # as it is written in messages
    file: FileView
    container: InputContainer
    stream: AudioStream
    origin_s: float  # the file's timestamp that players show as 0
    remarks: tuple[str, ...] = ()  # what its user should know, one sentence each
    sound: SoundBytes | None = field(default=None, repr=False)  # a WAV's, or its kin's
    next_at: int | None = None  # the byte at which another file begins that was joined to it

    @property
    def readable_tracks(self) -> list[bool]:
        """Whether each audio track can be decoded."""
        return [stream.codec_context is not None for stream in tracks_in(self.container)]

    @property
    def length_s(self) -> float | None:
        """How long the container says it plays; may be an estimate from its bit rate."""
        duration = self.container.duration
        return None if duration is None else max(0.0, duration / av.time_base)


@contextmanager
def open_media(
    source: Source, *, track: int | None = None, listen: bool = True, begin: int = 0
) -> Iterator[Media]:
    """Open a path, "-" (standard input) or a binary file object, read from its beginning.

    begin: the byte at which the file begins that is meant, of several that were joined.
    track: which audio track, counted from 0; by default the container's best, unless it is silent
    throughout and another is not, which is looked for only with `listen`. What cannot be sought in
    is first copied (`encoder.audio.media.sources`). Raises AudioError for anything that is not
    media with sound, for a track that is not there, and at the end for a file that failed while it
    was read.
    """
    with ExitStack() as stack:
        file, name = open_source(source, stack)
        view = FileView(file, str(getattr(file, "name", "")), begin=begin)
        sound = find_sound_bytes(view)
        length = find_next_file(view, sound)
        if length is not None:
            view = view.again(length)
            sound = find_sound_bytes(view)
        container, remarks = open_container(view, name, sound, stack)
        index, remark = choose_track(container, view, name, track, listen=listen)
        remarks += [remark] if remark else []
        stream = container.streams[index]
        assert isinstance(stream, AudioStream)
        yield Media(
            name, view, container, stream, _origin_s(container), tuple(remarks), sound,
            None if length is None else begin + length,
        )  # fmt: skip
        check_read(view, name)


def _origin_s(container: InputContainer) -> float:
    """The earliest start of sound or moving pictures, but never before the timestamp 0.

    Negative times are what an encoder needs to warm up and are not shown; a cover picture has
    the time 0 whatever the sound has.
    """
    starts = [
        float(stream.start_time * stream.time_base)
        for stream in (*container.streams.audio, *container.streams.video)
        if stream.start_time is not None
        and stream.time_base is not None
        and not stream.disposition & Disposition.attached_pic
    ]
    return max(0.0, min(starts, default=0.0))
