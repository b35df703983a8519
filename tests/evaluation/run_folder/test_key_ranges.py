"""Sets of keys as ranges, against sets of numbers."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wrongkey.evaluation.run_folder.key_ranges import KeyRanges

ENDS = st.integers(0, 30)
RANGES = st.lists(st.tuples(ENDS, ENDS))


def numbers(ranges: list[tuple[int, int]]) -> set[int]:
    return {number for start, stop in ranges for number in range(start, stop)}


@given(RANGES)
def test_they_are_the_set_of_their_numbers(ranges):
    keys, wanted = KeyRanges(ranges), numbers(ranges)
    assert list(keys) == sorted(wanted) and len(keys) == len(wanted) and set(keys) == wanted
    assert [number in keys for number in range(32)] == [number in wanted for number in range(32)]
    assert KeyRanges(reversed(ranges)).ranges() == keys.ranges()


@given(RANGES)
def test_no_two_ranges_meet(ranges):
    kept = KeyRanges(ranges).ranges()
    assert all(start < stop for start, stop in kept)
    assert all(before[1] < after[0] for before, after in pairwise(kept))


@given(RANGES, ENDS, ENDS)
def test_a_range_is_covered_or_met_as_its_numbers_are(ranges, start, stop):
    keys, wanted, asked = KeyRanges(ranges), numbers(ranges), set(range(start, stop))
    assert keys.covers(start, stop) == (asked <= wanted)
    assert keys.meets(start, stop) == bool(asked & wanted)


@given(RANGES, ENDS)
def test_gaps_and_keys_below_a_total_make_up_all_of_them(ranges, total):
    keys, wanted = KeyRanges(ranges), numbers(ranges)
    gaps = list(keys.gaps(total))
    assert numbers(gaps) == set(range(total)) - wanted and gaps == sorted(gaps)
    assert keys.below(total) == len(wanted & set(range(total)))


@given(RANGES, RANGES)
def test_operators_of_sets_give_key_ranges(one, other):
    joined, left = KeyRanges(one) | KeyRanges(other), KeyRanges(one) - KeyRanges(other)
    assert isinstance(joined, KeyRanges) and set(joined) == numbers(one) | numbers(other)
    assert set(left) == numbers(one) - numbers(other)
