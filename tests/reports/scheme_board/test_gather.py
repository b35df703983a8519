"""The rows of a board, their order, and what may be joined."""

import json
import re

import pytest

from tests.reports.attack_folders import ABOUT, random_keys, rows, write_attacks, write_scores
from tests.reports.scheme_board.board_folders import (
    CONTENT,
    COST,
    write_cell,
    write_keystream,
    write_protocol,
    write_record,
)
from tests.reports.strength_folders import write_strength
from wrongkey.errors import BadInput
from wrongkey.evaluation.run_folder.adversaries import ADVERSARIES
from wrongkey.evaluation.run_folder.board_cell import digest
from wrongkey.evaluation.run_folder.strength import strength_content
from wrongkey.reports.scheme_board.gather import FILE, gather, merged, read_board
from wrongkey.reports.scheme_board.schema import Measured, weakest
from wrongkey.reports.scheme_board.table import claims_words, like, result
from wrongkey.reports.scheme_board.write import write_board


@pytest.fixture
def folder(tmp_path):
    return write_protocol(tmp_path / "board")


def cell(row, adversary):
    return next(one for one in row.cells if one.adversary == adversary)


def test_a_broken_scheme_has_its_cheapest_case_and_the_weakest_adversary(folder):
    write_cell(folder, seconds=(25, 5))
    (row,) = gather(folder).rows
    heard = cell(row, "eavesdropper")
    assert (row.weakest, heard.state) == ("eavesdropper", "broken")
    assert (heard.case.attack, heard.case.seconds, heard.case.successes, heard.case.trials) == ("order", 5, 12, 12)
    assert heard.case.cpu_seconds == 2.0 and 0.7 < heard.case.share_low < 0.8 and heard.case.share_high == 1.0
    assert "5 s of speech" in heard.words and "no false claim" in heard.words


def test_no_cell_is_empty_and_what_is_missing_says_why(folder):
    write_record(folder, "rom", parts={"strength": {"state": "does not apply", "why": "There is no model."}})
    (row,) = gather(folder).rows
    assert [one.adversary for one in row.cells] == [one.name for one in ADVERSARIES]
    assert {one.words for one in row.cells} == {"not run"} and row.weakest is None
    assert row.effective_bits.words == "does not apply: there is no model"
    assert row.best_key.words.startswith("does not apply: the protocol has no model")
    assert row.leaks == row.linkability.words == "not run"


def test_an_adversary_without_a_model_to_ask_has_nothing_to_attack(folder):
    write_cell(folder)
    (row,) = gather(folder).rows
    assert cell(row, "unauthorised user").state == "does not apply"
    assert cell(row, "unauthorised user").words.startswith("does not apply: speech alone was attacked")


def test_speech_alone_tells_nothing_of_adversaries_who_have_a_model(folder):
    write_cell(folder, broken=False, claims=False)
    (row,) = gather(folder).rows
    for adversary in ("provider", "provider of a public model", "insider with names"):
        assert cell(row, adversary).state == "not run" and cell(row, adversary).case is None
        assert cell(row, adversary).words == "not run: the protocol has no model whose blocks have M = 4"
    assert result(row) == "not shown to break, of speech alone"


def test_a_break_of_speech_alone_holds_for_those_who_have_a_model(folder):
    write_cell(folder, broken=True)
    assert cell(gather(folder).rows[0], "provider").state == "broken"


def test_rows_of_speech_alone_follow_those_with_a_model(folder):
    write_cell(folder, "flipping", broken=False, claims=False)
    write_cell(folder, "rom", model="toy", why_no_model="")
    assert [row.scheme for row in gather(folder).rows] == ["rom", "flipping"]


def test_amounts_that_differ_by_less_than_a_block_are_equal(folder):
    write_cell(folder, "rom", 3, seconds=(1.999875,))
    write_cell(folder, "rom", 4, seconds=(2,))
    write_cell(folder, "flipping", 4, seconds=(2,))
    assert [(row.scheme, row.block) for row in gather(folder).rows] == [("rom", 3), ("rom", 4), ("flipping", 4)]


def test_what_was_not_tried_is_said_of_the_adversary_who_could(folder):
    write_cell(folder, broken=False, claims=False)
    (row,) = gather(folder).rows
    heard, room = cell(row, "eavesdropper"), cell(row, "someone in the room")
    assert heard.case == room.case and like(row, room) == ""
    assert "Not tried: told" in room.words and "Not tried" not in heard.words


def test_a_quicker_break_that_needs_more_is_shown_too(folder):
    quick = [{**row, "seconds": 0.5} for row in rows("told", "9 known blocks", [0.01] * 12)]
    slow = rows("order", "5 s of ciphertext", [0.01] * 12, seconds=5.0, had_seconds=5)
    write_attacks(folder / "runs" / write_record(folder), slow + quick + random_keys())
    (row,) = gather(folder).rows
    room, heard = cell(row, "someone in the room"), cell(row, "eavesdropper")
    assert room.case.attack == "order" and room.also.startswith("told: ") and f"Also {room.also}" in room.words
    assert heard.also == "" and like(row, room) == ""


@pytest.mark.parametrize(("near", "low", "high"), [(40, 0.0725, 0.1336), (0, 0.0, 0.0075)])
def test_guessing_has_the_share_of_keys_and_its_interval(folder, near, low, high):
    """Clopper and Pearson's interval, of no key near plain the rule of three."""
    run = folder / "runs" / write_record(folder, model="toy", why_no_model="")
    write_attacks(run, random_keys(), model="toy")
    write_scores(run, 8.0, [8.5] * near + [45.0] * (400 - near))
    case = cell(gather(folder).rows[0], "unauthorised user").case
    assert (case.attack, case.successes, case.trials) == ("incorrect-keys", near, 400)
    assert (case.share_low, case.share_high) == pytest.approx((low, high), abs=1e-4)


def test_of_an_error_too_coarse_for_guessing_no_share_is_given(folder):
    run = folder / "runs" / write_record(folder, model="toy", why_no_model="")
    write_attacks(run, random_keys(), model="toy")
    write_scores(run, 8.0, [8.5] * 40 + [45.0] * 360, trials=(6, 6))
    case = cell(gather(folder).rows[0], "unauthorised user").case
    assert (case.successes, case.trials, case.share_low, case.share_high) == (None, 400, None, None)


def test_wrong_claims_are_counted_among_claims(folder):
    write_cell(folder, broken=False, claims=[True] * 2 + [False] * 10)
    heard = cell(gather(folder).rows[0], "eavesdropper")
    assert heard.words.endswith("2 of 2 claims wrong") and (heard.case.claimed, heard.case.claimed_wrong) == (2, 2)


def test_failures_in_enough_trials_are_not_shown_to_break(folder):
    write_cell(folder, broken=False, claims=False)
    (row,) = gather(folder).rows
    assert cell(row, "eavesdropper").state == "not shown to break" and row.weakest is None


@pytest.mark.parametrize(("broken", "wrong"), [(True, 0), (False, 12)])
def test_claims_without_success_are_counted_as_wrong(folder, broken, wrong):
    write_cell(folder, broken=broken, claims=True)
    (row,) = gather(folder).rows
    (tried,) = row.attacks
    assert (tried.claimed, tried.claimed_wrong, tried.trials) == (12, wrong, 12)


@pytest.mark.parametrize(("claims", "wrong"), [("use", 4), ("key", 10)])
def test_a_claim_of_use_is_right_where_the_model_answers_as_for_the_authorised_user(folder, monkeypatch, claims, wrong):
    monkeypatch.setitem(ABOUT["learned"], "claims", claims)
    run = folder / "runs" / write_record(folder, model="toy", why_no_model="")
    errors = [36.0, 37.2, 30.0, 37.9, 38.1, 35.0, 44.0, 49.0, 36.9, 45.0]
    learned = rows("learned", "as it is", [1.4] * 10, error=errors, believed=True)
    write_attacks(run, learned + random_keys(), model="toy")
    write_scores(run, 12.0, [45.0] * 400, correct=37.0)  # speech is changed before encryption: of use, little is left
    (tried,) = gather(folder).rows[0].attacks
    assert (tried.attack, tried.claimed, tried.claimed_wrong) == ("learned", 10, wrong)


def test_an_attack_that_cannot_tell_makes_no_claims(folder):
    write_cell(folder, claims=None)
    (row,) = gather(folder).rows
    assert row.attacks[0].claimed is None and cell(row, "eavesdropper").case.claimed_wrong is None


def test_what_nobody_breaks_comes_first_then_what_takes_more_ciphertext(folder):
    write_cell(folder, "rom", 4, seconds=(5,))
    write_cell(folder, "rom", 8, seconds=(25,))
    write_cell(folder, "flipping", 4, broken=False, claims=False)
    write_record(folder, "shuffling", 4)
    write_keystream(folder)
    found = gather(folder).rows
    order = [("aes-256-ctr", None), ("flipping", 4), ("rom", 8), ("rom", 4), ("shuffling", 4)]
    assert [(row.scheme, row.block) for row in found] == order


def test_the_reference_row_stands(folder):
    write_keystream(folder)
    board = gather(folder)
    (row,) = board.rows
    assert row.reference and row.weakest is None
    assert cell(row, "eavesdropper").words == "not shown to break: 0 of 12 [0, 24.2 %], 0 claims of success"
    assert cell(row, "unauthorised user").state == "does not apply"
    assert not any("does not stand" in caution for caution in board.cautions)


@pytest.mark.parametrize("found", [{"claimed": True}, {"snr": 40.0}, {"stoi": 0.97}, {"claimed": True, "snr": 40.0}])
def test_a_reference_row_that_is_claimed_or_broken_does_not_stand(folder, found):
    write_keystream(folder, **found)
    assert any("does not stand" in caution for caution in gather(folder).cautions)


def test_speech_of_the_reference_is_decrypted_as_that_of_a_scheme(folder):
    """It is understood although its SNR is low."""
    write_keystream(folder, snr=8.0, stoi=0.97)
    assert cell(gather(folder).rows[0], "eavesdropper").state == "broken"


def test_a_reference_that_failed_says_why(folder):
    write_keystream(folder)
    path = folder / "cells" / "aes-256-ctr.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"complete": False, "why": "No speech."}))
    assert gather(folder).rows[0].notes == ["The attacks are unfinished.", "reference failed: No speech."]


def test_one_decryption_that_is_claimed_is_enough(folder):
    write_keystream(folder)
    path = folder / "cells" / "aes-256-ctr.json"
    record = json.loads(path.read_text())
    record["trials"][0] |= {"claimed": True, "snr": 40.0}
    path.write_text(json.dumps(record))
    board = gather(folder)
    heard = cell(board.rows[0], "eavesdropper")
    assert heard.state == "undecided" and "1 claims of success" in heard.words
    assert any("does not stand" in caution for caution in board.cautions)


def test_the_reference_is_as_bad_as_the_attack_that_breaks_it(folder):
    """Three of three trials of one attack break, and drown among 100 of another."""
    write_keystream(folder, trials=100)
    path = folder / "cells" / "aes-256-ctr.json"
    record = json.loads(path.read_text())
    record["trials"] += [{**one, "attack": "order", "snr": 40.0} for one in record["trials"][:3]]
    path.write_text(json.dumps(record))
    assert cell(gather(folder).rows[0], "eavesdropper").state == "broken"


def test_attacks_on_the_reference_that_cannot_tell_make_no_claims(folder):
    write_keystream(folder, claimed=None)
    (row,) = gather(folder).rows
    assert row.attacks[0].claimed_wrong is None and claims_words(row.attacks[0]) == "makes no claims"
    assert cell(row, "eavesdropper").words.endswith("no attack makes claims")


def test_a_board_without_its_reference_says_so(folder):
    write_cell(folder)
    assert any("reference row was not run" in caution for caution in gather(folder).cautions)


def test_two_boards_of_one_protocol_are_joined(tmp_path):
    boards = []
    for name, scheme in (("a", "rom"), ("b", "flipping")):
        folder = write_protocol(tmp_path / name)
        write_cell(folder, scheme)
        write_keystream(folder)
        write_board(gather(folder), folder)
        boards.append((folder / FILE, read_board(folder)))
    assert [row.scheme for row in merged(boards).rows] == ["aes-256-ctr", "rom", "flipping"]


def test_every_board_keeps_its_own_reference(tmp_path):
    boards = []
    for name, scheme, snr in (("a", "rom", -3.0), ("b", "flipping", -2.5), ("c", "shuffling", -2.5)):
        folder = write_protocol(tmp_path / name)
        write_cell(folder, scheme)
        write_keystream(folder, snr=snr)
        boards.append((folder / FILE, gather(folder)))
    assert [row.reference for row in merged(boards).rows] == [True, True, False, False, False]


def test_boards_of_different_protocols_are_refused(tmp_path):
    boards = []
    for name in ("a", "b"):
        folder = write_protocol(tmp_path / name, name)
        boards.append((folder / FILE, gather(folder)))
    with pytest.raises(BadInput, match=r"merge boards of one protocol only\.$"):
        merged(boards)


@pytest.mark.parametrize("name", ["protocol.json", "board.json", "cells/rom-m004.json", "cells/aes-256-ctr.json"])
def test_hashes_are_checked(folder, name):
    """Other content under the same hash, and cells of another protocol."""
    write_cell(folder)
    write_keystream(folder)
    write_board(gather(folder), folder)
    path = folder / name
    found = json.loads(path.read_text())
    if "content" in found:
        found["content"]["seed"] = 1
    else:
        found["protocol"]["hash"] = "0" * 64
    path.write_text(json.dumps(found))
    with pytest.raises(BadInput, match=f"{re.escape(str(path))} (holds a protocol toy whose|was made under the prot)"):
        read_board(folder) if name == FILE else gather(folder)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("toy", {"name": "other"}, "whose content is named 'other': it was edited"),
        ("speech-v1", {"name": "speech-v1"}, "is not the one of this name that wrongkey ships: run"),
        ("toy", {"seed": "none"}, "is none (seed is 'none' and should be a valid integer): run"),
        ("toy", {"further": 1}, "is none (it has further, which is no setting): run"),
    ],
)
def test_a_protocol_that_is_none_or_anothers_is_refused(folder, name, content, said):
    write_board(gather(folder), folder)
    content = CONTENT | content
    for path, named in ((folder / FILE, "protocol"), (folder / "protocol.json", "")):
        found = json.loads(path.read_text())
        (found[named] if named else found).update({"name": name, "hash": digest(content)})
        path.write_text(json.dumps(found | {"content": content}))
    for read in (read_board, gather):
        with pytest.raises(BadInput, match=re.escape(f"holds a protocol {name} ")) as refused:
            read(folder)
        assert said in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"{", b"5", b"\xff\xfe", b"[]", b'{"cipher": "aes-256-ctr"}'])
def test_a_broken_record_is_one_sentence(folder, content):
    (folder / "cells" / "x.json").write_bytes(content)
    with pytest.raises(BadInput, match=r"x\.json is broken .*: delete that file: the same"):
        gather(folder)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"weakest": "nobody"}, "rows.0.weakest is 'nobody'"),
        ({"weakest": None}, "should name as the weakest the first whose cell is broken (eavesdropper)"),
        ({"weakest": "provider"}, "should name as the weakest the first whose cell is broken (eavesdropper)"),
        ({"block": None}, "should have a block size if it is not the reference row, and none if it is"),
        ({"reference": True}, "should have a block size if it is not the reference row, and none if it is"),
        ({"leaks": " "}, "rows.0.leaks is ' '"),
        ({"nominal_bits": {"words": ""}}, "rows.0.nominal_bits.words is ''"),
        ({"obstacles": [["a"]]}, "rows.0.obstacles.0 is"),
        ({"strength": {"x": 1}}, "should be what strength.json holds"),
        ({"cells": []}, "rows.0.cells is"),
        ({"cost": {"user_seconds": -1.0}}, "rows.0.cost.user_seconds is -1.0"),
        ({"source": {"hash": "=1+1", "files": []}}, "rows.0.source.hash is"),
        ({"attacks": [{"seconds": -5.0}]}, "rows.0.attacks.0.seconds is -5.0"),
        ({"attacks": [{"verdict": "fine"}]}, "rows.0.attacks.0.verdict is 'fine'"),
    ],
)
def test_what_a_stranger_writes_into_a_board_is_checked(folder, changed, said):
    write_cell(folder)
    found = json.loads(gather(folder).model_dump_json())
    row = found["rows"][0]
    if "attacks" in changed:
        changed = {"attacks": [row["attacks"][0] | changed["attacks"][0]]}
    row |= changed
    (folder / FILE).write_text(json.dumps(found))
    with pytest.raises(BadInput, match=re.escape(said)) as refused:
        read_board(folder)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("changed", [{"identity": {"scheme": "flipping"}}, {"setting": {"block_size": 8}}])
def test_the_run_folder_of_another_cell_is_refused(folder, changed):
    write_cell(folder)
    path = folder / "runs" / "rom-m004" / "attacks" / "suite.json"
    suite = json.loads(path.read_text())
    path.write_text(json.dumps(suite | {name: suite.get(name, {}) | of for name, of in changed.items()}))
    with pytest.raises(BadInput, match=r"runs/rom-m004 holds results of .*, and .*rom-m004\.json is of rom at M = 4: "):
        gather(folder)


def test_the_sweep_of_another_cell_is_refused(folder):
    name = write_record(folder, model="toy", why_no_model="")
    write_scores(folder / "runs" / name, 8.0, [45.0] * 4, manifest={"config": {"scheme_spec": "flipping"}})
    with pytest.raises(BadInput, match=r"runs/rom-m004 holds results of flipping at M = 4, and"):
        gather(folder)


@pytest.mark.parametrize("made", ["yesterday", "2026-11-27\n<b>", "2026-11-27T12:00"])
def test_the_date_of_a_board_is_a_date(folder, made):
    found = json.loads(gather(folder).model_dump_json())
    (folder / FILE).write_text(json.dumps(found | {"made": made}))
    with pytest.raises(BadInput, match="made is '"):
        read_board(folder)


@pytest.mark.parametrize("changed", [{"made": "yesterday"}, {"scheme": ""}, {"scheme": " "}])
def test_a_record_that_no_board_could_hold_is_one_sentence(folder, changed):
    path = folder / "cells" / f"{write_record(folder)}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(BadInput, match=r"rom-m004\.json is broken"):
        gather(folder)


def test_words_that_are_a_path_and_nothing_else_are_one_sentence(folder):
    write_cell(folder)
    found = json.loads(gather(folder).model_dump_json())
    found["rows"][0]["leaks"] = "/ "
    (folder / FILE).write_text(json.dumps(found))
    with pytest.raises(BadInput, match=r"board\.json cannot be shown .* \(rows\.0\.leaks is ' ' .*: make it"):
        read_board(folder)


def test_a_record_whose_words_are_a_path_has_the_remedy_of_a_record(folder):
    write_record(folder, block=4)
    path = folder / "cells" / "rom-m004.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model": "toy", "scheme": "/ "}))
    with pytest.raises(BadInput, match=r"rom-m004\.json .* \(scheme is ' ' .*: delete that file and the folder of its"):
        gather(folder)


@pytest.mark.parametrize(
    "changed",
    [{"cipher": " "}, *({"trials": [one]} for one in ({"attack": ""}, {"scheme": " "}, {"seconds": -5.0}))],
)
def test_a_reference_that_no_board_could_hold_is_one_sentence(folder, changed):
    write_keystream(folder)
    path = folder / "cells" / "aes-256-ctr.json"
    record = json.loads(path.read_text())
    if "trials" in changed:
        changed = {"trials": [record["trials"][0] | changed["trials"][0]]}
    path.write_text(json.dumps(record | changed))
    with pytest.raises(BadInput, match=r"aes-256-ctr\.json is broken \(.*\): delete that file: the same") as refused:
        gather(folder)
    assert "\n" not in str(refused.value)


def test_names_of_a_strangers_board_are_printable(folder):
    write_cell(folder)
    found = json.loads(gather(folder).model_dump_json())
    found["rows"][0]["label"] = "mine\x1b[31m"
    (folder / FILE).write_text(json.dumps(found))
    assert "\x1b" not in read_board(folder).rows[0].label


def test_different_results_of_one_scheme_are_refused_and_equal_ones_kept_once(tmp_path):
    boards = []
    for name, broken in (("a", True), ("b", True), ("c", False)):
        folder = write_protocol(tmp_path / name)
        write_cell(folder, broken=broken)
        boards.append((folder / FILE, gather(folder)))
    assert len(merged(boards[:2]).rows) == 1
    with pytest.raises(BadInput, match=r"different results of rom at M = 4: leave one of them out\.$"):
        merged(boards)


def test_other_code_of_a_scheme_is_another_entry(tmp_path):
    boards = []
    for code in ("c" * 64, "d" * 64):
        folder = write_protocol(tmp_path / code[:1])
        write_cell(folder, code=code)
        boards.append((folder / FILE, gather(folder)))
    assert len(merged(boards).rows) == 2


def test_a_broken_board_is_one_sentence(folder, tmp_path):
    with pytest.raises(BadInput, match=r"holds no board\.json"):
        read_board(folder)
    (folder / FILE).write_text(json.dumps({"format": "wrongkey-board/1", "rows": 5}))
    with pytest.raises(BadInput, match=re.escape(str(folder / FILE))):
        read_board(folder)
    with pytest.raises(BadInput, match="holds no board"):
        gather(tmp_path)


@pytest.mark.parametrize("order", [("attacks", "both"), ("both", "attacks")])
def test_a_row_with_further_parts_takes_the_place_of_one_without(tmp_path, order):
    """`wrongkey board --only cost`, after `--only attacks`, in the same folder."""
    folder = write_protocol(tmp_path / "board")
    write_cell(folder, cost=None)
    boards = {"attacks": (folder / "attacks.json", gather(folder))}
    write_record(folder)
    boards["both"] = (folder / "both.json", gather(folder))
    (row,) = merged([boards[name] for name in order]).rows
    assert row.cost is not None and row.attacks


@pytest.mark.parametrize(
    "changed",
    [
        {"speech": {"speech of the victims": "e" * 64}},
        {"corpus": "other"},
        {"model": "other"},
        {"nominal_bits": {"words": "5", "value": 5.0}},
        {"best_key": {"words": "0 % of 9", "value": 0.0, "keys": 9}},
        {"weakest": None, "cells": "held"},
    ],
)
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_further_part_overrules_nothing_else(folder, changed, order):
    """A row of a stranger has the same attacks and a cost, and other verdicts or other speech."""
    write_cell(folder, cost=None)
    board = gather(folder)
    found = json.loads(board.model_dump_json())
    row = found["rows"][0]
    if "cells" in changed:
        changed = changed | {"cells": [one | {"state": "not shown to break", "case": None} for one in row["cells"]]}
    row |= {"cost": COST, **changed}
    other = folder / "other.json"
    other.write_text(json.dumps(found))
    boards = [(folder / FILE, board), (other, read_board(other))]
    with pytest.raises(BadInput, match=r"different results of rom at M = 4: leave one of them out\.$"):
        merged([boards[place] for place in order])


@pytest.mark.parametrize(
    ("adversary", "before", "after", "joins"),
    [
        ("unauthorised user", "undecided", "broken", True),
        ("provider", "undecided", "weakened", True),
        ("unauthorised user", "undecided", "not shown to break", False),
        ("unauthorised user", "broken", "weakened", False),
        ("eavesdropper", "undecided", "broken", False),
        ("eavesdropper", "broken", "not shown to break", False),
    ],
)
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_strength_may_show_only_that_who_asks_a_model_achieves_more(folder, adversary, before, after, joins, order):
    write_cell(folder)
    board = gather(folder)
    strength = strength_content(write_strength(folder.parent / "strength"))
    boards = []
    for name, state, more in (("less", before, {}), ("more", after, {"strength": strength})):
        row = board.rows[0].model_copy(update=more)
        states = {adversary: state}
        cells = [one.model_copy(update={"state": states.get(one.adversary, "not run")}) for one in row.cells]
        row = row.model_copy(update={"cells": cells, "weakest": weakest(cells)})
        boards.append((folder / f"{name}.json", board.model_copy(update={"rows": [row]})))
    both = [boards[place] for place in order]
    if joins:
        assert merged(both).rows[0].weakest == (adversary if after == "broken" else None)
    else:
        with pytest.raises(BadInput, match=r"different results of rom at M = 4: leave one of them out\.$"):
            merged(both)


def test_leaks_that_were_measured_later_are_joined(folder):
    """They stand in the eavesdropper's sentence too."""
    write_cell(folder)
    board = gather(folder)
    (row,) = board.rows
    cells = [one.model_copy(update={"sentence": f"{one.sentence} It tells how loud it is."}) for one in row.cells]
    told = {"leaks": "It tells how loud it is.", "linkability": Measured(words="9 % EER", value=9.0), "cells": cells}
    more = board.model_copy(update={"rows": [row.model_copy(update=told)]})
    (joined,) = merged([(folder / FILE, board), (folder / "more.json", more)]).rows
    assert joined.linkability.value == 9.0


def test_parts_that_differ_are_refused_even_where_one_row_has_more(tmp_path):
    boards = []
    for name, broken, cost in (("a", True, None), ("b", False, COST)):
        folder = write_protocol(tmp_path / name)
        write_cell(folder, broken=broken, cost=cost)
        boards.append((folder / FILE, gather(folder)))
    with pytest.raises(BadInput, match="different results of rom at M = 4"):
        merged(boards)
