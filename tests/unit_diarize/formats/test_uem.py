"""UEM: regions to score."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diarize.formats.uem import read_uem
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
def test_what_is_written_to_the_millisecond_is_read(
    regions: dict[str, list[tuple[float, float]]],
) -> None:
    lines = [f"{uri} 1 {a:.3f} {b:.3f}\n" for uri, pairs in regions.items() for a, b in pairs]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "x.uem").write_text("".join(lines), encoding="utf-8")
        again = read_uem(Path(folder) / "x.uem")
    assert again == {uri: sorted(pairs) for uri, pairs in regions.items()}


def test_reading_is_tolerant_and_ignores_empty_regions(tmp_path: Path) -> None:
    (tmp_path / "x.uem").write_bytes(
        b"\xef\xbb\xbf;; scored\r\nm 1 5.0 7.5\r\n\r\nm NA 0 1 extra\r\nm 1 3 3\r\n"
    )
    assert read_uem(tmp_path / "x.uem") == {"m": [(0.0, 1.0), (5.0, 7.5)]}


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
