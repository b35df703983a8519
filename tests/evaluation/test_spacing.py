"""Some of many, evenly spaced."""

from wrongkey.evaluation.spacing import evenly_spaced


def test_middles_or_firsts_of_equal_parts_are_taken():
    assert evenly_spaced(range(10), 2) == [2, 7]
    assert evenly_spaced("abcdef", 3, begin="first") == ["a", "c", "e"]


def test_all_are_taken_where_there_are_too_few():
    assert evenly_spaced(range(2), 5) == evenly_spaced(range(2), 5, begin="first") == [0, 1]
    assert evenly_spaced([], 5) == []
