"""Make a conversation of any length out of real recordings, as FLAC; run by `pipeline.py`.

    python -m recipes.benchmark.long_conversation --seconds 60 --cache cache/bench [--data corpus]

The corpus's conversations in the order of its manifest, one behind the other and again from the
first, each round at a level of its own (`GAINS_DB`); without a corpus the sample meeting. What was
made once is kept. Only 30 s are ever in memory. Prints the file's path and what it was made of.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile
import typer
from numpy.typing import NDArray

from encoder.audio.load import SAMPLE_RATE, seconds_to_samples, stream_audio
from encoder.common.atomic_files import replacing
from encoder.common.names import existing_path
from encoder.common.tables import read_table
from encoder.errors import CorpusError, ToolkitError

SAMPLE = Path(__file__).parents[1] / "samples" / "ami_ES2004a_600_660.flac"
GAINS_DB = (0.0, -3.0, 2.0, -1.0, -5.0, 1.0, -2.0)  # of the rounds, then from the first again


def main(
    seconds: Annotated[float, typer.Option(help="length")],
    cache: Annotated[Path, typer.Option(help="folder of what was made")],
    data: Annotated[Path, typer.Option(help="corpus folder")] = Path("../shared/corpus"),
) -> None:
    """Print one line of JSON: file, recordings, seconds of them all."""
    try:
        recordings = _recordings(data / "conversations")
        file = cache / f"{_name(recordings)}-{seconds:g}s.flac"
        if not file.exists():
            _write(file, recordings, seconds_to_samples(seconds))
    except ToolkitError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    print(json.dumps({"file": str(file), "recordings": [path.stem for path in recordings]}))


def _recordings(folder: Path) -> list[Path]:
    manifest = folder / "manifest.tsv"
    if not manifest.exists():
        return [SAMPLE]
    rows = read_table(manifest, ("file",), what="the manifest ", step="correct or remove it")
    found = [existing_path(folder, row.fields["file"]) for row in rows]
    for path in found:
        if not path.exists():
            raise CorpusError(f"the manifest names {str(path)!r}, which is not there: correct it")
    return found or [SAMPLE]


def _name(recordings: Sequence[Path]) -> str:
    """Another name for other recordings or levels, so that what is kept is never out of date."""
    identity = [GAINS_DB, *((path.name, path.stat().st_size) for path in recordings)]
    return f"conversation-{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]}"


def _write(file: Path, recordings: Sequence[Path], samples: int) -> None:
    part = file.with_name(f"{file.stem}.{os.getpid()}.part.flac")
    step = "give another --cache or make room"
    try:
        with (
            replacing(file, step=step, temporary=part),
            soundfile.SoundFile(part, "w", SAMPLE_RATE, 1, "PCM_16", format="FLAC") as out,
        ):
            for block in _rounds(recordings):
                out.write(block[: samples - out.frames])
                if out.frames >= samples:
                    break
    except soundfile.SoundFileError as error:
        raise CorpusError(f"{str(file)!r} cannot be written ({error}): {step}") from error


def _rounds(recordings: Sequence[Path]) -> Iterator[NDArray[np.float32]]:
    """Blocks without end; what a gain lifts beyond full scale is clipped, as by a recorder."""
    for gain_db in itertools.cycle(GAINS_DB):
        for path in recordings:
            for block in stream_audio(path):
                yield np.clip(block.numpy() * np.float32(10 ** (gain_db / 20)), -1.0, 1.0)


if __name__ == "__main__":
    typer.run(main)
