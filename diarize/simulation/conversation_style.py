"""How people take turns, and what their talk sounds like, in three kinds of conversation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from encoder.common.settings import Settings, bounded

__all__ = ["CROWD", "STYLES", "ConversationStyle"]


_PROBABILITY: dict[str, Any] = {"least": 0, "most": 1}
_LN_SECONDS: dict[str, Any] = {"least": -10, "most": 10}  # a mean and a deviation
_SECONDS: dict[str, Any] = {"least": 0.001, "most": 3600}
_DECIBELS: dict[str, Any] = {"least": -200, "most": 200, "rising": True}
_EACH_MINUTE: dict[str, Any] = {"least": 0, "most": 1000}


@dataclass(frozen=True)
class ConversationStyle(Settings):
    """Who holds the floor for how long, what happens between, and the sound of it.

    The floor is held by one speaker after another; a turn inside another's does not take it. The
    defaults are those of a meeting. ConfigError for a probability outside [0, 1] and for a range
    upside down.
    """

    speakers: tuple[int, int] = bounded(
        (3, 5), least=1, most=100, rising=True, help="how many take part, from and to"
    )
    ln_turn: tuple[float, float] = bounded(
        (1.02, 1.40),
        **_LN_SECONDS,
        help="mean and deviation of ln(seconds) of a turn that holds the floor",
    )
    longest_turn_s: float = bounded(
        60.0, **_SECONDS, help="longer turns are drawn again, in seconds"
    )
    ln_speaker: float = bounded(
        0.25, least=0, most=10, help="deviation between speakers of the mean ln(seconds)"
    )
    evenness: float = bounded(
        5.0,
        least=0.001,
        most=1_000_000,
        help="concentration of the shares of turns (Dirichlet); large: even",
    )
    keep_floor: float = bounded(
        0.20, **_PROBABILITY, help="probability that after a turn and a pause the same goes on"
    )
    ln_pause: tuple[float, float] = bounded(
        (1.15, 1.0), **_LN_SECONDS, help="mean and deviation of ln(seconds) of such a pause"
    )
    early_switch: float = bounded(
        0.55, **_PROBABILITY, help="probability that who comes next begins before the end"
    )
    early_s: float = bounded(
        2.4, **_SECONDS, help="mean of how much before, in seconds (exponential)"
    )
    late_s: float = bounded(
        0.95, **_SECONDS, help="mean of the silence at other switches, in seconds (exponential)"
    )
    inside_a_minute: float = bounded(
        5.4, **_EACH_MINUTE, help="turns inside another's, for each minute of the other's"
    )
    ln_inside: tuple[float, float] = bounded(
        (-0.6, 0.75),
        **_LN_SECONDS,
        help="mean and deviation of ln(seconds) of a turn inside another's",
    )
    third: float = bounded(
        0.15, **_PROBABILITY, help="probability that a turn inside may be the third at once"
    )
    hesitations: float = bounded(
        14.0,
        **_EACH_MINUTE,
        help="pauses inside turns, for each minute of them; references speak through them",
    )
    ln_hesitation: tuple[float, float] = bounded(
        (-0.7, 0.5), **_LN_SECONDS, help="mean and deviation of ln(seconds) of such a pause"
    )

    level_db: float = bounded(
        3.0, least=0, most=200, help="deviation of the speakers' levels, in dB"
    )
    one_set: float = bounded(
        0.6, **_PROBABILITY, help="probability that all speakers come from one data set"
    )
    room: float = bounded(
        0.75, **_PROBABILITY, help="probability that they sit in a reverberant room"
    )
    t60_s: tuple[float, float] = bounded(
        (0.2, 1.0),
        least=0.001,
        most=60,
        rising=True,
        help="reverberation time of that room, in seconds",
    )
    late_db: tuple[float, float] = bounded(
        (-18.0, 0.0),
        **_DECIBELS,
        help="energy of the late sound against the direct sound, range in dB",
    )
    hiss_db: tuple[float, float] = bounded(
        (18.0, 45.0), **_DECIBELS, help="speech over steady noise, range in dB"
    )
    noise: float = bounded(0.5, **_PROBABILITY, help="probability of recorded noise")
    noise_db: tuple[float, float] = bounded(
        (5.0, 25.0), **_DECIBELS, help="speech over it, range in dB"
    )
    music: float = bounded(0.02, **_PROBABILITY, help="probability of music")
    music_db: tuple[float, float] = bounded(
        (5.0, 25.0), **_DECIBELS, help="speech over it, range in dB"
    )
    telephone: float = bounded(
        0.0, **_PROBABILITY, help="probability that each speaks through a telephone line"
    )
    codec: float = bounded(
        0.0, **_PROBABILITY, help="probability that the call also went through a real codec (slow)"
    )


# Fitted by hand to `turn_taking.MEASURED`; `make simulate` prints how near they come.
STYLES: dict[str, ConversationStyle] = {
    "meeting": ConversationStyle(),
    "call": ConversationStyle(
        speakers=(2, 2),
        ln_turn=(0.84, 0.95),
        longest_turn_s=30.0,
        ln_speaker=0.3,
        evenness=20.0,
        keep_floor=0.08,
        ln_pause=(0.6, 0.8),
        early_switch=0.50,
        early_s=0.55,
        late_s=0.45,
        inside_a_minute=3.6,
        ln_inside=(-0.7, 0.5),
        third=0.0,
        hesitations=8.0,
        level_db=4.0,
        one_set=0.5,
        room=0.3,
        t60_s=(0.15, 0.6),
        noise=0.3,
        noise_db=(8.0, 30.0),
        music=0.0,
        telephone=0.6,
        codec=0.05,
    ),
    "broadcast": ConversationStyle(
        speakers=(2, 8),
        ln_turn=(1.43, 1.15),
        longest_turn_s=90.0,
        ln_speaker=0.8,
        evenness=0.4,
        keep_floor=0.38,
        ln_pause=(0.0, 0.9),
        early_switch=0.36,
        early_s=0.85,
        late_s=0.75,
        inside_a_minute=0.9,
        ln_inside=(-0.5, 0.7),
        third=0.05,
        hesitations=8.0,
        level_db=2.5,
        one_set=0.4,
        room=0.4,
        t60_s=(0.15, 0.7),
        late_db=(-22.0, -6.0),
        hiss_db=(22.0, 50.0),
        noise=0.3,
        noise_db=(8.0, 30.0),
        music=0.25,
        music_db=(3.0, 25.0),
        telephone=0.05,
    ),
}

# For training alone: no conversation is like this, but frames of two speakers are rare in the
# others.
CROWD = replace(
    STYLES["meeting"], speakers=(2, 5), early_switch=0.85, inside_a_minute=14.0, third=0.1
)
