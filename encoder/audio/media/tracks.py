"""Which audio track of a file is read: films, recorders of screens and of meetings have several."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from encoder.audio.media.container import open_container, tracks_in
from encoder.audio.media.decoding import samples_of
from encoder.audio.media.file_view import FileView
from encoder.errors import AudioError

__all__ = ["choose_track"]

_NAMED = 5  # other tracks in a sentence
_SILENT = 1e-4  # -80 dB: the last bits of 16


def choose_track(
    container: InputContainer, view: FileView, name: str, track: int | None, *, listen: bool
) -> tuple[int, str]:
    """The stream's index of `track`, or of the best one, and what to say of the others or "".

    The best is FFmpeg's, of those that can be decoded; one that is silent throughout gives way if
    it may be listened to.
    AudioError where there is no sound, no such track, or none that can be decoded.
    """
    tracks = tracks_in(container)
    if not tracks:
        raise AudioError(f"{name} has no sound in it: give a file with an audio track")
    numbers = {stream.index: number for number, stream in enumerate(tracks)}
    if track is not None and not track < len(tracks):
        has = f"{len(tracks)}, so give one of 0 to {len(tracks) - 1}, or none for the best"
        if len(tracks) == 1:
            has = "one, 0, so leave the track out"
        raise AudioError(f"{name} has no audio track {track}: it has {has}")
    readable = [stream for stream in tracks if stream.codec_context is not None]
    if not readable or (track is not None and tracks[track] not in readable):
        which = "sound" if track is None else f"an audio track {track}"
        raise AudioError(
            f"{name} holds {which} of a kind that cannot be decoded here: convert it to WAV"
        )
    if track is not None:
        return tracks[track].index, ""
    best = container.streams.best("audio")
    readable.sort(key=lambda stream: best is None or stream.index != best.index)
    chosen = readable[0].index
    if listen and len(readable) > 1:
        chosen = _sounding(view, name, [stream.index for stream in readable])
    if len(tracks) == 1:
        return chosen, ""
    left = [stream for stream in tracks if stream.index != chosen]
    others = ", ".join(_described(stream, numbers) for stream in left[:_NAMED])
    others += f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
    read = next(stream for stream in tracks if stream.index == chosen)
    reason = ""
    if chosen != readable[0].index:
        reason = f", as track {numbers[readable[0].index]} is silent throughout"
    return chosen, (
        f"{name} has {len(tracks)} audio tracks: {_described(read, numbers)} was heard{reason}, "
        f"not {others}" + ("; choose another, or mix them, by `track`" if len(readable) > 1 else "")
    )


def _described(stream: AudioStream, numbers: dict[int, int]) -> str:
    """`track 1 (Microphone, deu)`."""
    title, language = (stream.metadata.get(key, "") for key in ("title", "language"))
    more = [part for part in (title, language if language != "und" else "") if part]
    if stream.codec_context is None:
        more.append("cannot be decoded")
    return f"track {numbers[stream.index]}" + (f" ({', '.join(more)})" if more else "")


def _sounding(view: FileView, name: str, indices: Sequence[int]) -> int:
    """The first of the streams that is not silent throughout, in this order, else the first."""
    sounding: set[int] = set()
    with ExitStack() as stack:
        container, _ = open_container(view.again(), name, None, stack)
        streams = [container.streams[index] for index in indices]
        try:
            for packet in container.demux(streams):
                if packet.stream.index not in sounding and _has_sound(packet):
                    sounding.add(packet.stream.index)
                    if packet.stream.index == indices[0]:
                        break
        except (av.FFmpegError, IndexError):
            pass  # damaged from here on: what came before decides
    return next((index for index in indices if index in sounding), indices[0])


def _has_sound(packet: Any) -> bool:
    try:
        frames = [frame for frame in packet.decode() if isinstance(frame, AudioFrame)]
    except av.FFmpegError:
        return False
    return any(
        float(abs(samples_of([frame])).max(initial=0.0)) > _SILENT
        for frame in frames
        if frame.samples
    )
