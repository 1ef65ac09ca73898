"""What a person may be called."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diarize.formats.text_lines import printable_token
from diarize.gallery.names import clean_name, fold_name, nearest_names, shown, unknown_name
from encoder.errors import ConfigError


@pytest.mark.parametrize(
    ("given_", "stored"),
    [
        ("Anna", "Anna"),
        ("  Anna  B\u00a0C ", "Anna B C"),
        ("Mu\u0308ller", "Müller"),
        ("李 小龙", "李 小龙"),
        ("O'Neill, Jr.", "O'Neill, Jr."),
        ("\u0645\u06cc\u200c\u062e", "\u0645\u06cc\u200c\u062e"),  # Persian needs the non-joiner
        ("3", "3"),
        ("x" * 80, "x" * 80),
        ("SPEAKER", "SPEAKER"),
        ("Voice_1a", "Voice_1a"),
    ],
)
def test_names_of_any_script_are_stored_in_one_way(given_, stored):
    assert clean_name(given_) == stored


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("", "letter"),
        (" \t", "letter"),
        ("...", "letter"),
        ("a/b", "slash"),
        ("a\\b", "slash"),
        (".hidden", "starts"),
        ("-f", "starts"),
        ("a\nb", "printed"),
        ("a\x00b", "printed"),
        ("a\u202eb", "printed"),  # turns the text around
        ("a\udcffb", "printed"),  # a file name that is not UTF-8
        ("SPEAKER_00", "itself"),
        ("voice_0012", "itself"),
        ("unknown", "itself"),
        ("x" * 81, "81 characters"),
        ("n" * 300, "300 characters"),
    ],
)
def test_what_cannot_be_a_name_is_said_in_one_short_sentence(name, word):
    with pytest.raises(ConfigError, match=word) as caught:
        clean_name(name)
    text = str(caught.value)
    assert len(text) < 120 and "\n" not in text and text.isprintable()
    text.encode()


@given(st.text(max_size=90))
def test_a_stored_name_is_stored_again_as_it_is_and_is_its_own_token(text):
    try:
        name = clean_name(text)
    except ConfigError:
        return
    assert clean_name(name) == name == unicodedata.normalize("NFC", name)
    assert fold_name(fold_name(name)) == fold_name(name)
    assert 1 <= len(name) <= 80


def test_names_that_rttm_would_write_alike_are_one():
    assert printable_token("Anna B") == printable_token("Anna_B")
    assert fold_name("Anna B") == fold_name("ANNA_b") != fold_name("AnnaB")
    assert fold_name("STRASSE") == fold_name("straße")
    assert fold_name("Mu\u0308ller") == fold_name("MÜLLER")


def test_slips_find_their_name():
    names = ["Anna Berg", "Hanna Berg", "Bob", "VOICE_0001"]
    assert nearest_names("anna brg", names)[0] == "Anna Berg"
    assert nearest_names("zzz", names) == []


def test_unknown_names_and_shortening():
    assert [unknown_name(n) for n in (1, 9999, 12345)] == [
        "VOICE_0001",
        "VOICE_9999",
        "VOICE_12345",
    ]
    assert shown("Bob") == "'Bob'" and len(shown("x" * 300)) < 32
