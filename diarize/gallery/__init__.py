"""Enrolled and unknown speakers, remembered between runs in one SQLite file.

Takes unit vectors of clips or of the speakers of a recording, with the seconds of speech behind
them. Gives the enrolled name of each speaker, or the reason why there is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from diarize.gallery.config import NamingConfig
    from diarize.gallery.enrollment import enroll
    from diarize.gallery.gallery import Gallery, default_gallery
    from diarize.gallery.identification import name_speakers
    from diarize.gallery.schema import EnrolledSpeaker, Enrollment
    from diarize.gallery.unknown_speakers import link_unknown_speakers

__all__ = [
    "EnrolledSpeaker",
    "Enrollment",
    "Gallery",
    "NamingConfig",
    "default_gallery",
    "enroll",
    "link_unknown_speakers",
    "name_speakers",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "EnrolledSpeaker": "diarize.gallery.schema",
        "Enrollment": "diarize.gallery.schema",
        "Gallery": "diarize.gallery.gallery",
        "NamingConfig": "diarize.gallery.config",
        "default_gallery": "diarize.gallery.gallery",
        "enroll": "diarize.gallery.enrollment",
        "link_unknown_speakers": "diarize.gallery.unknown_speakers",
        "name_speakers": "diarize.gallery.identification",
    },
)
