"""How many trials attacks get, the code of schemes, and the keystream."""

import json
import sys
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch

from wrongkey.attacks.base import AttackDefaults, Case, CompleteAttack, Recovery
from wrongkey.attacks.board import costs, keystream, running
from wrongkey.attacks.board.cells import planned_cells
from wrongkey.attacks.board.entries import open_entry
from wrongkey.attacks.board.folder import BoardFolder
from wrongkey.attacks.board.keystream import encrypt_samples
from wrongkey.attacks.board.protocol import HERE, open_protocol
from wrongkey.attacks.board.running import How, run_cell
from wrongkey.attacks.board.schedule import Schedule
from wrongkey.attacks.harness.config import AttackConfig
from wrongkey.attacks.harness.target import Target
from wrongkey.errors import BadInput
from wrongkey.keys import SeedKey, correct_key

MINE = """from dataclasses import replace
from wrongkey.keys import get_scheme

def scheme():
    return replace(get_scheme("flipping"), name="{name}")
"""


def asked(tmp_path, **attacks):
    """The smoke protocol with other settings of `[attacks]`."""
    text = (HERE / "smoke.toml").read_text(encoding="utf-8").replace('name = "smoke"', 'name = "mine"')
    for name, value in {"trials": 30, "fewest": 10, "costly_after": 60, **attacks}.items():
        kept = [line for line in text.splitlines() if not line.startswith(f"{name} = ")]
        place = kept.index("[attacks]") + 1
        text = "\n".join([*kept[:place], f"{name} = {value}", *kept[place:]])
    path = tmp_path / "mine.toml"
    # the reference has trials of its own, which the loop above took away
    path.write_text(text + "\ntrials = 2\n", encoding="utf-8")
    return open_protocol(str(path))


def test_trials_that_fail_keep_no_other_attack_from_running_and_the_shortened_are_kept(tmp_path, monkeypatch):
    protocol, folder = asked(tmp_path, where_needed='["polyphase"]'), BoardFolder(tmp_path / "board")
    folder.claim_board(protocol)
    (cell,) = planned_cells(protocol, [open_entry("rom")], [20])
    ran = []

    def failing(config, names, out, *, schedule, **_):
        ran.append(names)
        schedule.shortened[names[0]] = f"{names[0]}: 1 of 30 trials."
        raise BadInput(f"A trial of {names[0]} failed.")

    monkeypatch.setattr(running, "attack_config", lambda *_: AttackConfig("bundled", block=20, seconds=(5.0,)))
    monkeypatch.setattr(running, "run_attacks", failing)
    monkeypatch.setattr(running, "_not_needed", lambda *_: [])
    (error,) = run_cell(protocol, None, folder, cell, ("attacks",), How())  # type: ignore[arg-type]
    found = folder.cell(cell, protocol)
    first, last = ran
    assert str(error) == f"A trial of {first[0]} failed." and last == ["polyphase"]
    assert found is not None and set(found["shortened"]) == {first[0], "polyphase"}
    assert found["parts"]["attacks"] == {"state": "not run", "why": str(error)}


def test_what_a_users_scheme_raises_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "raising.py").write_text(MINE.format(name="raising"))
    protocol, folder = asked(tmp_path), BoardFolder(tmp_path / "board")
    folder.claim_board(protocol)
    (cell,) = planned_cells(protocol, [open_entry("raising:scheme")], [20])

    def raising(*_):
        raise ZeroDivisionError("by zero")

    monkeypatch.setitem(running.RUN, "cost", raising)
    (error,) = run_cell(protocol, None, folder, cell, ("cost",), How())  # type: ignore[arg-type]
    assert str(error) == "The scheme raising:scheme failed (ZeroDivisionError: by zero): mend its code."
    monkeypatch.setattr(running, "countable", raising)
    with pytest.raises(BadInput, match="The scheme raising:scheme failed"):
        running.nominal(cell)


@pytest.fixture
def opened(monkeypatch):
    """Opens a scheme from a folder, as a process does that has imported nothing of it."""

    def open_in(folder, spec):
        monkeypatch.chdir(folder)
        with monkeypatch.context() as patched:
            patched.syspath_prepend(folder)
            before = set(sys.modules)
            source = open_entry(spec).source
            for name in set(sys.modules) - before:
                del sys.modules[name]
        return source

    return open_in


def code(folder, **files):
    """A folder with these modules; `__` stands for a folder."""
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_the_hash_is_that_of_the_code(tmp_path, opened):
    """Files of one name in two folders: the contents alone tell them apart."""
    folders = [code(tmp_path / name, entered=MINE.format(name=name)) for name in ("one", "two")]
    one, two = (opened(folder, "entered:scheme") for folder in folders)
    assert one["files"] == two["files"] == ["entered.py"] and one["hash"] != two["hash"]
    assert opened(folders[0], "entered:scheme") == one


def test_every_file_of_a_package_counts_imported_or_not(tmp_path, opened):
    files = {"pkg__init": "", "pkg__a__core": "x = 1", "pkg__b__core": "x = 1", "pkg__own": MINE.format(name="own")}
    first = opened(code(tmp_path / "one", **files), "pkg.own:scheme")
    assert first["files"] == ["pkg/a/core.py", "pkg/b/core.py", "pkg/init.py", "pkg/own.py"]
    for changed in ("pkg__a__core", "pkg__b__core"):
        other = opened(code(tmp_path / changed, **files | {changed: "x = 2"}), "pkg.own:scheme")
        assert other["files"] == first["files"] and other["hash"] != first["hash"]


def test_a_module_counts_with_those_beside_it_that_it_imports(tmp_path, opened):
    files = {"mine": f"import helping\n{MINE.format(name='mine')}", "helping": "import far", "far": "", "unused": ""}
    assert opened(code(tmp_path / "one", **files), "mine:scheme")["files"] == ["far.py", "helping.py", "mine.py"]


def test_a_folder_beside_a_module_counts_without_being_a_package(tmp_path, opened):
    files = {"plain": f"import folder.core\n{MINE.format(name='plain')}", "folder__core": "x = 1", "folder__more": ""}
    first = opened(code(tmp_path / "one", **files), "plain:scheme")
    assert first["files"] == ["folder/core.py", "folder/more.py", "plain.py"]
    assert opened(code(tmp_path / "two", **files | {"folder__core": "x = 2"}), "plain:scheme")["hash"] != first["hash"]


@pytest.mark.parametrize("name", ["json", "pytest"])
def test_a_folder_with_the_name_of_what_is_installed_does_not_count(tmp_path, opened, name):
    """Python imports the one of the standard library, or the installed one, before a folder without __init__.py."""
    files = {"clear": f"import {name}\n{MINE.format(name='clear')}", f"{name}__core": "x = 1"}
    assert opened(code(tmp_path / "one", **files), "clear:scheme")["files"] == ["clear.py"]


def test_hidden_folders_and_folders_named_as_modules_do_not_count(tmp_path, opened):
    files = {"hides": f"import inner.core\n{MINE.format(name='hides')}", "inner__core": "x = 1"}
    folder = code(tmp_path / "one", **files, **{"inner__.kept__core": "x = 0"})
    (folder / "inner" / "x.py").mkdir()
    assert opened(folder, "hides:scheme")["files"] == ["hides.py", "inner/core.py"]


def test_what_a_package_beside_a_module_imports_counts_too(tmp_path, opened):
    files = {"deep": f"import helps\n{MINE.format(name='deep')}", "helps__a": "import further"}
    files |= {
        "further": "from last.one import x",
        "last__one": "x = 1",
        "unused": "",
        "helps__template": "{{ name }} x",
    }
    names = ["deep.py", "further.py", "helps/__init__.py", "helps/a.py", "helps/template.py", "last/one.py"]
    folder = code(tmp_path / "one", **files)
    (folder / "helps" / "__init__.py").touch()
    assert opened(folder, "deep:scheme")["files"] == names


def test_a_module_that_is_installed_does_not_count_what_its_neighbours_import(tmp_path, monkeypatch, opened):
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / "site"))
    files = {"lone": f"import near\n{MINE.format(name='lone')}", "near__x": "import far"}
    folder = code(tmp_path / "site", **files | {"far": ""})
    assert "far.py" not in opened(folder, "lone:scheme")["files"]


def test_options_that_change_speech_count_with_their_code():
    assert "evaluation/windows.py" in open_entry("rom+windows").source["files"]
    assert "evaluation/preparation.py" in open_entry("rom+lpc=16").source["files"]


def test_schemes_of_the_family_share_their_code():
    assert open_entry("rom").source == open_entry("flipping+turns=2").source
    assert "keys/schemes.py" in open_entry("rom").source["files"]


def test_a_scheme_that_cannot_be_loaded_is_one_sentence():
    with pytest.raises(BadInput, match="Scheme 'nowhere:scheme' cannot be imported"):
        open_entry("nowhere:scheme")


def test_the_cells_say_what_does_not_apply():
    protocol = open_protocol("smoke")
    names = ("rom", "rom+nonce", "rom+turns=2", "rom+windows", "rom+lpc=16")
    cells = {cell.name: cell for cell in planned_cells(protocol, [open_entry(name) for name in names], [20, 10])}
    assert list(cells)[:2] == ["rom-m010", "rom-m020"]
    assert (cells["rom-m010"].model, dict(cells["rom-m010"].obstacles)) == ("asv-raw10", {})
    assert cells["rom-m020"].model is None and set(cells["rom-m020"].obstacles) == {"strength"}
    assert "one matrix after another" in cells["rom-nonce-m010"].why_no_model
    assert set(cells["rom-turns-2-m010"].obstacles) == {"leaks"}
    assert set(cells["rom-windows-m020"].obstacles) == {"attacks", "strength", "leaks", "cost"}
    assert set(cells["rom-lpc-16-m010"].obstacles) == {"leaks"}


def test_a_cell_of_which_nothing_applies_is_recorded_with_its_reason(tmp_path):
    protocol, folder = open_protocol("smoke"), BoardFolder(tmp_path / "board")
    folder.claim_board(protocol)
    (cell,) = planned_cells(protocol, [open_entry("rom+windows")], [20])
    assert run_cell(protocol, None, folder, cell, ("attacks", "cost"), How()) == []  # type: ignore[arg-type]
    found = folder.cell(cell, protocol)
    assert found is not None and found["parts"]["attacks"]["state"] == "does not apply"
    assert found["parts"]["attacks"]["why"].startswith("This scheme sends the windows")


def test_a_folder_of_another_protocol_is_not_planned_or_continued(tmp_path):
    protocol, other, folder = open_protocol("smoke"), asked(tmp_path), BoardFolder(tmp_path / "board")
    folder.claim_board(protocol)
    (cell,) = planned_cells(protocol, [open_entry("rom+windows")], [20])
    run_cell(protocol, None, folder, cell, (), How())  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="holds the board of the protocol smoke"):
        folder.check_claim(other)
    with pytest.raises(BadInput, match="was made under the protocol smoke"):
        folder.cell(cell, other)


@pytest.fixture
def begun(tmp_path):
    """A protocol, a folder, and a cell that has its record and nothing else."""
    protocol, folder = open_protocol("smoke"), BoardFolder(tmp_path / "board")
    folder.claim_board(protocol)
    (cell,) = planned_cells(protocol, [open_entry("rom")], [10])
    run_cell(protocol, None, folder, cell, (), How())  # type: ignore[arg-type]
    return protocol, folder, cell


@pytest.mark.parametrize(("changed", "said"), [({"block": 5}, "block 5"), ({"model": "other"}, "model other")])
def test_the_record_of_another_block_size_or_model_is_not_continued(begun, changed, said):
    protocol, folder, cell = begun
    path = folder.path / "cells" / "rom-m010.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(
        BadInput, match=rf"rom-m010\.json is of the {said}, and .*: delete that file and .*rom-m010, or"
    ):
        folder.cell(cell, protocol)


def test_attacks_are_run_again_where_the_process_of_a_trial_died(begun, monkeypatch):
    protocol, folder, cell = begun
    ran = []
    monkeypatch.setitem(running.RUN, "attacks", lambda *_: ran.append("attacks"))
    for dead in (False, True, False):
        monkeypatch.setattr(Schedule, "asks_again", lambda *_, dead=dead: dead)
        run_cell(protocol, None, folder, cell, ("attacks",), How())  # type: ignore[arg-type]
    assert ran == ["attacks"] * 2


def test_results_without_their_record_are_not_taken_for_those_of_this_code(begun):
    protocol, folder, cell = begun
    (folder.path / "cells" / "rom-m010.json").unlink()
    assert folder.cell(cell, protocol) is None
    (folder.run_folder(cell) / "attacks").mkdir(parents=True)
    assert folder.cell(cell, protocol) is None
    (folder.run_folder(cell) / "attacks" / "suite.json").write_text("{}")
    with pytest.raises(BadInput, match=r"runs/rom-m010 holds results, and .* is missing: delete that folder, or"):
        folder.cell(cell, protocol)


def test_a_keystream_is_undone_by_itself_and_by_no_other_nonce():
    plain = torch.sin(torch.arange(4000, dtype=torch.float64)) * 0.3
    secret = encrypt_samples(plain, b"k" * 32, b"n" * 16)
    assert torch.allclose(encrypt_samples(secret, b"k" * 32, b"n" * 16), plain, atol=2**-15)
    assert not torch.allclose(encrypt_samples(secret, b"k" * 32, b"m" * 16), plain, atol=0.1)
    assert abs(float(torch.corrcoef(torch.stack([plain, secret]))[0, 1])) < 0.1


@pytest.mark.parametrize("spared", [[], ["polyphase"]])
def test_costly_attacks_come_last_and_only_where_they_are_needed(spared, tmp_path, monkeypatch):
    protocol, folder = asked(tmp_path, where_needed='["polyphase"]'), BoardFolder(tmp_path / "board")
    folder.claim_board(protocol)
    (cell,) = planned_cells(protocol, [open_entry("rom")], [20])
    ran, baselines = [], set()

    def runs(config, names, out, *, baseline, **_):
        ran.append(names)
        baselines.add(baseline)

    monkeypatch.setattr(running, "attack_config", lambda *_: AttackConfig("bundled", block=20, seconds=(5.0,)))
    monkeypatch.setattr(running, "run_attacks", runs)
    monkeypatch.setattr(running, "_not_needed", lambda *_: spared)
    assert run_cell(protocol, None, folder, cell, ("attacks",), How()) == []  # type: ignore[arg-type]
    found = folder.cell(cell, protocol)
    first = ["chosen-plaintext", "public-model", "sign-chain"]
    assert ran == [first, *([] if spared else [["polyphase"]])]
    assert found is not None and found["left_out"] == spared
    assert baselines == {protocol.content.scoring.baseline}


@pytest.mark.parametrize("scheme", ["rom", "rom+nonce", "rom+turns=2"])
def test_a_key_is_drawn_before_the_time_of_a_user_begins(tmp_path, monkeypatch, scheme):
    drawn = []

    def noted(draw):
        def drawing(*arguments, **settings):
            drawn.append(draw)
            return draw(*arguments, **settings)

        return drawing

    def timed(work, repeats):
        before = len(drawn)
        for _ in range(repeats):
            work()
        assert len(drawn) == before
        return 1.0

    monkeypatch.setattr(costs, "correct_key", noted(correct_key))
    monkeypatch.setattr(SeedKey, "from_seed", noted(SeedKey.from_seed))
    monkeypatch.setattr(costs, "timed", timed)
    target = Target(AttackConfig("bundled", scheme=scheme, block=4), tmp_path)
    assert costs.cost_of(target, 3) == {"owner_seconds": None, "user_seconds": 1.0, "data_factor": 1.0} and drawn


class Answers(AttackDefaults):
    """An attack that returns a matrix, or raises."""

    name = "answers"
    threat = SimpleNamespace(needs=frozenset({"ciphertext"}))

    def __init__(self, answer, claims=False):
        self.answer, self.claims_success = answer, claims

    def run(self, evidence):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return Recovery(self.answer, self.claims_success)


@pytest.mark.parametrize(
    ("attack", "row"),
    [
        (Answers(np.eye(4), np.bool_(True)), {"claimed": True, "failed": ""}),
        (Answers(np.eye(5)), {"claimed": False, "failed": "no orthogonal matrix of 4 x 4", "snr": None}),
        (Answers(SystemExit(3)), {"claimed": False, "failed": "SystemExit", "snr": None}),
        (Answers(BadInput("Too little.")), {"claimed": False, "failed": "", "snr": None}),
    ],
)
def test_an_attack_on_the_reference_row_may_do_what_it_may_do_in_a_cell(tmp_path, attack, row):
    target = Target(AttackConfig("bundled", scheme="rom", block=4, seconds=(1.0,)), tmp_path)
    found = keystream.tried(keystream.Attempt(target, attack, Case(seconds=1.0)), 0)
    assert row["failed"] in found["failed"] and bool(row["failed"]) == bool(found["failed"])
    assert found["claimed"] is row["claimed"] and ("snr" not in row or found["snr"] is None)
    json.dumps(found)


def test_what_an_attack_on_the_reference_decrypts_is_measured_for_the_ear(tmp_path):
    target = Target(AttackConfig("bundled", scheme="rom", block=4, seconds=(1.0,)), tmp_path)
    found = keystream.tried(keystream.Attempt(target, cast(CompleteAttack, Answers(np.eye(4))), Case(seconds=1.0)), 0)
    assert found["snr"] < 3 and 0.1 < found["stoi"] < 0.6


@pytest.fixture
def reference(tmp_path, monkeypatch):
    """Runs the reference of the smoke protocol, whose attacks do what they are told; counts its trials."""
    protocol, folder = open_protocol("smoke"), BoardFolder(tmp_path / "board")
    folder.claim_board(protocol)
    config = SimpleNamespace(scheme="rom", block=10)
    attack = SimpleNamespace(name="mine", threat=SimpleNamespace(needs={"ciphertext"}))
    one = SimpleNamespace(attack=attack, target=SimpleNamespace(config=config), case=Case(seconds=5.0))
    monkeypatch.setattr(keystream, "attempts", lambda *_: [one])

    def run(outcome):
        """`outcome`: why the first trial fails, what is raised in its place, or what stops the command after it."""
        ran = []

        def tried(attempt, trial):
            if isinstance(outcome, BadInput) or (isinstance(outcome, KeyboardInterrupt) and trial):
                raise outcome
            ran.append(trial)
            row = {"attack": "mine", "scheme": "rom", "block": 10, "seconds": 5.0, "trial": trial, "cpu_seconds": 1.0}
            return row | {"failed": outcome if trial == 0 and isinstance(outcome, str) else ""}

        monkeypatch.setattr(keystream, "tried", tried)
        victims = SimpleNamespace(recordings="synthetic")
        failed = keystream.run_keystream(protocol, SimpleNamespace(victims=victims), folder, How())  # type: ignore
        return failed, ran, json.loads((folder.path / "cells" / "aes-256-ctr.json").read_text())

    return run


def test_failed_trials_of_the_reference_are_tried_again(reference):
    failed, first, record = reference("It broke down.")
    assert not failed and record["complete"] and len(record["trials"]) == len(first)
    failed, again, record = reference("")
    assert again == [0] and len(record["trials"]) == len(first) and not any(row["failed"] for row in record["trials"])
    assert reference("")[1] == []


def test_a_reference_that_fails_keeps_no_cell_from_running(reference):
    (error,), _, record = reference(BadInput("No speech."))
    assert (str(error), record["why"], record["complete"]) == ("No speech.", "No speech.", False)
    _, ran, record = reference("")
    assert ran and (record["why"], record["complete"]) == ("", True)


def test_a_reference_whose_retry_fails_is_not_complete(reference):
    reference("It broke down.")
    _, _, record = reference(BadInput("No speech."))
    assert (record["why"], record["complete"]) == ("No speech.", False)


def test_a_retry_of_the_reference_forgets_why_the_one_before_failed(reference, tmp_path):
    reference(BadInput("No speech."))
    with pytest.raises(KeyboardInterrupt):  # after the first trial
        reference(KeyboardInterrupt())
    record = json.loads((tmp_path / "board" / "cells" / "aes-256-ctr.json").read_text())
    assert (record["why"], record["complete"], len(record["trials"])) == ("", False, 1)


def test_a_reference_made_by_other_code_is_not_continued(reference, tmp_path):
    reference("")
    path = tmp_path / "board" / "cells" / "aes-256-ctr.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"source": record["source"] | {"hash": "0" * 64}}))
    with pytest.raises(BadInput, match=r"aes-256-ctr\.json was made by other code of the cipher, .*: delete that file"):
        reference("")
