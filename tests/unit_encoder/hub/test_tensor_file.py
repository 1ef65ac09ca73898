"""Arrays and their description come back as they were, and other files are refused."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save

from encoder.errors import CheckpointError, StoreError
from encoder.hub.tensor_file import read_arrays, write_arrays

ARRAYS = {
    "row": np.arange(3, dtype=np.int64),
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3).T,  # not in the order of C
    "none": np.zeros((0, 4), np.float64),
}
ROWS = {"row": np.arange(50)}
DESCRIPTION = {"format": 1, "words": "wörter", "numbers": [1, 2.5], "nested": {"none": None}}


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "folder/some.safetensors"
    assert write_arrays(path, ARRAYS, DESCRIPTION, what="the file ") == path
    assert list(path.parent.iterdir()) == [path]
    arrays, description = read_arrays(path)
    assert description == DESCRIPTION and set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array, strict=True)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        b"\xff" * 100,
        save(ROWS),  # of somebody else
        save(ROWS, metadata={"deepspeaker": "{"}),
        save(ROWS, metadata={"deepspeaker": "[1]"}),
        save(ROWS, metadata={"deepspeaker": "{}"})[:-8],
    ],
)
def test_other_files_are_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "some.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"cannot read .*some.safetensors.*or make it again"):
        read_arrays(path)


def test_missing_files_and_folders_are_refused(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(CheckpointError, match="cannot read"):
            read_arrays(path)


def test_what_cannot_be_written_leaves_the_old_file(tmp_path):
    path = write_arrays(tmp_path / "a", {"row": np.arange(3)}, {}, what="the file ")
    with pytest.raises(StoreError, match="the file "):
        write_arrays(path / "b", {"row": np.arange(4)}, {}, what="the file ")
    assert read_arrays(path)[0]["row"].tolist() == [0, 1, 2]
