"""How people take turns, and what their talk sounds like, in three kinds of conversation."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any

from encoder.errors import ConfigError

__all__ = ["CROWD", "STYLES", "ConversationStyle"]


def _knob(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class ConversationStyle:
    """Who holds the floor for how long, what happens between, and the sound of it.

    The floor is held by one speaker after another; a turn inside another's does not take it. The
    defaults are those of a meeting. ConfigError for a probability outside [0, 1] and for a range
    upside down.
    """

    speakers: tuple[int, int] = _knob((3, 5), "how many take part, from and to")
    ln_turn: tuple[float, float] = _knob(
        (1.02, 1.40), "mean and deviation of ln(seconds) of a turn that holds the floor"
    )
    longest_turn_s: float = _knob(60.0, "longer turns are drawn again, in seconds")
    ln_speaker: float = _knob(0.25, "deviation between speakers of the mean ln(seconds)")
    evenness: float = _knob(5.0, "concentration of the shares of turns (Dirichlet); large: even")
    keep_floor: float = _knob(0.20, "probability that after a turn and a pause the same goes on")
    ln_pause: tuple[float, float] = _knob(
        (1.15, 1.0), "mean and deviation of ln(seconds) of such a pause"
    )
    early_switch: float = _knob(0.55, "probability that who comes next begins before the end")
    early_s: float = _knob(2.4, "mean of how much before, in seconds (exponential)")
    late_s: float = _knob(0.95, "mean of the silence at other switches, in seconds (exponential)")
    inside_a_minute: float = _knob(5.4, "turns inside another's, for each minute of the other's")
    ln_inside: tuple[float, float] = _knob(
        (-0.6, 0.75), "mean and deviation of ln(seconds) of a turn inside another's"
    )
    third: float = _knob(0.15, "probability that a turn inside may be the third at once")
    hesitations: float = _knob(
        14.0, "pauses inside turns, for each minute of them; references speak through them"
    )
    ln_hesitation: tuple[float, float] = _knob(
        (-0.7, 0.5), "mean and deviation of ln(seconds) of such a pause"
    )

    level_db: float = _knob(3.0, "deviation of the speakers' levels, in dB")
    one_set: float = _knob(0.6, "probability that all speakers come from one data set")
    room: float = _knob(0.75, "probability that they sit in a reverberant room")
    t60_s: tuple[float, float] = _knob((0.2, 1.0), "reverberation time of that room, in seconds")
    late_db: tuple[float, float] = _knob(
        (-18.0, 0.0), "energy of the late sound against the direct sound, range in dB"
    )
    hiss_db: tuple[float, float] = _knob((18.0, 45.0), "speech over steady noise, range in dB")
    noise: float = _knob(0.5, "probability of recorded noise")
    noise_db: tuple[float, float] = _knob((5.0, 25.0), "speech over it, range in dB")
    music: float = _knob(0.02, "probability of music")
    music_db: tuple[float, float] = _knob((5.0, 25.0), "speech over it, range in dB")
    telephone: float = _knob(0.0, "probability that each speaks through a telephone line")
    codec: float = _knob(0.0, "probability that the call also went through a real codec (slow)")

    def __post_init__(self) -> None:
        for name in ("keep_floor", "early_switch", "third", "one_set", "room", "noise", "music",
                     "telephone", "codec"):  # fmt: skip
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: give a probability, 0 to 1")
        for name in ("speakers", "t60_s", "late_db", "hiss_db", "noise_db", "music_db"):
            low, high = getattr(self, name)
            if low > high:
                raise ConfigError(f"{name} is {low} to {high}: give the smaller number first")
        if self.speakers[0] < 1:
            raise ConfigError(f"speakers is {self.speakers[0]}: give 1 or more")
        for knob in fields(self):
            if knob.name in _LENGTHS and not getattr(self, knob.name) > 0:
                raise ConfigError(f"{knob.name} is {getattr(self, knob.name)}: give more than 0")


_LENGTHS = ("longest_turn_s", "evenness", "early_s", "late_s")

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
