"""A file is replaced whole, or stays as it was."""

import pytest

from encoder.common.atomic_files import replacing
from encoder.errors import StoreError


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new/file"
    with replacing(path) as partial:
        partial.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    with pytest.raises(ZeroDivisionError), replacing(path) as partial:
        partial.write_text("half of tw")
        _ = 1 / 0
    with (
        pytest.raises(StoreError, match=r"cannot write .*file.*No space"),
        replacing(path) as partial,
    ):
        partial.write_text("half of tw")
        raise OSError(28, "No space left on device")
    with pytest.raises(StoreError, match="cannot write"), replacing(path / "below a file"):
        pass
    assert path.read_text() == "one"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_the_sentence_says_what_and_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match=r"^cannot write the list '.*x' \(.*\): sit down$"),
        replacing(tmp_path / "file" / "x", what="the list ", step="sit down"),
    ):
        pass
