"""What telephones, codecs, rooms and noise do to speech, for training.

In come waves (T,) or log-mel features (B, F, M), with a source of random numbers; the same shapes
come out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from encoder.augmentation.codecs import through_codec
    from encoder.augmentation.room_kernels import measured_rooms
    from encoder.augmentation.spectral import AugmentConfig, augment
    from encoder.augmentation.telephone import codec_of, through_telephone

__all__ = [
    "AugmentConfig",
    "augment",
    "codec_of",
    "measured_rooms",
    "through_codec",
    "through_telephone",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "AugmentConfig": "encoder.augmentation.spectral",
        "augment": "encoder.augmentation.spectral",
        "codec_of": "encoder.augmentation.telephone",
        "measured_rooms": "encoder.augmentation.room_kernels",
        "through_codec": "encoder.augmentation.codecs",
        "through_telephone": "encoder.augmentation.telephone",
    },
)
