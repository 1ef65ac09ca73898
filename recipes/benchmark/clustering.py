"""How long large folders take to cluster, in how much memory, and how well they come out.

    python -m recipes.benchmark.clustering [--data ../shared/corpus] [--vectors 10000 ...]

Clusters vectors of a stated generator (`diarize.clustering.synthetic_embeddings`), and of the
utterances of the splits `eval` and `heldout`, with the settings for clips: every backend up to
`--exact-up-to` vectors, beyond that the graph alone. Every measurement has a process of its own,
whose peak memory it reports; the seconds are those of `cluster()`. Writes
recipes/results/cluster_benchmark.json, after each measurement what there is; a process that was
killed (no memory) is under "failed".
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from diarize.clustering import CLUSTERERS
from diarize.clustering.api import cluster
from diarize.clustering.synthetic_embeddings import synthetic_voices
from diarize.core.output import write_atomic
from diarize.scoring.clustering_metrics import score_clusters
from encoder.errors import ToolkitError
from recipes.shared.embedders import (
    CorpusFolder,
    ResultsFolder,
    Saving,
    VectorCache,
    results_folder,
    say,
    stop,
)

LARGE = ("graph",)  # backends for folders of any size
REPEATED_UP_TO = 10_000  # vectors; measured three times, the median counts
SPLITS = ("eval", "heldout")
PACKAGES = ("numpy", "scipy", "scikit-learn", "hdbscan", "faiss-cpu")
SHOWN = ("precision", "recall", "f", "ari", "v_measure")
console = Console(stderr=True)


def main(
    data: CorpusFolder = Path("../shared/corpus"),
    vectors: Annotated[
        Optional[list[int]],  # noqa: UP045
        typer.Option(min=2, help="so many from the generator; repeatable"),
    ] = None,
    min_similarity: Annotated[float, typer.Option(help="cosine of one speaker")] = 0.45,
    exact_up_to: Annotated[int, typer.Option(help="vectors")] = 10_000,
    seed: Annotated[int, typer.Option(help="of the generator")] = 1,
    cache: VectorCache = Path("cache/vectors"),
    results: ResultsFolder = None,
    save: Saving = True,
) -> None:
    """Print and store time, memory and quality by data and backend."""
    sources: list[dict[str, Any]] = [
        {"data": "synthetic", "vectors": N, "seed": seed, "fingerprint": None}
        for N in vectors or (10_000, 100_000, 1_000_000)
    ]
    try:
        sources = [*_real(data, cache), *sources]
        stored: dict[str, Any] = {"protocol": _protocol(min_similarity), "machine": _machine()}
        stored |= {"runs": [], "failed": []}
        for source in sources:
            for name in CLUSTERERS.names():
                if name in LARGE or source["vectors"] <= exact_up_to:
                    title = f"{source['data']}, {source['vectors']:,} vectors: {name}"
                    say(title)
                    try:
                        stored["runs"].append(_in_a_process(source, name, min_similarity))
                    except (BrokenProcessPool, MemoryError):
                        say(f"{title} was killed, perhaps for want of memory", style="yellow")
                        stored["failed"].append({**_public(source), "name": name})
        _show(stored["runs"])
        if save and (folder := results_folder(results, vectors)) is not None:
            write_atomic(folder / "cluster_benchmark.json", json.dumps(stored, indent=1) + "\n")
    except ToolkitError as error:
        raise stop(error) from None


def _real(data: Path, cache: Path) -> list[dict[str, Any]]:
    """The utterances of unseen speakers, embedded whole; none without the corpus."""
    manifest = data / "voices/manifest.tsv"
    if not manifest.exists():
        say(f"left out real voices: there is no corpus in {str(data)!r}; give DATA=folder")
        return []
    from diarize.embedding.embedders import load_embedder
    from encoder.data.manifest import read_manifest
    from encoder.hub.paths import DEFAULT
    from recipes.shared.embedders import embedded  # torch, which the measured processes do without

    embedder = load_embedder(DEFAULT, device="cpu")
    rows, speakers = [], []
    for split in SPLITS:
        some = [u for u in read_manifest(manifest) if u.split == split]
        found, kept = embedded(DEFAULT, embedder, some, cache)
        rows.append(found.by_crop["full"])
        speakers += [f"{u.dataset}/{u.speaker}" for u in kept]
    source = {"data": "real voices", "vectors": len(speakers), "fingerprint": embedder.fingerprint}
    return [{**source, "rows": np.concatenate(rows), "speakers": speakers}]


def _in_a_process(source: dict[str, Any], name: str, min_similarity: float) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        measured = pool.submit(_measure, source, name, min_similarity).result()
    return {**_public(source), "name": name, **measured}


def _public(source: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in source.items() if key not in ("rows", "speakers")}


def _measure(source: dict[str, Any], name: str, min_similarity: float) -> dict[str, Any]:
    """Runs in the process that is measured."""
    rows, speakers = _vectors(source)
    backend = CLUSTERERS.load(name).for_clips(min_similarity)
    load, before = os.getloadavg()[0], _peak_mb()
    seconds = []
    for _ in range(3 if len(rows) <= REPEATED_UP_TO else 1):
        start = time.perf_counter()
        labels = cluster(rows, backend, noise="own", max_exact=len(rows))
        seconds.append(time.perf_counter() - start)
    peak = _peak_mb()
    return {
        "dimensions": rows.shape[1],
        "seconds": statistics.median(seconds),
        "seconds_each": seconds,
        "peak_memory_mb": peak,
        "memory_before_mb": before,
        "load_average": load,
        **score_clusters(np.asarray(speakers).tolist(), labels.tolist()).to_json(),
    }


def _vectors(source: dict[str, Any]) -> tuple[NDArray[np.float32], Any]:
    if "rows" in source:
        return source["rows"], source["speakers"]
    return synthetic_voices(source["vectors"], seed=source["seed"])


def _peak_mb() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _protocol(min_similarity: float) -> dict[str, Any]:
    return {
        "min_similarity": min_similarity,
        "settings": "for_clips, noise='own', no reduction before an exact backend",
        "seconds": f"of cluster(); median of 3 up to {REPEATED_UP_TO} vectors, else one",
        "peak_memory_mb": "of the process: packages, vectors and clustering",
        "memory_before_mb": "its peak when the vectors were there",
        "omp_wait_policy": os.environ["OMP_WAIT_POLICY"],
        "load_average": "of the machine over the minute before; other work shared it",
    }


def _machine() -> dict[str, Any]:
    return {
        "cores": len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "packages": {package: _version(package) for package in PACKAGES},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _show(runs: list[dict[str, Any]]) -> None:
    table = Table(title="clustering of clips")
    for column in ("data", "vectors", "backend", "s", "peak MB", *SHOWN, "found / true"):
        table.add_column(column, justify="left" if column in ("data", "backend") else "right")
    for run in runs:
        cells = [f"{run['seconds']:.1f}", f"{run['peak_memory_mb']:.0f}"]
        cells += [f"{100 * run[measure]:.1f}" for measure in SHOWN]
        cells.append(f"{run['speakers_found']} / {run['speakers_true']}")
        table.add_row(run["data"], f"{run['vectors']:,}", run["name"], *cells)
    Console(width=140).print(table)


if __name__ == "__main__":
    typer.run(main)
