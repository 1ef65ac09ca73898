"""Which enrolled speaker a speaker is, if any: better no name than a wrong one.

The similarity to an enrolled speaker is that to the nearest of their exemplars. A speaker gets the
name of the nearest one if that is probable, clearly nearer than the next, if there is enough
speech, and if most of that speech agrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diarize.gallery.config import NamingConfig
from diarize.gallery.integrity import check_sizes
from diarize.gallery.schema import EnrolledSpeaker
from encoder.common.vectors import unit_rows
from encoder.errors import ConfigError

if TYPE_CHECKING:
    from encoder.calibration.score_calibration import Calibration

__all__ = [
    "UNLIKE",
    "Match",
    "Naming",
    "agreement",
    "check_rule",
    "match_speakers",
    "name_speakers",
    "rank_speakers",
    "speaker_vectors",
]

Vectors = NDArray[np.floating[Any]]
Seconds = NDArray[np.floating[Any]]
_NONE, _UNSURE = "no speaker is enrolled", "not sure"
UNLIKE = (_NONE, _UNSURE)  # the reasons of a speaker who is like no enrolled one


@dataclass(frozen=True)
class Match:
    """How a speaker compares with the enrolled speaker `name`.

    probability: None without a calibration. lead: similarity minus the `runner_up`'s, None
    where there is no other. kind: the enrolled speaker's.
    """

    name: str
    kind: str
    similarity: float
    probability: float | None
    lead: float | None = None
    runner_up: str | None = None


@dataclass(frozen=True)
class Naming:
    """By label 0..K-1: `names` (None: unnamed), the best `matches` there were, named or not (None:
    none is enrolled), and `reasons` in words why a speaker stayed unnamed (None: is named).
    """

    names: list[str | None]
    matches: list[Match | None]
    reasons: list[str | None]


def rank_speakers(
    vector: Vectors,
    speech_s: float,
    enrolled: Sequence[EnrolledSpeaker],
    calibration: Calibration | None,
) -> list[Match]:
    """All enrolled speakers with an exemplar, the nearest to a unit vector (D,) of `speech_s`
    seconds first; equals in their order. DamagedError for exemplars of another length."""
    check_sizes({speaker.name: speaker.exemplars for speaker in enrolled}, len(vector))
    found = []
    for speaker in enrolled:
        if len(speaker.exemplars) == 0:
            continue
        similarities = speaker.exemplars.astype(np.float64) @ np.asarray(vector, np.float64)
        best = int(similarities.argmax())
        similarity = float(similarities[best])
        probability = None
        if calibration is not None:
            probability = float(
                calibration.probability(similarity, speech_s, speaker.seconds[best])
            )
        found.append(Match(speaker.name, speaker.kind, similarity, probability))
    return sorted(found, key=lambda match: -match.similarity)


def check_rule(rule: NamingConfig, calibration: Calibration | None) -> None:
    """ConfigError without a calibration, unless the rule gives a similarity."""
    if calibration is None and rule.min_similarity is None:
        raise ConfigError(
            "this embedder has no calibration, so there are no probabilities: fit one with "
            "`python -m recipes.calibrate.scores` of the source repository, or give min_similarity",
            setting="naming.min_similarity",
        )


def match_speakers(
    vectors: Vectors,
    speech_s: Seconds,
    enrolled: Sequence[EnrolledSpeaker],
    calibration: Calibration | None,
    *,
    rule: NamingConfig | None = None,
) -> list[tuple[Match | None, str | None]]:
    """Unit vectors (K, D) of speakers with speech_s (K,) seconds -> (the best match, why it is not
    good enough or None) of each. ConfigError as `check_rule`."""
    rule = rule or NamingConfig()
    check_rule(rule, calibration)
    return [
        _judge(rank_speakers(vector, float(seconds), enrolled, calibration), float(seconds), rule)
        for vector, seconds in zip(vectors, speech_s, strict=True)
    ]


def _judge(
    ranked: list[Match], speech_s: float, rule: NamingConfig
) -> tuple[Match | None, str | None]:
    if not ranked:
        return None, _NONE
    best = _preferred(ranked, rule)
    # A named speaker may be in the gallery as an unknown one as well, and an unknown speaker whom
    # the clusterer once split is there twice: unknown speakers make nothing ambiguous.
    rivals = [m for m in ranked if m is not best and m.kind == "named"]
    if rivals:
        best = replace(best, lead=best.similarity - rivals[0].similarity, runner_up=rivals[0].name)
    if speech_s < rule.min_speech_s:
        return best, f"too short: {speech_s:.1f} s of speech"
    if not _enough(best, rule):
        return best, _UNSURE
    if best.lead is not None and best.lead < rule.min_lead:
        return best, f"ambiguous between {best.name} and {best.runner_up}"
    return best, None


def _preferred(ranked: list[Match], rule: NamingConfig) -> Match:
    """The nearest, but a named speaker before an unknown one who is hardly nearer."""
    near = (m for m in ranked if ranked[0].similarity - m.similarity < rule.min_lead)
    return next((m for m in near if m.kind == "named" and _enough(m, rule)), ranked[0])


def _enough(match: Match, rule: NamingConfig) -> bool:
    if rule.min_similarity is not None:
        return match.similarity >= rule.min_similarity
    return match.probability is not None and match.probability >= rule.min_probability


def agreement(
    vectors: Vectors, seconds: Seconds, name: str, enrolled: Sequence[EnrolledSpeaker]
) -> float:
    """The share of `seconds` (N,) whose vectors (N, D) are nearest to the speaker called `name`.

    Unknown speakers count only if they are that one. 1 where there is no speech.
    """
    rivals = [p for p in enrolled if len(p.exemplars) and (p.kind == "named" or p.name == name)]
    total = float(np.sum(seconds))
    if total == 0:
        return 1.0
    nearest = np.stack([(vectors @ p.exemplars.T).max(axis=1) for p in rivals]).argmax(axis=0)
    own = [p.name for p in rivals].index(name)
    return float(np.sum(seconds[nearest == own])) / total


def speaker_vectors(
    embeddings: Vectors, labels: NDArray[np.int64], window_seconds: Seconds, deciding: Any
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(K, D) unit vectors and (K,) seconds of speech of the labels 0..K-1.

    A label's vector is the mean of its `deciding` (N,) windows, or of all where it has none.
    """
    count = int(labels.max(initial=-1)) + 1
    vectors = np.zeros((count, embeddings.shape[1]))
    speech_s = np.zeros(count)
    for label in range(count):
        own = labels == label
        speech_s[label] = window_seconds[own].sum()
        vectors[label] = embeddings[_voting(own, deciding)].mean(axis=0, dtype=np.float64)
    return unit_rows(vectors), speech_s


def name_speakers(
    embeddings: Vectors,
    labels: NDArray[np.int64],
    window_seconds: Seconds,
    deciding: NDArray[np.bool_],
    enrolled: Sequence[EnrolledSpeaker],
    calibration: Calibration | None,
    rule: NamingConfig | None = None,
    *,
    minimum_speakers: int = 1,
) -> Naming:
    """Name the speakers of one recording.

    embeddings (N, D): unit vectors of its windows; labels (N,): 0..K-1, or -1 for none, each label
    in use; window_seconds (N,): the time each window speaks for; deciding (N,): windows long enough
    to be asked. Labels that match one enrolled speaker get one name, as long as
    `minimum_speakers` remain. ConfigError as `check_rule`.
    """
    rule = rule or NamingConfig()
    vectors, speech_s = speaker_vectors(embeddings, labels, window_seconds, deciding)
    judged = match_speakers(vectors, speech_s, enrolled, calibration, rule=rule)
    matches = [match for match, _ in judged]
    reasons = [reason for _, reason in judged]
    for label, match in enumerate(matches):
        if match is None or reasons[label] is not None:
            continue
        asked = _voting(labels == label, deciding)
        share = agreement(embeddings[asked], window_seconds[asked], match.name, enrolled)
        if share < rule.min_agreement:
            reasons[label] = f"only {share:.0%} of the speech is nearest to {match.name}"
    _keep_apart(matches, reasons, minimum_speakers)
    names = [
        m.name if m and reason is None else None for m, reason in zip(matches, reasons, strict=True)
    ]
    return Naming(names, matches, reasons)


def _voting(own: NDArray[np.bool_], deciding: Any) -> NDArray[np.bool_]:
    long = own & np.asarray(deciding, bool)
    return long if long.any() else own


def _keep_apart(
    matches: list[Match | None], reasons: list[str | None], minimum_speakers: int
) -> None:
    """Take names back, the least similar first, until enough speakers remain."""
    named = [(m.similarity, -at, m.name) for at, m in enumerate(matches) if m and not reasons[at]]
    names = [name for *_, name in named]
    left = len(matches) - (len(names) - len(set(names)))
    for _, minus_at, name in sorted(named):
        if left >= minimum_speakers:
            return
        if names.count(name) > 1:
            names.remove(name)
            reasons[-minus_at] = f"another speaker of the recording is more like {name}"
            left += 1
