"""Files saved by Excel and Notepad begin with a byte order mark: read as if it were not there."""

from __future__ import annotations

from dataclasses import astuple

import pytest

from diarize.formats.clip_table import read_clip_labels
from diarize.formats.rttm import read_rttm
from diarize.formats.trial_lists import read_identification, read_trials
from diarize.formats.uem import read_uem

FILES = {
    "a.rttm": (read_rttm, "SPEAKER m 1 0.5 1.0 <NA> <NA> A <NA> <NA>\n"),
    "a.uem": (read_uem, "m 1 0 2\n"),
    "a.csv": (read_clip_labels, "path,speaker\na.wav,A\n"),
    "a.tsv": (read_clip_labels, "path\tspeaker\na.wav\tA\n"),
    "a.json": (read_clip_labels, '{"clips": [{"path": "a.wav", "speaker": "A"}]}'),
    "bare": (read_trials, "1 a.wav b.wav\n"),
    "headed": (read_trials, "target\tenrollment\ttest\n1\ta.wav\tb.wav\n"),
    "roles": (read_identification, "role\tspeaker\tpath\nenroll\tA\ta.wav\ntest\tA\tb.wav\n"),
    "numbers": (read_identification, "1 A/a.wav\n3 A/b.wav\n"),
}


def plain(value):
    return (
        [str(field) for field in astuple(value)]
        if hasattr(value, "__dataclass_fields__")
        else value
    )


@pytest.mark.parametrize("name", FILES)
def test_a_byte_order_mark_changes_nothing(tmp_path, name):
    read, text = FILES[name]
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    without = read(path)
    path.write_text(text, encoding="utf-8-sig")
    assert without and plain(read(path)) == plain(without)
