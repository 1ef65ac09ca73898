"""The three ways the literature scores, each with its name.

Conventions, so that a number means the same here as elsewhere:

- Collar. `collar_s = 0.25` removes 0.25 s on *each* side of every boundary of a reference turn,
  as md-eval's `-c 0.25` does. pyannote.metrics gives the whole width: its `collar=0.5` is the same.
- Overlap skipped. Instants with two or more reference speakers are not scored (md-eval `-1`).
- Regions. A UEM says what is scored; without one it is the extent of reference and hypothesis
  together, as in pyannote.metrics. md-eval takes the extent of the reference alone, and so does
  not see a false alarm before or after it: give a UEM wherever you can.
- Mapping. Reference and hypothesis speakers are paired one to one so that they share the most
  *scored* time, as in pyannote.metrics. md-eval pairs them before it removes collars; the two
  can differ only with a collar or with overlap skipped, and by little.
- One speaker over itself. Overlapping turns of one speaker are united first; pyannote.metrics
  counts such a stretch twice. Touching turns stay two, each with its collars, as in both tools.

Sources: NIST, "The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan", section
on diarization, and its scorer md-eval-v22.pl; Bredin, "pyannote.metrics", Interspeech 2017.
The names full, fair and forgiving are those of Landini et al., "Bayesian HMM clustering of
x-vector sequences (VBx)", Computer Speech & Language 71, 2022.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAIR", "FORGIVING", "FULL", "PROTOCOLS", "Protocol"]


@dataclass(frozen=True)
class Protocol:
    """What is left out of scoring.

    `collar_s` seconds, >= 0, are removed on each side of every reference boundary; with
    `skip_overlap`, so is the overlapped speech of the reference.
    """

    name: str
    collar_s: float
    skip_overlap: bool


FULL = Protocol("full", 0.0, False)
FAIR = Protocol("fair", 0.25, False)
FORGIVING = Protocol("forgiving", 0.25, True)
PROTOCOLS = (FULL, FAIR, FORGIVING)
