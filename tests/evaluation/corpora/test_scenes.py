"""Acoustic scenes and events: every layout, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from wrongkey.errors import BadInput
from wrongkey.evaluation.corpora import open_corpus
from wrongkey.evaluation.corpora.scenes import activity


def audio(path: Path, seconds: float = 0.5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, int(8_000 * seconds)), 8_000)
    return path


def labels(spec: str) -> dict[str, str | None]:
    return {u.id: u.label for u in open_corpus(spec).utterances}


@pytest.fixture
def esc(tmp_path):
    rows = ["filename,fold,target,category,esc10"]
    for name, fold, category, ten in (("a", 1, "dog", True), ("b", 2, "rain", True), ("c", 2, "cow", False)):
        audio(tmp_path / "audio" / f"{name}.ogg" if name == "a" else tmp_path / "audio" / f"{name}.wav")
        rows.append(f"{name}.wav,{fold},0,{category},{ten}")
    (tmp_path / "esc50.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_esc50_and_its_ten_classes(esc):
    assert labels(f"esc50:{esc}") == {"a": "dog", "b": "rain", "c": "cow"}
    assert labels(f"esc10:{esc}") == {"a": "dog", "b": "rain"}
    assert labels(f"esc10:{esc}#fold=2") == {"b": "rain"}
    assert labels(f"esc50:{esc}#fold=1,2").keys() == {"a", "b", "c"}
    assert open_corpus(f"esc10:{esc}").recordings == "real"
    for fold in ("7", "", "1,7", "1, 2"):
        with pytest.raises(BadInput, match=r"has no fold '.*': choose from 1, 2"):
            open_corpus(f"esc10:{esc}#fold={fold}")
    with pytest.raises(BadInput, match=r"no esc50\.csv"):
        open_corpus(f"esc10:{esc / 'audio'}")


def test_esc50_is_recognised_as_published_and_as_unpacked(esc):
    assert open_corpus(esc).name == "esc50"
    below = esc / "unpacked" / "ESC-50-master"
    (below / "meta").mkdir(parents=True)
    (esc / "esc50.csv").rename(below / "meta" / "esc50.csv")
    (esc / "audio").rename(below / "audio")
    for place in (below, below.parent):
        assert {u.label for u in open_corpus(place).utterances} == {"dog", "rain", "cow"}
    assert open_corpus(f"esc10:{below}#fold=2").name == "esc10-fold2"
    (below / "audio" / "c.wav").unlink()
    with pytest.raises(BadInput, match=r"do not exist: .*c\.wav"):
        open_corpus(below)


def test_a_folder_per_class(tmp_path):
    for place in ("bus/one.wav", "park/deep/two.wav"):
        audio(tmp_path / place)
    assert labels(f"classes:{tmp_path}") == {"bus/one": "bus", "park/deep/two": "park"}


def test_lists_of_dcase(tmp_path):
    audio(tmp_path / "audio" / "x.wav")
    (tmp_path / "evaluation_setup").mkdir()
    table = tmp_path / "evaluation_setup" / "fold1_evaluate.csv"
    table.write_text("filename\tscene_label\naudio/x.wav\tbus\n")
    assert labels(f"dcase:{table}") == {"audio/x": "bus"}
    assert open_corpus(table).digest() == open_corpus(f"dcase:{table}").digest()
    table.write_text("filename,scene_label,identifier\naudio/x.wav,metro station,paris-1\n")
    assert labels(f"dcase:{table}") == {"audio/x": "metro station"}
    table.write_text("filename\tscene_label\naudio/x.wav\n")
    with pytest.raises(BadInput, match="1 columns in line 2, not 2"):
        open_corpus(f"dcase:{table}")
    table.write_text("filename\naudio/x.wav\n")
    with pytest.raises(BadInput, match="scene_label"):
        open_corpus(f"dcase:{table}")


def test_sins_is_cut_into_clips_and_two_activities_are_one(tmp_path):
    audio(tmp_path / "Calling" / "a.wav", 9.0)
    audio(tmp_path / "Visit" / "b.wav", 4.0)
    audio(tmp_path / "watching_tv" / "c.wav", 2.0)
    audio(tmp_path / "dont use" / "d.wav", 4.0)
    corpus = open_corpus(f"sins:{tmp_path}")
    found = sorted((u.label, u.path.stem, u.start or 0.0) for u in corpus.utterances)
    assert found == [
        ("Social Activity", "a", 0.0),
        ("Social Activity", "a", 4.0),
        ("Social Activity", "b", 0.0),
        ("Watching TV", "c", 0.0),
    ]


def test_sins_as_published_keeps_clips_within_one_activity(tmp_path):
    audio(tmp_path / "audio" / "Node1" / "audio" / "Node1_20170130_100000_500_audio.wav", 20.5)
    (tmp_path / "living_labels.csv").write_text(
        "Class;Start time;Stop time\n"
        "calling;2017-01-30 09:59:00.000;2017-01-30 10:00:05.000\n"
        "dont use;2017-01-30 10:00:05.020;2017-01-30 10:00:09.000\n"
        "watching tv;2017-01-30 10:00:12.000;2017-01-30 11:00:00.000\n"
    )
    found = [(u.label, u.start) for u in open_corpus(f"sins:{tmp_path}").utterances]
    assert found == [("Social Activity", 0.0), ("Watching TV", 12.0), ("Watching TV", 16.0)]
    (tmp_path / "living_labels.csv").write_text("Class;Start time;Stop time\ncalling;yesterday\n")
    with pytest.raises(BadInput, match="line 2"):
        open_corpus(f"sins:{tmp_path}")


def test_microphones_of_other_rooms_have_other_labels(tmp_path):
    table = "Class;Start time;Stop time\nworking;2017-01-30 09:00:00.000;2017-01-30 11:00:00.000\n"
    (tmp_path / "living_labels.csv").write_text(table)
    for node in (8, 9, 13):
        audio(tmp_path / f"Node{node}" / f"Node{node}_20170130_100000_500_audio.wav", 4.0)
    assert [u.path.parent.name for u in open_corpus(f"sins:{tmp_path}").utterances] == ["Node8"]


def test_a_clip_that_touches_two_activities_has_neither(tmp_path):
    audio(tmp_path / "Node3" / "Node3_20170131_191600_000_audio.wav", 16.0)
    table = tmp_path / "annotation" / "living_labels.csv"
    table.parent.mkdir()
    table.write_text(
        "Class;Start time;Stop time\n"
        "working;2017-01-31 19:13:26.428;2017-01-31 19:16:08.000\n"
        "calling;2017-01-31 19:16:07.300;2017-01-31 19:19:08.928\n"
    )
    corpus = open_corpus(tmp_path)  # recognised
    assert [(u.label, u.start) for u in corpus.utterances] == [
        ("Working", 0.0),
        ("Social Activity", 8.0),
        ("Social Activity", 12.0),
    ]


def test_every_class_of_the_paper_is_known_in_every_spelling():
    published = ("absence", "calling", "cooking", "dishwashing", "eating", "other", "vacuumcleaner", "visit")
    derived = ("social_activity", "vacuum_cleaner", "watching_tv", "working")
    assert len({activity(name) for name in (*published, *derived, "Watching TV")}) == 9
    assert activity("dont use") is None and activity("sleeping") is None


def test_dcase_2018_task_5(tmp_path):
    audio(tmp_path / "audio" / "DevNode1_ex1_1.wav", 10.0)
    (tmp_path / "meta.txt").write_text("audio/DevNode1_ex1_1.wav\tsocial_activity\tex1\n")
    corpus = open_corpus(tmp_path)  # recognised
    assert [(u.id, u.label) for u in corpus.utterances] == [
        ("audio/DevNode1_ex1_1@0", "Social Activity"),
        ("audio/DevNode1_ex1_1@4", "Social Activity"),
    ]
    (tmp_path / "meta.txt").write_text("audio/DevNode1_ex1_1.wav\n")
    with pytest.raises(BadInput, match=r"meta\.txt has no label in line 1"):
        open_corpus(f"sins:{tmp_path}")
    (tmp_path / "meta.txt").write_text("audio/gone.wav\tcooking\tex1\n")
    with pytest.raises(BadInput, match=r"gone\.wav is not a file"):
        open_corpus(f"sins:{tmp_path}")


def test_the_label_is_part_of_the_digest(tmp_path):
    audio(tmp_path / "one" / "bus" / "x.wav")
    audio(tmp_path / "two" / "park" / "x.wav")
    digests = {open_corpus(f"classes:{tmp_path / name}").digest() for name in ("one", "two")}
    assert len(digests) == 2
