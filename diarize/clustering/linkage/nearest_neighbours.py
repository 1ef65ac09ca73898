"""The most similar rows of every row: exact while that is quick, by faiss' inverted lists beyond.

The one place that knows faiss. An inverted-list index parts the rows into cells by k-means and
looks only into the cells nearest to a row (Jegou et al. 2011), with the rows stored as float16.
K-means is seeded, so the same rows give the same neighbours on a machine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diarize.core.vectors import Vectors
from encoder.errors import BackendUnavailable

__all__ = ["check_neighbours", "nearest_neighbours"]


EXACT_ROWS = 12_000  # all pairs take two seconds
BLOCK_ROWS = 1_024
QUERY_ROWS = 65_536  # looked up at once
ROWS_PER_CELL = 32  # k-means is trained on so many


def nearest_neighbours(
    rows: Vectors, k: int, *, probes: int = 12
) -> tuple[NDArray[np.int64], Vectors]:
    """The k rows with the largest inner product, for each of (N, D): indices and products (N, k).

    They come in no order, and a row is no neighbour of itself. k is cut to N - 1; where fewer are
    found, index -1 and product -inf fill the row. `probes` is the number of cells looked into, of
    about 2 sqrt(N).

    BackendUnavailable where N asks for faiss and it is not installed.
    """
    k = min(k, len(rows) - 1)
    if k < 1:
        return np.empty((len(rows), 0), np.int64), np.empty((len(rows), 0), rows.dtype)
    if len(rows) <= EXACT_ROWS:
        return _brute(rows, k)
    return _indexed(rows, k, probes)


def check_neighbours(number: int) -> None:
    """The BackendUnavailable that `nearest_neighbours` would raise for so many rows."""
    if number > EXACT_ROWS:
        _faiss()


def _brute(rows: Vectors, k: int) -> tuple[NDArray[np.int64], Vectors]:
    indices = np.empty((len(rows), k), np.int64)
    products = np.empty((len(rows), k), rows.dtype)
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS] @ rows.T
        own = np.arange(len(block))
        block[own, start + own] = -np.inf
        nearest = np.argpartition(block, len(rows) - k, axis=1)[:, -k:]
        indices[start : start + len(block)] = nearest
        products[start : start + len(block)] = np.take_along_axis(block, nearest, axis=1)
    return indices, products


def _indexed(rows: Vectors, k: int, probes: int) -> tuple[NDArray[np.int64], Vectors]:
    index = _index(_faiss(), np.ascontiguousarray(rows, np.float32), probes)
    indices = np.full((len(rows), k), -1, np.int64)
    products = np.full((len(rows), k), -np.inf, np.float32)
    for start in range(0, len(rows), QUERY_ROWS):
        block = np.ascontiguousarray(rows[start : start + QUERY_ROWS], np.float32)
        found_products, found = index.search(block, k + 1)
        stop = start + len(block)
        itself = found == np.arange(start, stop)[:, None]
        itself[~itself.any(axis=1), k] = True  # one of many equal rows: its last neighbour goes
        indices[start:stop] = found[~itself].reshape(-1, k)
        products[start:stop] = found_products[~itself].reshape(-1, k)
    products[indices < 0] = -np.inf
    return indices, products


def _index(faiss: Any, rows: NDArray[np.float32], probes: int) -> Any:
    N, D = rows.shape
    cells = int(2 * N**0.5)
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(D), D, cells, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.niter, index.cp.seed = 6, 0
    index.cp.min_points_per_centroid = 1  # or it prints
    index.by_residual = False  # float16 needs no residuals
    index.nprobe = min(probes, cells)
    step = max(1, N // (ROWS_PER_CELL * cells))
    index.train(rows[::step])
    index.add(rows)
    return index


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise BackendUnavailable(
            f"more than {EXACT_ROWS:,} rows need faiss ({error}): "
            "run `pip install 'deepspeaker-diarize[large]'`"
        ) from error
    return faiss
