"""Conversations made of single utterances: turn taking, rooms, noise, channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from encoder.common.lazy import lazy_exports

if TYPE_CHECKING:
    from diarize.simulation.conversation_style import STYLES, ConversationStyle
    from diarize.simulation.labelled_chunk import LabelledChunk
    from diarize.simulation.mixing import Conversation, Simulator
    from diarize.simulation.speaker_bank import SpeakerBank
    from diarize.simulation.speech_trimming import trim_speech
    from diarize.simulation.turn_statistics import turn_taking

__all__ = [
    "STYLES",
    "Conversation",
    "ConversationStyle",
    "LabelledChunk",
    "Simulator",
    "SpeakerBank",
    "trim_speech",
    "turn_taking",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "STYLES": "diarize.simulation.conversation_style",
        "Conversation": "diarize.simulation.mixing",
        "ConversationStyle": "diarize.simulation.conversation_style",
        "LabelledChunk": "diarize.simulation.labelled_chunk",
        "Simulator": "diarize.simulation.mixing",
        "SpeakerBank": "diarize.simulation.speaker_bank",
        "trim_speech": "diarize.simulation.speech_trimming",
        "turn_taking": "diarize.simulation.turn_statistics",
    },
)
