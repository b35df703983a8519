import sys
import unicodedata
from typing import Literal

import pytest

from wrongkey.errors import BadInput
from wrongkey.evaluation.tasks.characters import characters, is_unspaced
from wrongkey.evaluation.tasks.text import DEFAULT, NORMALISERS, first_tag, normaliser

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


ACCENTED = "Ça déjà été, où naïve Ångström 한국어 が"


@pytest.mark.parametrize("name", NORMALISERS)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_one_text_in_two_unicode_forms_is_one_text(name: str, form: Literal["NFC", "NFD"]) -> None:
    if name == "whisper-english":
        pytest.importorskip("transformers")
    assert normaliser(name)(unicodedata.normalize(form, ACCENTED)) == normaliser(name)(ACCENTED) != ""


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("either/or,maybe", "EITHER OR MAYBE"),
        ("no...yes no\u2026yes end.Next what?!So", "NO YES NO YES END NEXT WHAT SO"),
        ("snake_case \\alpha (one)(two)", "SNAKE CASE ALPHA ONE TWO"),
        ("हिंदी,अंग्रेज़ी", "हिंदी अंग्रेज़ी"),  # a vowel sign is no letter to a regular expression
        ("e.g. U.S.A. a.m. Ph.D. B.Sc. J.R.R.Tolkien", "EG USA AM PHD BSC JRR TOLKIEN"),
        ("I.We U.S.based", "I WE US BASED"),
        ("2,500 1.25 09:45 $.99 1,and", "2500 125 0945 $99 1 AND"),
        ("don't don\u2019t don\u00b4t don`t don\uff07t", "DON'T DON'T DON'T DON'T DON'T"),
        ("she said \u2018hello\u2019 to the dogs\u2019 owner", "SHE SAID HELLO TO THE DOGS' OWNER"),
        ("word(s) (s)he [t]he colour(color)", "WORDS SHE THE COLOUR COLOR"),
        ("col\u00b7lecci\u00f3", "COLLECCI\u00d3"),
        ('\u05e6\u05d4"\u05dc', "\u05e6\u05d4\u05dc"),
    ],
)
def test_punctuation_separates_words_but_within_them(written: str, words: str) -> None:
    assert normaliser("basic")(written) == words


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("hel\u200blo co\u00adop \ufeffstart \u200fend \u2764\ufe0f", "HELLO COOP START END \u2764"),
        ("ｆｕｌｌ\u3000ｗｉｄｔｈ ﬁne", "FULL WIDTH FINE"),
        ("\u0645\u06cc\u200c\u0631\u0648\u062f", "\u0645\u06cc\u200c\u0631\u0648\u062f"),  # Persian needs its joiner
        ("น้ำ", "น้ำ"),  # NFKC would make two characters of its vowel
    ],
)
def test_invisible_and_wide_characters(written: str, words: str) -> None:
    assert normaliser("basic")(written) == words


@pytest.mark.parametrize("text", ["straße STRAẞE", "σοφός ΣΟΦΌΣ", "ısı İzmir i̇zmir", "ǰ ŉ ΐ"])
def test_case_does_not_count(text: str) -> None:
    basic = normaliser("basic")
    assert basic(text.upper()) == basic(text.lower()) == basic(text) == basic(basic(text))


def test_letters_that_capitals_merge_are_merged_everywhere() -> None:
    assert normaliser("basic")("straße STRAẞE ısı İsi") == "STRASSE STRASSE ISI ISI"


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("one <COMMA> two <|nospeech|><|0.00|></s>", "ONE TWO"),
        ("[noise] one [background noise] two[laughter] <<unk>> <breath/>", "ONE TWO"),
        ("<MUSIC>", ""),
        ("a < b and c > d, i<3 <not a tag> <joe@home>", "A < B AND C > D I<3 <NOT A TAG> <JOE HOME>"),
        ("[one\ntwo] [3]", "ONE TWO 3"),
    ],
)
def test_tags_are_no_words(written: str, words: str) -> None:
    assert normaliser("basic")(written) == words


def test_the_first_tag_is_shown_as_it_is_written() -> None:
    assert first_tag("One [Noise] two <COMMA>") == "[Noise]" and first_tag("word(s) [t]he a < b > c") is None


def test_scripts_without_spaces_keep_their_words_together() -> None:
    basic = normaliser("basic")
    assert basic("今天，天气（很）好。") == "今天天气很好" and basic("マイケル・ジャクソン") == "マイケルジャクソン"
    assert basic("我用Python，很好") == "我用PYTHON很好"


def test_characters_are_counted_without_spaces_that_scripts_do_not_have() -> None:
    assert characters("THE  CAT") == "THE CAT" and characters("今天 天气 VERY GOOD 好") == "今天天气VERY GOOD好"
    assert (
        is_unspaced("今天 天气 OK") and is_unspaced("สวัสดี") and not is_unspaced("ÉTÉ 天") and not is_unspaced("한국어")
    )


def test_a_runaway_decoder_is_normalised_in_no_time() -> None:
    for endless in ("<", "[a", ".", "a.", "\u2018", "(a", "\u4f60."):  # a quadratic pattern would take minutes
        assert len(normaliser("basic")(endless * 30_000)) <= 60_000


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(
        BadInput, match="There is no text normalisation 'lower': choose one of none, basic, whisper-english"
    ):
        normaliser("lower")


def test_whisper_without_transformers_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers.models.whisper.english_normalizer", None)
    with pytest.raises(BadInput, match=r"needs transformers.*pip install transformers"):
        NORMALISERS["whisper-english"]()
