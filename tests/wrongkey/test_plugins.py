"""A user's own model, corpus, scheme and attack, named ``package.module:name`` on the command line."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.wrongkey.test_cli import refused
from wrongkey.attacks.harness.registry import open_attack
from wrongkey.cli import main
from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import open_corpus
from wrongkey.evaluation.models.registry import open_model
from wrongkey.keys import get_scheme

MINE = """
import sys

import numpy as np
from tests.toys import raw3
from wrongkey.attacks.base import Case, Recovery, Threat
from wrongkey.evaluation import open_corpus
from wrongkey.keys import Scheme, draw_keys, get_scheme

turned = Scheme(
    "turned",
    words=lambda size: 1,
    matrices=lambda size, words: np.stack([np.roll(np.eye(size), int(w % size), axis=0) for (w,) in words]),
    space=lambda size: None,
)

def scheme():
    return turned

named_rom = Scheme("rom", get_scheme("rom").words, get_scheme("rom").matrices, get_scheme("rom").space)

model = raw3()
corpus = open_corpus("bundled").select(per_speaker=2)

def make_corpus():
    return corpus

class Guess:
    name, family = "one-guess", 1
    threat = Threat("Guesses one key.", frozenset({"ciphertext"}))

    def inapplicable(self, setting):
        return None

    def cases(self, setting):
        return [Case(seconds=1.0)]

    def run(self, evidence):
        return Recovery(draw_keys(evidence.setting.scheme, evidence.setting.size, evidence.seed, 0, 1)[0])

guess = Guess()

class NoAttack:
    name = "half"

class Taken(Guess):
    name = "sign-chain"

opened = []

def counted():
    opened.append(1)
    return guess

def quits():
    sys.exit(3)

def quits_when_asked():
    model = raw3()
    model.front_end = lambda waveform: sys.exit(3)
    return model

def of_arguments(size):
    return size

number = 3
"""
OPENERS: dict[str, Callable[[str], object]] = {
    "model": open_model,
    "corpus": open_corpus,
    "scheme": get_scheme,
    "attack": open_attack,
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with a user's module, which is not on the search path before it is named."""
    (tmp_path / "my_own_things.py").write_text(MINE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    yield tmp_path
    sys.modules.pop("my_own_things", None)


def test_a_sweep_in_workers_takes_a_model_a_corpus_and_a_scheme(here, capsys):
    named = "--model my_own_things:model --corpus my_own_things:make_corpus --scheme my_own_things:scheme"
    assert main(f"sweep {named} --keys 4 --workers 2 --replicates 0 --device cpu --out run".split()) == 0
    scores = pd.concat(map(pd.read_parquet, (here / "run" / "scores").glob("*.parquet")))
    assert set(scores.scheme) == {"turned"} and set(scores.key_index) == {-1, 0, 1, 2, 3}
    config = json.loads(Path("run/manifest.json").read_text())["config"]
    assert config["scheme"] == "turned" and config["scheme_spec"] == "my_own_things:scheme"
    assert "names the model 'my_own_things:model', which runs" in refused(capsys, "analyse", "keys", "run")
    trusted = [word for name in ("model", "corpus") for word in (f"--{name}", config[f"{name}_spec"])]
    assert "names the scheme 'my_own_things:scheme'" in refused(capsys, "analyse", "keys", "run", *trusted)
    assert "4 incorrect keys, too few" in refused(capsys, "analyse", "keys", "run", "--trust")


def test_an_attack_runs_on_a_users_scheme_in_a_process_of_its_own(here):
    named = "my_own_things:Guess --scheme my_own_things:turned --corpus my_own_things:corpus --block 4"
    assert main(f"attack {named} --trials 2 --keys 2 --workers 1 --out run".split()) == 0
    rows = pd.concat(map(pd.read_parquet, (here / "run" / "attacks").glob("*.parquet")))
    own = rows[rows.attack == "one-guess"]
    assert len(own) == 2 and set(own.scheme) == {"turned"} and not any(own.failed)


def test_the_factory_of_an_attack_is_called_once(here):
    named = "my_own_things:counted --scheme flipping --corpus my_own_things:corpus --block 4"
    assert main(f"attack {named} --trials 1 --keys 1 --workers 1 --out run".split()) == 0
    assert sys.modules["my_own_things"].opened == [1]


def test_code_that_ends_the_program_while_it_is_asked_is_a_sentence(here, capsys):
    named = ("--model", "my_own_things:quits_when_asked", "--corpus", "my_own_things:corpus", "--device", "cpu")
    said = refused(capsys, "sweep", *named, "--keys", "1", "--workers", "1", "--replicates", "0", "--out", "run")
    assert "A model, corpus, scheme or attack of yours ended the program (exit 3)" in said


def test_guesses_need_a_model_to_ask(here, capsys):
    asked = ("attack", "incorrect-keys", "--corpus", "bundled", "--block", "4", "--out", "run")
    assert "incorrect-keys asks a model: name one with --model." in refused(capsys, *asked)
    assert not Path("run").exists()


def test_the_thing_itself_or_what_makes_it(here):
    assert get_scheme("my_own_things:turned") is get_scheme("my_own_things:scheme")
    assert open_corpus("my_own_things:corpus") == open_corpus("my_own_things:make_corpus")
    assert open_attack("my_own_things:guess").name == open_attack("my_own_things:Guess").name == "one-guess"
    assert open_model("my_own_things:model").first_layer == open_model("my_own_things:raw3").first_layer


@pytest.mark.parametrize("kind", OPENERS)
def test_what_is_no_such_thing_is_one_sentence(here, kind):
    for spec, said in {
        "no-such-thing": f"There is no {kind} 'no-such-thing': give ",
        "my_own_things:absent": "'my_own_things:absent' cannot be imported",
        "my_own_things:of_arguments": "'my_own_things:of_arguments' cannot be called without arguments",
        "my_own_things:number": "'my_own_things:number' ",
        "my_own_things:quits": rf"^{kind.capitalize()} .* ended the program \(exit 3\): mend its factory",
    }.items():
        with pytest.raises(BadInput, match=said) as refusal:
            OPENERS[kind](spec)
        sentence = str(refusal.value)
        assert sentence[0].isupper() and sentence.endswith(".") and kind in sentence.lower()


def test_a_name_of_ours_is_not_taken(here, capsys):
    assert "name 'sign-chain', which is one of the suite's" in refused(
        capsys, "attack", "my_own_things:Taken", "--corpus", "bundled", "--block", "3", "--out", "run"
    )
    assert "a Scheme with the name 'rom'" in refused(
        capsys, "keys", "draw", "--scheme", "my_own_things:named_rom", "--block", "3", "-o", "key.npz"
    )
    with pytest.raises(BadInput, match="lacks family, threat, inapplicable, cases and run"):
        open_attack("my_own_things:NoAttack")
