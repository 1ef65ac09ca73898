"""Bounds on the number of speakers, as a caller gives them."""

import numpy as np
import pytest

from diarize.core.speaker_count import SpeakerCount
from encoder.errors import ConfigError


@pytest.mark.parametrize("wrong", ["2", 2.0, float("nan")])
def test_what_is_no_whole_number_is_refused(wrong):
    words = f"the number of speakers is {wrong!r}: give a whole number"
    for given in ({"speakers": wrong}, {"minimum": wrong}, {"maximum": wrong}):
        with pytest.raises(ConfigError, match=words):
            SpeakerCount.of(**given)


def test_numpy_integers_are_whole_numbers():
    assert SpeakerCount.of(np.int64(2)).exact == 2
