"""Lines and tables with anything in them: a result, or one sentence that names the file."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diarize.core.turns import Turn
from diarize.formats.clip_table import read_clip_labels
from diarize.formats.rttm import format_rttm, read_rttm
from diarize.formats.trial_lists import read_identification, read_trials
from diarize.formats.uem import read_uem
from diarize.scoring.report import score_recording
from encoder.data.manifest import read_manifest
from encoder.errors import ToolkitError

SEEDS = {
    read_rttm: "SPEAKER my rec 1 0.5 1.0 <NA> <NA> Ann 2 <NA> <NA>\nSPEAKER m 1 0 1 <NA> <NA> B\n",
    read_uem: "my rec 1 0 2\nm\t1\t2\t3\n",
    read_clip_labels: 'path,speaker\n"a, b.wav",A\n./b.wav,\u00e9\n',
    read_trials: "target\tenrollment\ttest\n1\ta\\b.wav\tc.wav\n",
    read_identification: "1 A/a.wav\n3 A/b c.wav\n",
    read_manifest: "path;speaker;dataset;split;seconds;session\na.wav;A;d;train;1,5;s\n",
}
PIECES = ["\t", " ", '"', ",", ";", "\r", "\ufeff", "1", "-1", "1e400", "1e-99999999999999999999"]
PIECES += ["1.7e308", "nan", "<NA>", "\x00", "e\u0301", "../", "\\", "\u2028", "\x85", "path"]
places = st.lists(st.tuples(st.integers(0, 200), st.sampled_from(PIECES), st.integers(0, 9)))


@pytest.mark.parametrize("read", SEEDS, ids=lambda read: read.__name__)
@settings(max_examples=200)
@given(changes=places)
def test_what_is_mutated_is_read_or_refused(tmp_path_factory, read, changes):
    text = SEEDS[read]
    for place, piece, cut in changes:
        at = place % (len(text) + 1)
        text = text[:at] + piece + text[at + cut :]
    path = tmp_path_factory.getbasetemp() / f"mutated-{read.__name__}"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        found = read(path)
    except ToolkitError as error:
        assert str(path) in str(error)
        return
    if read is read_rttm:
        times = [time for turns in found.values() for turn in turns for time in turn[:2]]
        assert all(0 <= time <= 2e10 for time in times)
        for uri, turns in found.items():
            scored = score_recording(uri, turns, [Turn(0, 1, "x")]).to_json()
            assert math.isfinite(scored["jer"]) and json.dumps(scored, allow_nan=False)
        format_rttm(found)


@settings(max_examples=300)
@given(content=st.binary(max_size=200))
def test_any_bytes(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any-bytes"
    path.write_bytes(content)
    for read in SEEDS:
        try:
            read(path)
        except ToolkitError as error:
            assert str(path) in str(error)
