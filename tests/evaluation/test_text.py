import sys

import pytest

from evaluation.text import DEFAULT, NORMALISERS, normaliser
from keys.errors import BadInput

SPOKEN = "  Hello, world — it’s twenty-one\tp.m. “Quoted” état 5 % "


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("none", SPOKEN),
        ("basic", "HELLO WORLD IT'S TWENTY ONE PM QUOTED ÉTAT 5"),
        ("whisper-english", "hello world it is 21 p m quoted etat 5"),
    ],
)
def test_normalisations(name: str, written: str) -> None:
    if name == "whisper-english":
        pytest.importorskip("transformers")
    assert normaliser(name)(SPOKEN) == written


@pytest.mark.parametrize("name", NORMALISERS)
def test_normalised_text_stays_as_it_is(name: str) -> None:
    if name == "whisper-english":
        pytest.importorskip("transformers")
    once = normaliser(name)("“Well-known,” she said: don't\u00a0ask (me)!")
    assert normaliser(name)(once) == once


@pytest.mark.parametrize("name", NORMALISERS)
def test_silence_and_marks_are_no_words(name: str) -> None:
    if name == "whisper-english":
        pytest.importorskip("transformers")
    assert normaliser(name)("").split() == []
    if name != "none":
        assert normaliser(name)(" … !\n") == ""


def test_the_usual_one_leaves_librispeech_alone() -> None:
    line = "HE HOPED THERE'D BE STEW FOR DINNER AND THE DOGS' FAT MUTTON"
    assert normaliser(DEFAULT)(line) == line


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(BadInput, match="no text normalisation 'lower': choose one of none, basic, whisper-english"):
        normaliser("lower")


def test_whisper_without_transformers_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers.models.whisper.english_normalizer", None)
    with pytest.raises(BadInput, match=r"needs transformers.*pip install transformers"):
        NORMALISERS["whisper-english"]()
