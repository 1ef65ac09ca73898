"""UEM: regions to score, read and written."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diarize.formats.uem import format_uem, read_uem, write_uem
from encoder.errors import FormatError

unhurried = settings(deadline=None)  # the machine may be busy
regions_strategy = st.dictionaries(
    st.sampled_from(["a", "b-1", "ünï"]),
    st.lists(
        st.tuples(st.integers(0, 10**7), st.integers(1, 10**6)).map(
            lambda pair: (pair[0] / 1000, (pair[0] + pair[1]) / 1000)
        ),
        min_size=1,
        max_size=5,
    ),
)


@unhurried
@given(regions_strategy)
def test_round_trip(regions: dict[str, list[tuple[float, float]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_uem(regions, Path(folder) / "x.uem")
        again = read_uem(Path(folder) / "x.uem")
    assert again == {uri: sorted(pairs) for uri, pairs in regions.items()}


def test_reading_is_tolerant_and_ignores_empty_regions(tmp_path: Path) -> None:
    (tmp_path / "x.uem").write_bytes(
        b"\xef\xbb\xbf;; scored\r\nm 1 5.0 7.5\r\n\r\nm NA 0 1 extra\r\nm 1 3 3\r\n"
    )
    assert read_uem(tmp_path / "x.uem") == {"m": [(0.0, 1.0), (5.0, 7.5)]}


def test_writing() -> None:
    assert format_uem({"my file": [(5, 6.0004), (0, 1)]}) == (
        "my_file 1 0.000 1.000\nmy_file 1 5.000 6.000\n"
    )


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("m 1 0", "has 3 fields"),
        ("m 1 5 4", "ends at 4 s, before its start at 5 s"),
        ("m 1 -1 4", "start -1: it cannot be negative"),
        ("m 1 0 nan", "end 'nan': write a number"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, fault: str) -> None:
    (tmp_path / "x.uem").write_text(f"m 1 0 1\n{line}\n")
    with pytest.raises(FormatError, match=fault) as caught:
        read_uem(tmp_path / "x.uem")
    assert str(caught.value).startswith(f"line 2 of '{tmp_path / 'x.uem'}'")
