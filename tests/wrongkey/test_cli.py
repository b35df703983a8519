"""The command line as its users meet it: what works, and one sentence for what does not."""

import json
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from wrongkey.cli import main
from wrongkey.errors import BadInput
from wrongkey.keys import SecretKey

SWEEP = "sweep --model tests.toys:raw3 --corpus bundled --per-speaker 2 --replicates 5 --workers 1 --keys 4".split()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "rom"
    assert main([*SWEEP, "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def speech(tmp_path):
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.2, 8_001).astype(np.float32), 8_000, "FLOAT")
    return path


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "key.npz"
    assert main(["keys", "draw", "--scheme", "rom", "--block", "10", "-o", str(path)]) == 0
    return path


def refused(capsys, *arguments: object) -> str:
    """The one sentence that a command refuses its arguments with."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    *log, said = capsys.readouterr().err.splitlines(keepends=True)
    assert said.startswith("wrongkey: ") and said.endswith("\n")
    assert not any(line.startswith("wrongkey: ") for line in log)
    return said


def test_help_does_not_load_the_heavy_libraries():
    code = "import sys, wrongkey.cli as c; c.parser(); print({'torch', 'numpy', 'pandas', 'scipy'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


def test_sweep_report_compare_and_ls(run, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["report", str(run), "--out", str(page)]) == 0
    assert "toy3" in page.read_text()
    assert {file.suffix for file in (tmp_path / "page-figures").iterdir()} >= {".png", ".svg"}
    assert main(["compare", str(run), str(run)]) == 3  # its few keys show nothing
    assert main(["ls", str(run.parent)]) == 0
    assert "toy3" in capsys.readouterr().out


def test_a_sweep_ends_with_its_headline(run, capsys):
    assert main([*SWEEP, "--out", str(run)]) == 0
    headline, closeness, where = capsys.readouterr().out.splitlines()
    assert headline.startswith("4 incorrect ROM keys, M = 3: median EER ") and "best wrong key" in headline
    assert "of 4 keys came within 1 point of the plain model" in closeness
    assert f"is done; look at it with: wrongkey report {run} --out report.html" in where


def test_attacks_end_with_a_verdict_and_an_exit_code(tmp_path, capsys):
    flags = "--corpus bundled --scheme rom --block 4 --trials 10 --workers 1".split()
    asked = ["attack", "known-plaintext", *flags, "--out", str(tmp_path / "a")]
    assert main([*asked, "--fail-if", "weakened,broken"]) == 1
    assert capsys.readouterr().out.startswith(
        "speech, ROM, M = 4: Broken: the key, the speech, who speaks; does not apply"
    )
    assert (tmp_path / "a/attacks/verdicts.json").is_file()
    assert main([*asked, "--fail-if", "open"]) == 0 and main(asked) == 0
    undecided = [*asked, "--fail-if", "undecided", "--adversary"]
    assert main([*undecided, "borrowed-device"]) == 1  # broken is worse than undecided
    assert main([*undecided, "eavesdropper, provider"]) == 0  # neither has known plaintext
    assert "--adversary eve is unknown" in refused(capsys, *undecided, "eve")
    assert "give --fail-if as well" in refused(capsys, *asked, "--adversary", "provider")
    assert "brokn is not a verdict: name one or more of open, broken" in refused(capsys, *asked, "--fail-if", "brokn")


def test_attacks_that_are_stopped_leave_no_older_verdict(tmp_path, monkeypatch, capsys):
    flags = "--corpus bundled --scheme rom --block 4 --trials 1 --workers 1".split()
    asked = ["attack", "known-plaintext", *flags, "--out", str(tmp_path / "a")]
    assert main(asked) == 0
    path = tmp_path / "a/attacks/verdicts.json"
    assert not json.loads(path.read_text())["unfinished"]

    def stopped(*_, **__):
        suite = tmp_path / "a/attacks/suite.json"
        suite.write_text(json.dumps(json.loads(suite.read_text()) | {"ended": None}))
        raise BadInput("2 of 3 trials failed")

    monkeypatch.setattr("wrongkey.attacks.harness.suite.run_attacks", stopped)
    assert "2 of 3 trials failed" in refused(capsys, *asked, "--check")
    assert json.loads(path.read_text())["unfinished"]


def test_a_report_leaves_out_found_runs_that_cannot_be_read(run, tmp_path, capsys):
    runs, page = tmp_path / "runs", tmp_path / "page.html"
    shutil.copytree(run, runs / "good")
    shutil.copytree(run, runs / "early", ignore=shutil.ignore_patterns("*.parquet"))
    (runs / "foreign").mkdir()
    (runs / "foreign" / "manifest.json").write_text('{"name": "an app"}')
    capsys.readouterr()
    assert main(["report", str(runs), "--out", str(page), "--table", str(tmp_path / "table.csv")]) == 0
    early, foreign = (line for line in capsys.readouterr().err.splitlines() if "left out" in line)
    assert early.startswith("wrongkey: left out: ") and "early has no scores yet" in early
    assert "foreign" in foreign and "is broken" in foreign
    assert "toy3" in page.read_text() and (tmp_path / "table.csv").read_text().count("\n") == 2
    assert "no scores yet" in refused(capsys, "report", runs, runs / "early", "--out", page)  # named itself
    shutil.rmtree(runs / "good")
    assert "no run that can be shown" in refused(capsys, "report", runs, "--out", page)


def test_a_finished_sweep_does_nothing_again_and_grows_when_asked(run, capsys):
    def shards():
        return {file.name: file.stat().st_mtime_ns for file in (run / "scores").glob("incorrect-*")}

    before = shards()
    assert main([*SWEEP, "--out", str(run)]) == 0
    assert shards() == before
    assert main([*SWEEP, "--out", str(run), "--keys", "5"]) == 0
    assert before.items() < shards().items()


def test_settings_may_stand_in_a_file_and_flags_win(tmp_path):
    settings = tmp_path / "sweep.toml"
    settings.write_text(
        'model = "tests.toys:raw3"\ncorpus = "bundled"\nper-speaker = 2\nreplicates = 5\nworkers = 1\nkeys = 50\n'
        f'out = "{tmp_path / "run"}"\n'
    )
    assert main(["sweep", "--config", str(settings), "--keys", "3"]) == 0
    scores = list((tmp_path / "run" / "scores").glob("incorrect-*"))
    assert sum(int(s.stem.split("-")[2]) - int(s.stem.split("-")[1]) for s in scores) == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keys = 'many'", "keys"),
        ("colour = 3", "colour"),
        ("variant = 'neither'", "variant"),
        ("keys = [", "not TOML"),
    ],
)
def test_wrong_settings_are_named(text, said, tmp_path, capsys):
    (tmp_path / "x.toml").write_text(text)
    assert said in refused(capsys, "sweep", "--config", tmp_path / "x.toml")


@pytest.mark.parametrize("key_file", ["key.npz", "key.safetensors"])
@pytest.mark.parametrize("scheme", ["shuffling", "flipping", "rom"])
def test_a_recording_comes_back_with_the_correct_key_only(key_file, scheme, speech, tmp_path):
    right, wrong = tmp_path / key_file, tmp_path / f"wrong-{key_file}"
    for file, index in ((right, "0"), (wrong, "1")):
        drawn = ["keys", "draw", "--scheme", scheme, "--block", "10", "--seed", "3", "--index", index]
        assert main([*drawn, "-o", str(file)]) == 0
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    plain, rate = soundfile.read(speech, dtype="float32")

    def crypt(command: str, key: Path, source: Path) -> np.ndarray:
        out = source.with_name(f"{command}-{key.name}.wav")
        assert main([command, str(source), "--key", str(key), "-o", str(out), "--overwrite"]) == 0
        samples, out_rate = soundfile.read(out, dtype="float32")
        assert out_rate == rate
        return samples

    encrypted = crypt("encrypt", right, speech)
    assert len(encrypted) == 8_010
    assert np.abs(encrypted[:8_001] - plain).max() > 0.1
    source = speech.with_name(f"encrypt-{right.name}.wav")
    decrypted = crypt("decrypt", right, source)
    assert decrypted.shape == plain.shape
    np.testing.assert_allclose(decrypted, plain, atol=1e-6)
    assert np.abs(crypt("decrypt", wrong, source) - plain).max() > 0.1


def test_an_encrypted_model_is_written(tmp_path, capsys):
    key, out = tmp_path / "k.npz", tmp_path / "model.safetensors"
    assert main(["keys", "draw", "--scheme", "rom", "--block", "3", "-o", str(key)]) == 0
    assert main(["encrypt-model", "--model", "tests.toys:raw3", "--key", str(key), "-o", str(out)]) == 0
    from safetensors.torch import load_file

    from tests import toys

    plain = toys.raw3().network.state_dict()
    encrypted = load_file(out)
    matrix = SecretKey.load(key).matrix
    np.testing.assert_allclose(encrypted["0.weight"], plain["0.weight"].double().numpy() @ matrix, atol=1e-6)
    np.testing.assert_array_equal(encrypted["2.weight"], plain["2.weight"])


def test_owner_and_user_meet_without_anybody_decrypting(tmp_path, capsys):
    """encrypt-model and encrypt --model: the encrypted model on the encrypted recording answers as the plain one."""
    import torch

    from wrongkey.evaluation.corpora import load_audio, open_corpus
    from wrongkey.evaluation.models.bundled.asv_raw import load_asv_raw

    recording = open_corpus("bundled").utterances[0].path
    key, weights, query = tmp_path / "k.npz", tmp_path / "m.safetensors", tmp_path / "q.wav"
    assert main(["keys", "draw", "--scheme", "rom", "--block", "5", "-o", str(key)]) == 0
    assert main(["encrypt-model", "--model", "asv-raw5", "--key", str(key), "-o", str(weights)]) == 0
    assert main(["encrypt", str(recording), "--model", "asv-raw5", "--key", str(key), "-o", str(query)]) == 0
    plain, provider = load_asv_raw("asv-raw5"), load_asv_raw("asv-raw5", path=weights)
    encrypted = torch.from_numpy(soundfile.read(query, dtype="float32")[0])[None]
    expected = plain.embed(plain.segments(plain.front_end(torch.from_numpy(load_audio(recording)))))
    torch.testing.assert_close(provider.embed(encrypted), expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(plain.embed(encrypted), expected, atol=0.1)


def test_a_model_beside_the_work_is_found_by_the_installed_command(tmp_path):
    (tmp_path / "mymodel.py").write_text("from tests.toys import raw3 as make")
    # A console script has its own folder, not the working directory, at the head of sys.path.
    console = "import sys; sys.path[0] = '/'; sys.path.append(sys.argv.pop(1)); from wrongkey.cli import main; main()"
    command = [sys.executable, "-c", console, str(Path(__file__).parents[2]), *SWEEP, "--out", "run"]
    command[command.index("tests.toys:raw3")] = "mymodel:make"
    command[command.index("--workers") + 1] = "2"
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert "\nrun is done" in done.stdout, done.stderr


def test_keys_are_shown_without_their_matrix_and_counted(key, capsys):
    capsys.readouterr()
    assert main(["keys", "show", str(key)]) == 0
    shown = capsys.readouterr().out
    assert "rom" in shown
    assert f"{SecretKey.load(key).matrix[0, 0]:.4f}" not in shown
    assert main(["keys", "space", "--scheme", "shuffling", "--block", "3"]) == 0
    assert "6" in capsys.readouterr().out


def test_catalogues_answer(capsys):
    assert main(["models"]) == 0
    assert main(["models", "asv-raw3"]) == 0
    assert "speechocean762" in capsys.readouterr().out
    assert main(["corpora"]) == 0
    assert main(["corpora", "show", "bundled"]) == 0
    assert "28 speakers" in capsys.readouterr().out


def test_a_corpus_of_classes_is_shown(tmp_path, capsys):
    for name in ("bus", "park"):
        (tmp_path / name).mkdir()
        soundfile.write(tmp_path / name / "1.wav", np.random.default_rng(0).normal(0, 0.1, 800), 8_000)
    assert main(["corpora", "show", f"classes:{tmp_path}"]) == 0
    assert "0 speakers, 0 transcripts, 2 classes" in capsys.readouterr().out


def test_doctor_finds_this_installation_healthy(capsys):
    assert main(["doctor"]) == 0
    assert "BROKEN" not in capsys.readouterr().out


def test_wrong_input_is_one_sentence(run, speech, key, tmp_path, capsys):
    text = tmp_path / "text.wav"
    text.write_text("not audio")
    nan = tmp_path / "nan.wav"
    soundfile.write(nan, np.array([0.0, np.nan, 0.1], dtype=np.float32), 16_000, "FLOAT")
    stereo = tmp_path / "stereo.wav"
    soundfile.write(stereo, np.zeros((100, 2)), 16_000)
    trials = tmp_path / "trials.txt"
    trials.write_text("1 af_alloy-sentence1 nobody\n0 af_alloy-sentence1 am_adam-words1\n")
    out = tmp_path / "out.wav"
    sweep = ["sweep", "--corpus", "bundled", "--out", tmp_path / "new"]
    toy = [*sweep, "--model", "tests.toys:raw3"]

    assert "sweep needs --model; see" in refused(capsys, *sweep)
    assert "sweep needs --model and --corpus; see" in refused(capsys, "sweep", "--keys", 3)
    assert "asv-raw7" in refused(capsys, *sweep, "--model", "asv-raw7")
    assert "--keys must be at least 1" in refused(capsys, *toy, "--keys", 0)
    assert "a block of 10" in refused(capsys, *toy, "--block", 10)
    assert "cannot do --task asr" in refused(capsys, *toy, "--task", "asr")
    silent = tmp_path / "silent"
    for speaker in ("ann", "bob"):
        (silent / speaker).mkdir(parents=True)
        soundfile.write(silent / speaker / "1.wav", np.random.default_rng(0).normal(0, 0.1, 8_000), 16_000)
    asked = ["sweep", "--out", tmp_path / "new", "--model", "tests.toys:subsampled"]
    said = refused(capsys, *asked, "--corpus", f"folder:{silent}", "--task", "asr")
    assert "2 of 2 utterances have no transcript (ann/1, bob/1)" in said
    said = refused(capsys, *asked, "--corpus", f"classes:{silent}", "--task", "asc")
    assert "does not know the labels ann, bob" in said and "one, two, three" in said
    assert "who speaks" in refused(capsys, *asked, "--corpus", f"classes:{silent}")
    assert "no text normalisation 'yelling'" in refused(
        capsys, *asked, "--corpus", "bundled", "--task", "asr", "--text", "yelling"
    )
    assert "nobody" in refused(capsys, *toy, "--trials", trials)
    assert "text.wav" in refused(capsys, *sweep, "--model", f"rawnext:{text}")
    assert "seed" in refused(capsys, *SWEEP, "--out", run, "--seed", 1)
    assert "/proc" in refused(capsys, *SWEEP, "--out", "/proc/run")
    for bad in (text, nan, stereo, tmp_path / "missing.wav"):
        assert bad.name in refused(capsys, "encrypt", bad, "--key", key, "-o", out)
    assert "text.wav" in refused(capsys, "encrypt", speech, "--key", text, "-o", out)
    assert "whole blocks" in refused(capsys, "decrypt", speech, "--key", key, "-o", out)
    assert "exists" in refused(capsys, "encrypt", speech, "--key", key, "-o", speech)
    assert ".wav" in refused(capsys, "encrypt", speech, "--key", key, "-o", tmp_path / "q.flac")
    nowhere = tmp_path / "nowhere"
    assert "nowhere" in refused(capsys, "encrypt", speech, "--key", key, "-o", nowhere / "q.wav")
    model_key = tmp_path / "three.npz"
    assert main(["keys", "draw", "--scheme", "rom", "--block", "3", "-o", str(model_key)]) == 0
    encrypt_model = ["encrypt-model", "--model", "tests.toys:raw3", "--key", model_key, "-o"]
    assert "nowhere" in refused(capsys, *encrypt_model, nowhere / "m.safetensors")
    assert "--seed" in refused(capsys, "keys", "draw", "--scheme", "rom", "--block", 3, "--index", 1, "-o", out)
    assert "dask" in refused(capsys, *toy, "--scheduler", "tcp://127.0.0.1:1")
    assert "exists" in refused(capsys, "keys", "draw", "--scheme", "rom", "--block", 3, "-o", key)
    assert "10" in refused(
        capsys, "encrypt-model", "--model", "tests.toys:raw3", "--key", key, "-o", tmp_path / "m.safetensors"
    )
    assert "thesis" in refused(capsys, "report", tmp_path / "thesis")
    assert "thesis" in refused(capsys, "ls", tmp_path / "thesis")
    assert "atlantis" in refused(capsys, "corpora", "fetch", "atlantis", tmp_path)
    assert "account" in refused(capsys, "corpora", "fetch", "voxceleb1", tmp_path)
    assert not out.exists()


def test_a_name_that_is_too_long_for_a_file_is_a_sentence(capsys):
    assert main(["keys", "show", f"{'a' * 300}.npz"]) == 2
    assert "this name is too long for a file: check the path" in capsys.readouterr().err
