"""How an embedder's vectors differ between speakers, and vary within one: fit its PLDA.

    python -m recipes.calibrate.plda --data ../shared/corpus [--embedder NAME|FILE|onnx:NAME ...]

Fitted on the middle 1.6 s of at most eight utterances of every speaker of `train`, drawn with the
seed; speakers whose labels come from another embedder (data sets named `pseudo`) are left out.
Writes `plda-FINGERPRINT.safetensors` into the user's own folder of weights, which comes before the
packaged ones. An embedder that has one gets windows of one speaker each, and resegmentation with
it; our packaged embedder is better without (`recipes/results/training-log.md`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Optional

import numpy as np
import typer

from diarize.embedding.embedders import load_embedder
from encoder.calibration.plda import fit_plda, write_plda
from encoder.data.corpora import read_corpus
from encoder.data.manifest import Utterance
from encoder.errors import ToolkitError
from encoder.hub.paths import own_weights
from recipes.shared.embedders import (
    REFERENCE,
    CalibrationFolder,
    CorpusFolder,
    VectorCache,
    each_embedder,
    embedded,
    is_corpus,
    say,
    stop,
)

CROP_S = 1.6
A_SPEAKER = 8  # utterances


def main(
    data: CorpusFolder,
    embedder: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help=f"name or file; repeatable (default: {REFERENCE})"),
    ] = None,
    out: CalibrationFolder = None,
    cache: VectorCache = Path("cache/vectors"),
    directions: Annotated[int, typer.Option(help="directions that are kept")] = 128,
    seed: Annotated[int, typer.Option(help="of the utterances that are drawn")] = 0,
) -> None:
    """Fit, say on what, write."""
    if not is_corpus(data):
        return
    try:
        utterances = _drawn(read_corpus(data), seed)
        folder = own_weights() if out is None else out

        def run(name: str) -> None:
            loaded = load_embedder(name, device="auto")
            found, kept = embedded(name, loaded, utterances, cache, crops={"crop": CROP_S})
            names = {speaker: k for k, speaker in enumerate(sorted({u.speaker for u in kept}))}
            speakers = np.array([names[u.speaker] for u in kept])
            fitted_on = {
                "data": data.name,
                "split": "train",
                "speakers": len(names),
                "crops": len(kept),
                "crop_s": CROP_S,
                "seed": seed,
            }
            plda = fit_plda(
                found.by_crop["crop"],
                speakers,
                directions=directions,
                fingerprint=loaded.fingerprint,
                fitted_on=fitted_on,
            )
            path = write_plda(plda, folder)
            say(f"{name}: {len(kept)} crops of {len(names)} speakers; wrote {path}")

        each_embedder(embedder, run, default=[REFERENCE])
    except ToolkitError as error:
        raise stop(error) from None


def _drawn(utterances: Sequence[Utterance], seed: int) -> list[Utterance]:
    by_speaker = defaultdict(list)
    for utterance in utterances:
        if utterance.split == "train" and "pseudo" not in utterance.dataset:
            by_speaker[utterance.speaker].append(utterance)
    rng = np.random.default_rng(seed)
    drawn: list[Utterance] = []
    for speaker in sorted(by_speaker):
        own = by_speaker[speaker]
        chosen = rng.permutation(len(own))[:A_SPEAKER]
        drawn += [own[k] for k in sorted(chosen.tolist())]
    return drawn


if __name__ == "__main__":
    typer.run(main)
