"""Settings of naming speakers, in a file that imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass

from encoder.common.settings import Settings, bounded

__all__ = ["NamingConfig"]


@dataclass(frozen=True)
class NamingConfig(Settings):
    """When a speaker gets an enrolled name. A similarity, where given, replaces the probability.

    The default is for recordings: their speakers share a room or a line, so that they are more
    similar than the clips that calibrations are fitted on. Of 27 unknown speakers in development
    conversations 6 got a wrong name at 0.9 and 2 at 0.97, for 2 right names fewer of 26
    (recipes/evaluate/naming.py).
    """

    min_probability: float = bounded(
        0.97, above=0, below=1, help="of being that enrolled speaker, by the embedder's calibration"
    )
    min_similarity: float | None = bounded(
        None, least=-1, most=1, help="cosine to the nearest exemplar, instead of a probability"
    )
    min_lead: float = bounded(
        0.05, least=0, most=2, help="by how much the next speaker must be less similar"
    )
    min_speech_s: float = bounded(
        2.0, least=0, most=86_400, help="speakers with less speech stay unnamed"
    )
    min_agreement: float = bounded(
        0.6, least=0, most=1, help="share of a speaker's speech that must be nearest to the name"
    )
