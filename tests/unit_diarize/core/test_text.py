"""Plurals, shortened lists and labels of speakers."""

from __future__ import annotations

import pytest

from diarize.core.labels import speaker_name
from diarize.core.text import and_more, plural, printable


def test_one_and_several():
    assert [plural(n, "clip") for n in (0, 1, 2)] == ["0 clips", "1 clip", "2 clips"]


@pytest.mark.parametrize(
    ("names", "shown"),
    [([], ""), (["a"], "a"), (["a", "b", "c"], "a, b, c"), (list("abcde"), "a, b, c and 2 more")],
)
def test_a_list_is_cut_after_the_third(names, shown):
    assert and_more(iter(names)) == shown


def test_labels_sort_as_their_numbers():
    assert [speaker_name(n) for n in (0, 12)] == ["SPEAKER_00", "SPEAKER_12"]
    assert speaker_name(7, digits=4) == "SPEAKER_0007"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        ("one\r\ntwo\ttabs\x7f\x9b1A", "one\\r\\ntwo\\ttabs\\x7f\\x9b1A"),
        ("a\u202egpj.exe\u2066\u200b\ufeff", "a\\u202egpj.exe\\u2066\\u200b\\ufeff"),
        ("not UTF-8: \udcff", "not UTF-8: \\udcff"),
        ("Ö 東京 می‌خواهم क्‍ष 👩‍🔬 [b] C:\\new", "Ö 東京 می‌خواهم क्‍ष 👩‍🔬 [b] C:\\new"),
    ],
)
def test_a_terminal_gets_nothing_that_it_would_obey(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown
