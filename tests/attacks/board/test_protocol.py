"""Protocol files: their hash, what is refused, and the attacks that they mean."""

import re
import sys

import pytest

from wrongkey.attacks.board.protocol import HERE, Protocol, open_protocol
from wrongkey.attacks.harness.offered import SUITE
from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.board_protocol import SHIPPED

SMOKE = (HERE / "smoke.toml").read_text(encoding="utf-8")


def opened(tmp_path, text: str) -> Protocol:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return open_protocol(str(path))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_protocol_has_its_hash_and_its_name(name):
    protocol = open_protocol(name)
    assert protocol.named == {"name": name, "hash": SHIPPED[name]}


def test_speech_v1_means_every_attack_on_waveforms_and_models():
    """An attack that is added to the suite is added here as well, and the protocol gets a new name.

    But for answers-only, whose 1,000 queries a trial would take a day, and which guessing stands for.
    """
    left = {"spectrogram-moments", "answers-only"}
    assert set(open_protocol("speech-v1").content.attacks.names) == SUITE.keys() - left


def test_the_victims_of_speech_v1_are_not_those_that_attacks_were_tuned_on():
    corpus = open_protocol("speech-v1").content.corpus
    assert len(set(corpus.victims.speakers)) == 31 and len(set(corpus.background.speakers)) == 67
    assert (corpus.victims.part, corpus.background.part) == ("test", "train")


def test_comments_and_order_are_not_content(tmp_path):
    lines = SMOKE.replace('name = "smoke"\n', "", 1).splitlines()
    text = "# another comment\n" + "\n".join([lines[0], 'name = "smoke"', *lines[1:]])
    assert opened(tmp_path, text).hash == SHIPPED["smoke"]


def test_an_edited_protocol_is_refused_under_its_old_name_and_has_one_of_its_own(tmp_path):
    edited = SMOKE.replace("random_keys = 30", "random_keys = 31")
    with pytest.raises(
        BadInput, match=r"is not the protocol smoke that wrongkey ships.*: give it a name of its own\.$"
    ):
        opened(tmp_path, edited)
    assert opened(tmp_path, edited.replace('name = "smoke"', 'name = "smoke-31"')).name == "smoke-31"


def test_an_attack_that_this_version_lacks_is_refused(tmp_path):
    text = SMOKE.replace('"polyphase"]', '"polyphase", "of-tomorrow"]').replace('name = "smoke"', 'name = "mine"')
    with pytest.raises(BadInput, match="asks for the attack of-tomorrow, which this wrongkey does not have"):
        opened(tmp_path, text)


def test_schemes_that_are_not_there_are_refused(tmp_path):
    lines = [line for line in SMOKE.splitlines() if line.startswith("schemes = ")]
    assert lines
    for line in lines:
        text = SMOKE.replace(line, 'schemes = ["nope"]').replace('name = "smoke"', 'name = "mine"')
        with pytest.raises(BadInput, match=r"The protocol mine asks for a scheme that is not there: .*nope"):
            opened(tmp_path, text)


@pytest.mark.parametrize("name", ["anything:goes", "json:dumps"])
def test_an_attack_that_cannot_be_loaded_is_refused(tmp_path, name):
    text = SMOKE.replace('"polyphase"]', f'"polyphase", "{name}"]').replace('name = "smoke"', 'name = "mine"')
    with pytest.raises(BadInput, match=f"The protocol mine asks for an attack that cannot be run: Attack '{name}'"):
        opened(tmp_path, text)


def test_an_attack_of_ones_own_is_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "ownattack.py").write_text(
        "from wrongkey.attacks.waveforms.polyphase import Polyphase\nclass Mine(Polyphase):\n    name = 'mine'\n"
    )
    text = SMOKE.replace('"polyphase"]', '"ownattack:Mine"]').replace('name = "smoke"', 'name = "mine"')
    assert opened(tmp_path, text).content.attacks.names[-1] == "ownattack:Mine"


@pytest.mark.parametrize(
    ("line", "instead", "path"),
    [
        ('10 = "asv-raw10"', '10 = "torch:/home/me/model.pt"', "torch:/home/me/model.pt"),
        ('name = "bundled"', 'name = "~/data/bundled"', "~/data/bundled"),
        ("[corpus.victims]", '[corpus.victims]\npart = "../private"', "../private"),
        ("seed = 0", "seed = 0\ndescription = 'of /home/somebody/data'", "of /home/somebody/data"),
    ],
)
def test_a_protocol_that_names_a_path_is_refused(tmp_path, line, instead, path):
    kept = "\n".join(one for one in SMOKE.splitlines() if not one.startswith("description"))
    text = kept.replace('name = "smoke"', 'name = "mine"').replace(line, instead, 1)
    assert line in kept
    with pytest.raises(BadInput, match=re.escape(f"mine.toml names the path '{path}', which board.json would hand")):
        opened(tmp_path, text)


@pytest.mark.parametrize(
    ("line", "instead", "said"),
    [
        ("seed = 0", "", "it has no seed"),
        ("seed = 0", "seed = 'x'", "seed is 'x'"),
        ("seed = 0", "seed = 0\ncolour = 'red'", "it has colour, which is no setting"),
        ("trials = 4", "trials = 2", "4 trials at the fewest and 2 in all"),
        ("seconds = [5]", "seconds = [0]", "attacks.seconds.0 is 0"),
        ('"af_sarah", ', '"af_sarah", "af_alloy", ', "has the speaker af_alloy as victim and in the background"),
        ("fewest = 4", "fewest = 4\ntrials_of = {learned-key = 2}", "gives trials_of learned-key"),
        ('10 = "asv-raw10"', 'ten = "asv-raw10"', "is not a protocol"),
        ("seed = 0", "seed = = 0", "is not TOML"),
        ('"af_bella", ', '"af_bella", "af_bella", ', "names af_bella twice in corpus.victims.speakers"),
        ('"polyphase"]', '"polyphase", "polyphase"]', "names polyphase twice in attacks.names"),
        ("share = 0.2", "share = -3.0", "asks for a strength that cannot be measured: --share must be above 0"),
        ("within = [5]", "within = [5, 5]", "asks for a strength that cannot be measured: --within names some"),
        ("seconds = [5]", "seconds = [1e300]", "attacks.seconds.0 is 1e+300"),
    ],
)
def test_what_is_no_protocol_is_one_sentence(tmp_path, line, instead, said):
    text = SMOKE.replace('name = "smoke"', 'name = "mine"').replace(line, instead, 1)
    assert line in SMOKE
    with pytest.raises(BadInput, match=re.escape(said)) as refused:
        opened(tmp_path, text)
    assert str(refused.value).endswith(".") and str(tmp_path / "mine.toml") in str(refused.value)


def test_an_unknown_protocol_is_refused():
    with pytest.raises(BadInput, match="There is no protocol speech-v0: give smoke or speech-v1, or a TOML file"):
        open_protocol("speech-v0")
