"""What `wrongkey view` answers about a key: facts, sound and pictures, and a sentence where there is none."""

import io
import json
import sys
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from tests.narrow import present
from tests.reports.attack_folders import random_keys, write_attacks
from tests.reports.conftest import heard, write_outputs, write_run
from tests.view.conftest import client, heard_run, seen_run
from wrongkey.keys import correct_key, decrypt_query, encrypt_query
from wrongkey.keys.draw import IncorrectKeys
from wrongkey.view.sound import kept_speech

NOTHING = "This run kept no clip of speech, so there is nothing to hear."


def sound(browser, path):
    answer = browser.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "audio/ogg"), answer.text
    return soundfile.read(io.BytesIO(answer.content))


def size(browser, path):
    answer = browser.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png"), answer.text
    return Image.open(io.BytesIO(answer.content)).size


def test_the_facts_of_a_key(shown):
    facts = client(shown).get("/key/rom/1").json()
    assert (facts["run"], facts["index"], facts["keyed"], facts["silence"]) == ("rom", 1, True, "")
    (score,) = facts["scores"]
    assert (score["value"], score["interval"], score["rank"], score["of"], score["ties"]) == (
        "10.00", ["9.00", "11.00"], 1, 3, 0
    )  # fmt: skip
    assert [near["index"] for near in facts["neighbours"]] == [1, 2, 0]
    assert facts["command"] == (
        "wrongkey keys draw --scheme rom --block 3 --blocks samples --seed 0 --out key.npz --index 1"
    )
    measures = {one["label"]: one["value"] for one in facts["measures"]}
    key = IncorrectKeys("rom", 3, 0, correct_key("rom", 3, 0)).batch(1, 1)[0]
    off = np.linalg.norm(key - correct_key("rom", 3, 0)) / np.sqrt(3)
    assert measures["Frobenius distance"] == pytest.approx(off)
    assert len(measures) > 10 and (facts["uses"], facts["sound"]) == (["encrypt", "decrypt"], True)


def test_what_is_heard_is_the_kept_speech_under_that_key(shown, tmp_path):
    """As far as Opus keeps a waveform: the same energy in every band of 1 kHz."""
    kept = present(kept_speech(heard_run(tmp_path / "rom"), "samples", False)[0])
    keys = IncorrectKeys("rom", 3, 0, correct_key("rom", 3, 0))
    wrong = keys.batch(2, 1)[0]
    encrypted = encrypt_query(kept.speech, wrong, blocks="samples")
    decrypted = decrypt_query(encrypt_query(kept.speech, keys.correct, blocks="samples"), wrong, blocks="samples")
    for use, expected in (("encrypt", encrypted), ("decrypt", decrypted)):
        samples, rate = sound(client(shown), f"/sound/rom/2/{use}.opus")
        assert rate == kept.rate and abs(len(samples) - len(kept.speech)) < 100
        quiet = expected / max(1.0, np.abs(expected).max())
        powers = [np.abs(np.fft.rfft(one[:8000])) ** 2 for one in (samples, quiet)]
        bands = [np.add.reduceat(power, np.arange(0, 4000, 500)) for power in powers]
        assert np.abs(10 * np.log10(bands[0].max() / bands[1].max())) < 1.5
        assert bands[0].argmax() == bands[1].argmax()
        assert size(client(shown), f"/sound/rom/2/{use}.png")[1] == 201


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/key/other/0", "There is no run 'other' here: there are rom."),
        ("/key/rom/3", "rom has no score of key 3: its keys are numbered from 0."),
        (f"/key/rom/{10**40}", f"rom has no score of key {10**40}: its keys are numbered from 0."),
        ("/sound/rom/3/encrypt.png", "rom has no score of key 3: its keys are numbered from 0."),
        (f"/sound/rom/{10**40}/decrypt.opus", f"rom has no score of key {10**40}: its keys are numbered from 0."),
        ("/sound/rom/0/sing.opus", "A key of this run can encrypt or decrypt speech, not 'sing' it."),
        ("/key/%1b%e2%80%ae/0", r"There is no run '\x1b\u202e' here: there are rom."),
    ],
)
def test_what_is_not_there_is_a_sentence(shown, path, sentence):
    answer = client(shown).get(path)
    assert (answer.status_code, answer.text) == (404, f"{sentence}\n")


def test_the_page_has_the_script_and_no_policy_of_its_own(opened, tmp_path):
    browser = opened(heard_run(tmp_path / "rom"))
    page = browser.get("/").text
    assert '<script type="module" src="/view.js"></script>' in page and "http-equiv" not in page
    assert "wrongkey:key" in browser.get("/view.js").text


def test_folders_of_the_same_name_are_different_runs(opened, tmp_path):
    for place, best in (("a", 11.0), ("b", 12.0), ("c", 13.0)):
        heard_run(tmp_path / place / "rom", [30.0, best])
    browser = opened(tmp_path)
    data = browser.get("/").text.partition('id="data">')[2].partition("</script>")[0]
    keys = json.loads(data)[0]["keys"]
    assert [one["run"] for one in keys] == ["rom", "rom (2)", "rom (3)"]
    for one in keys:
        facts = browser.get(f"/key/{one['run']}/1").json()
        assert (facts["run"], float(facts["scores"][0]["value"])) == (one["run"], one["best"]["score"])
    assert len({one["best"]["score"] for one in keys}) == 3


def test_real_voices_are_heard_only_where_it_is_asked_for(opened, tmp_path):
    folder = heard_run(tmp_path / "rom", recordings="real")
    browser = opened(folder)
    facts = browser.get("/key/rom/0").json()
    assert facts["uses"] == [] and facts["silence"] == (
        "The clips of this run are real people’s voices, or may be: wrongkey view --media real plays them."
    )
    for use in ("encrypt.opus", "decrypt.opus", "encrypt.png"):
        answer = browser.get(f"/sound/rom/0/{use}")
        assert (answer.status_code, answer.text) == (404, f"{facts['silence']}\n")
    assert "audio/ogg;base64" not in browser.get("/").text
    assert "--media real" in browser.get("/").text
    asked = opened(folder, real=True)
    assert asked.get("/key/rom/0").json()["uses"] == ["encrypt", "decrypt"]
    assert "Real people’s voices" in asked.get("/").text
    assert len(sound(asked, "/sound/rom/0/encrypt.opus")[0])


def test_a_run_without_clips_has_facts_and_says_so(opened, tmp_path):
    browser = opened(write_run(tmp_path / "rom", [30.0, 10.0]))
    facts = browser.get("/key/rom/0").json()
    assert (facts["uses"], facts["silence"]) == ([], NOTHING)
    assert not any("speech" in one["label"] for one in facts["measures"])
    assert browser.get("/sound/rom/0/encrypt.opus").text == f"{NOTHING}\n"


def test_a_damaged_clip_is_a_sentence(opened, tmp_path):
    folder = heard_run(tmp_path / "rom")
    (folder / "media/sweep-original.opus").write_bytes(b"OggS")
    said = "The clip of speech that this run kept cannot be read, so there is nothing to hear."
    assert opened(folder).get("/key/rom/0").json()["silence"] == said
    (folder / "media/clips.json").write_text("{")
    assert opened(folder).get("/key/rom/0").json()["silence"] == said


def test_a_spectrogram_is_seen_and_not_heard(opened, tmp_path):
    browser = opened(seen_run(tmp_path / "tiles"))
    facts = browser.get("/key/tiles/1").json()
    assert (facts["uses"], facts["sound"], facts["silence"]) == (["encrypt", "decrypt"], False, "")
    assert size(browser, "/sound/tiles/1/encrypt.png") == size(browser, "/sound/tiles/1/decrypt.png") == (31, 8)
    answer = browser.get("/sound/tiles/1/encrypt.opus")
    assert (answer.status_code, answer.text) == (
        404, "The keys of this run encrypt a spectrogram, which has no sound.\n"
    )  # fmt: skip


def test_where_the_model_has_no_key_nothing_is_decrypted(opened, tmp_path):
    setting: dict[str, Any] = {"task": "asr", "metric": "wer", "correct": None, "plain_query": None}
    folder = heard_run(tmp_path / "w", config={"variant": "waveform", "blocks": "samples"}, **setting)
    browser = opened(folder)
    facts = browser.get("/key/w/0").json()
    assert (facts["uses"], facts["keyed"]) == (["encrypt"], False)
    measures = {one["label"]: one["value"] for one in facts["measures"]}
    key = IncorrectKeys("rom", 3, 0, np.eye(3)).batch(0, 1)[0]
    assert measures["Frobenius distance"] == pytest.approx(np.linalg.norm(key - np.eye(3)) / np.sqrt(3))
    assert browser.get("/sound/w/0/decrypt.opus").status_code == 404
    assert len(sound(browser, "/sound/w/0/encrypt.opus")[0])


def test_an_exhausted_key_space(opened, tmp_path):
    every: dict[str, Any] = {"scheme": "flipping", "keys": 1000, "key_space": 7, "enumerated": True}
    browser = opened(heard_run(tmp_path / "all", [30.0, 29.0, 28.0, 27.0, 26.0, 25.0, 24.0], **every))
    assert browser.get("/key/all/6").json()["scores"][0]["rank"] == 1
    assert len(sound(browser, "/sound/all/6/decrypt.opus")[0])
    assert browser.get("/key/all/7").status_code == browser.get("/sound/all/7/encrypt.opus").status_code == 404


def test_silence_can_be_measured(opened, tmp_path, monkeypatch):
    monkeypatch.setattr("tests.view.conftest.tone", lambda level: np.full(16_000, 1e-30))
    facts = opened(heard_run(tmp_path / "rom")).get("/key/rom/0")
    assert facts.status_code == 200 and facts.json()["measures"]


def test_attacks_alone_have_a_page_and_no_keys(opened, tmp_path):
    browser = opened(write_attacks(tmp_path / "a", random_keys()))
    assert "Attacks" in browser.get("/").text and "view.js" not in browser.get("/").text
    answer = browser.get("/key/a/0")
    assert (answer.status_code, answer.text) == (404, "There is no run 'a' here: there are none with a sweep.\n")


def test_transcripts_are_printable(opened, tmp_path):
    folder = heard_run(tmp_path / "rom", [30.0, 10.0], task="asr", metric="wer")
    write_outputs(folder, heard(["one two"], ["one two"]), {1: heard(["one two"], ["\u202eevil\x1b[31m two"])})
    browser = opened(folder)
    (one,) = browser.get("/key/rom/1").json()["transcripts"]
    assert one == {"utterance": "speaker-000", "reference": "one two", "hypothesis": r"\u202eevil\x1b[31m two"}
    assert browser.get("/key/rom/0").json()["transcripts"] == []


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"scheme": "trap:make"},
            "rom names the scheme 'trap:make', which runs the Python module trap: add --trust if",
        ),
        ({"config": {"blocks": "</script>"}}, "script"),
        ({"block_size": 3000}, "3000 rows"),
        ({"scheme": "no-such-scheme"}, "no-such-scheme"),
    ],
)
def test_a_run_whose_keys_cannot_be_drawn_still_has_its_page(opened, tmp_path, monkeypatch, settings, sentence):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "trap.py").write_text("open('sprung', 'w')\n")
    browser = opened(heard_run(tmp_path / "rom", **settings))
    assert "Every incorrect key" in browser.get("/").text
    for path in ("/key/rom/0", "/sound/rom/0/encrypt.opus", "/sound/rom/0/encrypt.png"):
        answer = browser.get(path)
        assert answer.status_code == 404, answer.text
        assert sentence in answer.text or (path != "/key/rom/0" and answer.text == f"{NOTHING}\n")
    assert not (tmp_path / "sprung").exists()


def test_a_trusted_scheme_is_opened(opened, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_scheme.py").write_text(
        "from dataclasses import replace\nfrom wrongkey.keys.schemes import SCHEMES\n"
        "mine = replace(SCHEMES['rom'], name='mine')\n"
    )
    folder = heard_run(tmp_path / "rom", scheme="my_scheme:mine")
    assert opened(folder).get("/key/rom/0").status_code == 404 and "my_scheme" not in sys.modules
    assert opened(folder, trusted=True).get("/key/rom/0").status_code == 200
    sys.modules.pop("my_scheme")
