"""External recognisers: what is written for them to read, what is read from them, and how they may fail."""

import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile

import pytest
import torch

from tests.narrow import of_type
from wrongkey.errors import BadInput
from wrongkey.evaluation.models.adapters.command import Command, load_command
from wrongkey.evaluation.models.protocol import Hypothesis
from wrongkey.evaluation.models.registry import open_model
from wrongkey.evaluation.private_folders import private_folder, remove_abandoned

LOUD = torch.tensor([[0.5, -2.5, 0.25], [0.0, 1e-7, -0.125]])


def python(tmp_path, body: str) -> str:
    """A command that runs `body` with the path of the WAV as `path`."""
    script = tmp_path / "my asr.py"
    script.write_text(f"import sys, time, soundfile\npath = sys.argv[-1]\n{body}\n")
    return f"{sys.executable} '{script}' --fast {{wav}}"


def test_the_command_hears_the_samples_as_they_are(tmp_path):
    body = "x, rate = soundfile.read(path, dtype='float32')\nprint(rate, soundfile.info(path).subtype)\nprint(list(x))"
    model = of_type(Command, open_model("command:" + python(tmp_path, body.replace("list(x)", "x.tolist()"))))
    assert model.external and not list(model.network.parameters()) and model.first_layer == ""
    heard = model.transcribe(LOUD)
    assert heard == [Hypothesis(f"16000 FLOAT {row.tolist()}") for row in LOUD]


def test_the_query_is_the_waveform():
    model = load_command("true {wav}")
    torch.testing.assert_close(model.segments(model.front_end(LOUD[0])), LOUD[:1])
    assert model.transcribe(LOUD[:, :0]) == [Hypothesis(""), Hypothesis("")]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("print('one', file=sys.stderr); sys.exit('no model, get one')", "exit code 1: no model, get one"),
        ("sys.exit(3)", "exit code 3: it wrote nothing"),
    ],
)
def test_a_failing_command_is_named(tmp_path, body, said):
    model = load_command(python(tmp_path, body))
    with pytest.raises(BadInput, match=said) as caught:
        model.transcribe(LOUD)
    assert "my asr.py' --fast" in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_speech_that_a_killed_process_left_goes_with_the_next_sweep(tmp_path, monkeypatch):
    """As workers are that Ctrl-C stops; what is in use stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    script = tmp_path / "kills.py"
    script.write_text("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n")
    code = "import torch; from wrongkey.evaluation.models.adapters.command import load_command; "
    code += f"load_command({f'{sys.executable} {script} {{wav}}'!r}).transcribe(torch.ones(1, 3))"
    killed = subprocess.run([sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)})
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.glob("*/0.wav")
    assert left.stat().st_size and stat.S_IMODE(left.parent.stat().st_mode) == 0o700
    with private_folder() as in_use:
        os.utime(in_use, (0, 0))
        os.utime(left.parent, (0, 0))
        remove_abandoned()
        assert [path for path in tmp_path.iterdir() if path.is_dir()] == [in_use]


def test_a_slow_command_is_stopped(tmp_path):
    model = load_command(python(tmp_path, "time.sleep(60)"))
    model.timeout = 0.2
    with pytest.raises(BadInput, match=r"longer than 0\.2 s"):
        model.transcribe(LOUD)


def test_no_shell_runs_it(tmp_path):
    model = load_command(f"echo {{wav}} ; touch {tmp_path}/made")
    assert "; touch" in model.transcribe(LOUD[:1])[0].text
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("", "has no {wav}"),
        ("my-asr", "has no {wav}"),
        ("no-such-recogniser-here {wav}", "'no-such-recogniser-here' is not there"),
        ("my-asr '{wav}", "cannot be split"),
    ],
)
def test_unusable_commands_are_refused(place, said):
    with pytest.raises(BadInput, match=said):
        open_model(f"command:{place}")


def test_a_command_that_removes_its_file_is_no_full_disk() -> None:
    assert load_command("rm {wav}").transcribe(torch.ones(1, 3))[0].text == ""


def test_where_no_temporary_file_can_be_written_the_model_is_not_blamed(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp', '/var/tmp']")

    monkeypatch.setattr("tempfile.gettempdir", none)
    with pytest.raises(BadInput, match=r"No usable temporary directory found in .*: make room in one, or name another"):
        load_command("true {wav}").transcribe(torch.ones(1, 3))
