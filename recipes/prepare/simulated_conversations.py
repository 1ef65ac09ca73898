"""Make conversations out of single speakers, with the truth: tests for counting, boundaries,
overlap.

    python -m recipes.prepare.simulated_conversations --data ../shared/corpus
        [--style call --speakers 2 --speakers 3]

Writes OUT/conversations/ in the layout of a corpus: FLAC, RTTM and `manifest.tsv`, so that

    python -m recipes.evaluate.diarization --data OUT --results OUT

scores them. Ten of each style if nothing else is said; everybody in one speaks for 2 s at least.
One command gives the same files again, whichever of the styles are made. Prints how the turns
compare with those of real conversations.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple, Optional

import numpy as np
import soundfile
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from diarize.core.output import write_atomic
from diarize.core.turns import Turn
from diarize.formats.rttm import write_rttm
from diarize.simulation.acoustics import Acoustics
from diarize.simulation.conversation_style import STYLES
from diarize.simulation.mixing import Conversation, render
from diarize.simulation.speaker_bank import SpeakerBank
from diarize.simulation.turn_sampler import Script, write_script
from diarize.simulation.turn_statistics import MEASURED, TurnTaking, turn_taking
from encoder.common.atomic_files import replacing
from encoder.common.units import SAMPLE_RATE, seconds_to_samples
from encoder.data.manifest import read_manifest
from encoder.errors import ConfigError, CorpusError, ToolkitError
from recipes.shared.embedders import CorpusFolder, is_corpus, say, stop

SPEAKERS = {
    "meeting": (1, 2, 3, 4, 4, 5, 6, 7, 8, 10),
    "call": (1, 2, 2, 2, 2, 2, 2, 3, 3, 4),
    "broadcast": (1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
}
TYPICAL = {"meeting": 4, "call": 2, "broadcast": 6}  # speakers of those that were measured
LEAST_S = 2.0
COLUMNS = ("recording", "file", "seconds", "speakers", "overlap_ratio", "kind", "trust", "split")
COLUMNS += ("reference",)


class Made(NamedTuple):
    """A row of the manifest, and the numbers of the conversation's turns."""

    row: dict[str, str]
    taking: TurnTaking


def main(
    data: CorpusFolder,
    out: Annotated[Path, typer.Option(help="folder")] = Path("cache/simulated"),
    style: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="repeatable (default: all)"),
    ] = None,
    speakers: Annotated[
        Optional[list[int]],  # noqa: UP045
        typer.Option(help="of each conversation; repeatable (default: ten, from 1 to 10)"),
    ] = None,
    split: Annotated[str, typer.Option(help="whose speech: train or heldout")] = "heldout",
    shortest_s: Annotated[float, typer.Option(help="seconds of a conversation")] = 180.0,
    longest_s: Annotated[float, typer.Option(help="seconds of a conversation")] = 300.0,
    seed: Annotated[int, typer.Option(help="another one gives other conversations")] = 0,
    cache: Annotated[Path, typer.Option(help="speech is kept here")] = Path("cache/voices"),
) -> None:
    """Make them, and print a table."""
    if not is_corpus(data):
        return
    try:
        lengths = _lengths(shortest_s, longest_s)
        counts = {name: speakers or SPEAKERS[name] for name in _styles(style)}
        voices = _voices(data, split, cache, most=max(max(c) for c in counts.values()))
        acoustics = Acoustics.from_corpus(data, on_left_out=lambda s: say(f"left out: {s}"))
        folder = out / "conversations"
        made: dict[str, list[Made]] = {name: [] for name in counts}
        with Progress(console=Console(stderr=True)) as progress:
            task = progress.add_task("conversations", total=sum(map(len, counts.values())))
            for name, each in counts.items():
                for number, count in enumerate(each):
                    place = f"{name}_{split}_{seed}_{number:02d}"
                    rng = np.random.default_rng([seed, zlib.crc32(place.encode())])
                    script, conversation = _make(name, count, lengths, voices, acoustics, rng)
                    made[name].append(
                        _write(folder, place, name, split, seed, script, conversation)
                    )
                    progress.advance(task)
        rows = [one.row for some in made.values() for one in some]
        write_atomic(folder / "manifest.tsv", _manifest(rows))
    except ToolkitError as error:
        raise stop(error) from None
    _show(made)
    print(f"{len(rows)} conversations in {str(folder)!r}")


def _styles(asked: Sequence[str] | None) -> list[str]:
    for name in asked or ():
        if name not in STYLES:
            raise ConfigError(f"unknown style {name!r}: choose from {', '.join(STYLES)}")
    return list(dict.fromkeys(asked or STYLES))


def _lengths(shortest_s: float, longest_s: float) -> tuple[int, int]:
    if not 10 <= shortest_s <= longest_s <= 36_000:
        raise ConfigError(
            f"conversations of {shortest_s:g} to {longest_s:g} s cannot be made: "
            "give the shorter length first, from 10 s to 10 h"
        )
    return seconds_to_samples(shortest_s), seconds_to_samples(longest_s)


def _voices(data: Path, split: str, cache: Path, *, most: int) -> SpeakerBank:
    utterances = [u for u in read_manifest(data / "voices/manifest.tsv") if u.split == split]
    if not utterances:
        raise CorpusError(f"{str(data)!r} has no speakers of the split {split!r}: give another")
    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task("voices", total=None)
        voices = SpeakerBank.from_corpus(
            utterances,
            cache=cache,
            on_progress=lambda done, all_: progress.update(task, completed=done, total=all_),
            on_left_out=lambda sentence: say(f"left out: {sentence}"),
        )
    if len(voices.speakers) < most:
        raise CorpusError(
            f"{str(data)!r} has {len(voices.speakers)} usable speakers in {split!r}, not {most}: "
            "give fewer --speakers"
        )
    return voices


def _make(
    style: str,
    speakers: int,
    lengths: tuple[int, int],
    voices: SpeakerBank,
    acoustics: Acoustics,
    rng: np.random.Generator,
) -> tuple[Script, Conversation]:
    """A script in which everybody speaks, and its sound."""
    if speakers < 1:
        raise ConfigError(f"a conversation of {speakers} speakers cannot be made: give 1 or more")
    how = STYLES[style]
    length = int(rng.integers(lengths[0], lengths[1] + 1))
    for attempt in range(500):
        # Who speaks least seldom speaks enough, so shares grow ever more even.
        fair = replace(how, evenness=how.evenness * 2 ** (attempt / 50))
        script = write_script(fair, speakers=speakers, length=length, rng=rng)
        said = np.bincount(
            script.turns[:, 0], script.turns[:, 2] - script.turns[:, 1], minlength=speakers
        )
        if said.min() >= LEAST_S * SAMPLE_RATE:
            break
    else:
        raise ConfigError(
            f"{length / SAMPLE_RATE:.0f} s of the style {style!r} are too short for {speakers} "
            "speakers: give a larger --shortest-s or fewer --speakers"
        )
    members = voices.company(speakers, rng, one_set=rng.random() < how.one_set)
    return script, render(script, voices, members, acoustics=acoustics, style=how, rng=rng)


def _write(
    folder: Path,
    name: str,
    style: str,
    split: str,
    seed: int,
    script: Script,
    conversation: Conversation,
) -> Made:
    with replacing(folder / f"{name}.flac") as part:
        soundfile.write(part, conversation.wave, SAMPLE_RATE, subtype="PCM_16", format="FLAC")
    write_rttm({name: conversation.turns}, folder / f"{name}.rttm")
    taking = turn_taking(_rows(conversation.turns), length=script.length)
    row = {
        "recording": name,
        "file": f"{name}.flac",
        "seconds": f"{script.length / SAMPLE_RATE:.1f}",
        "speakers": str(len({turn.speaker for turn in conversation.turns})),
        "overlap_ratio": f"{taking.overlap:.3f}",
        "kind": f"simulated {style}",
        "trust": "high",
        "split": split,
        "reference": f"made by `make simulate`, seed {seed}: the speakers' speech before mixing",
    }
    return Made(row, taking)


def _rows(turns: Sequence[Turn]) -> NDArray[np.int64]:
    numbers = {name: k for k, name in enumerate(dict.fromkeys(turn.speaker for turn in turns))}
    return np.array(
        [
            (numbers[t.speaker], seconds_to_samples(t.start_s), seconds_to_samples(t.end_s))
            for t in turns
        ],
        np.int64,
    )


def _manifest(rows: Sequence[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _show(made: dict[str, list[Made]]) -> None:
    """Real conversations, 100 scripts of ten minutes, and what was written, style by style."""
    table = Table(title="turns: real / scripts / written (means; of two speakers and more)")
    table.add_column("")
    for name in made:
        table.add_column(name, justify="right")
    columns = []
    for name, some in made.items():
        written = [one.taking for one in some if one.row["speakers"] != "1"] or [
            one.taking for one in some
        ]
        columns.append((MEASURED[name], _mean(_scripts(name)), _mean(written)))
    for number, field in enumerate(TurnTaking._fields):
        cells = (" / ".join(f"{taking[number]:.2f}" for taking in column) for column in columns)
        table.add_row(field, *cells)
    Console(width=120).print(table)


def _scripts(style: str) -> list[TurnTaking]:
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        length = 600 * SAMPLE_RATE
        script = write_script(STYLES[style], speakers=TYPICAL[style], length=length, rng=rng)
        found.append(turn_taking(script.turns, length=length))
    return found


def _mean(takings: Sequence[TurnTaking]) -> TurnTaking:
    return TurnTaking(*np.nanmean(np.array(takings), axis=0).tolist())


if __name__ == "__main__":
    typer.run(main)
