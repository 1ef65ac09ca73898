"""Write the golden numbers anew: python tests/golden/regenerate.py, then read the diff.

They pin what the packaged weights make of the sample meeting; they change when weights, features or
the reading of sound change, and must not change otherwise.
"""

from __future__ import annotations

import json
from pathlib import Path

from encoder import Encoder, load_audio

HERE = Path(__file__).parent
SAMPLE = HERE.parents[1] / "recipes/samples/ami_ES2004a_600_660.flac"


def measure() -> dict[str, object]:
    """Numbers of the packaged weights on three stretches of the sample meeting."""
    wave = load_audio(SAMPLE)
    encoder = Encoder.from_pretrained(device="cpu")
    return {
        "fingerprint": encoder.fingerprint,
        "samples": len(wave),
        "energy": round(float(wave.square().sum()), 2),
        "embeddings": [
            [round(float(x), 4) for x in encoder.embed(wave[start * 16_000 : end * 16_000])[:16]]
            for start, end in ((1, 3), (9, 12), (20, 30))
        ],
    }


if __name__ == "__main__":
    text = json.dumps(measure(), indent=1) + "\n"
    (HERE / "packaged.json").write_text(text, encoding="utf-8")
