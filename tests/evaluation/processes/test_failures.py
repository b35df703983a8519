"""What is said of keys and trials that failed."""

from concurrent.futures import Executor, Future
from typing import Any

import pytest

from wrongkey.errors import BadInput
from wrongkey.evaluation.processes.dispatch import Call, collect
from wrongkey.evaluation.processes.failures import Failure, Failures, SomeFailed
from wrongkey.evaluation.processes.watch import Watch


def failed(*numbers: int, worked: bool) -> Failures:
    failures = Failures("keys", worked)
    failures.add([Failure(number, f"number {number}", "ValueError: no") for number in numbers])
    return failures


@pytest.mark.parametrize(
    ("numbers", "worked", "said"),
    [
        (
            [3],
            True,
            "1 of 4 keys failed: number 3 (ValueError: no). The others are kept, and the same command tries it again.",
        ),
        (
            [3, 1],
            True,
            "2 of 4 keys failed; the first was number 1 (ValueError: no). "
            "The others are kept, and the same command tries these again.",
        ),
        (
            [0, 1, 2, 3],
            False,
            "4 of 4 keys failed; the first was number 0 (ValueError: no). "
            "Correct this, and the same command tries again.",
        ),
    ],
)
def test_the_first_failure_is_named_and_others_only_where_some_worked(numbers, worked, said):
    with pytest.raises(SomeFailed) as error:
        failed(*numbers, worked=worked).check(4)
    assert str(error.value) == said


def test_nothing_is_raised_where_nothing_failed():
    failed(worked=False).check(4)


def test_failures_alone_end_the_work():
    said = r"^The first 8 keys all failed; the first was number 0 \(ValueError: no\)\. Corr"
    with pytest.raises(BadInput, match=said):
        failed(*range(8), worked=False)
    failed(*range(8), worked=True)


def test_what_is_ready_beside_a_failure_is_kept():
    """Ten calls are done before the first answer is looked at, the failed one in any place among them."""

    class AtOnce(Executor):
        def submit(self, function, /, *arguments, **settings):
            future = Future[Any]()
            future.set_result(function(*arguments, **settings))
            return future

    def negative(number):
        if number == failing:
            raise BadInput("No.")
        return -number

    for failing in range(10):
        found = []
        with pytest.raises(BadInput, match="No"):
            for answer in collect(AtOnce(), negative, calls(10), 10, Watch("shard", None, str), ahead=10):
                found.append(answer)
        assert sorted(found) == sorted(-number for number in range(10) if number != failing)


def calls(count):
    return [Call(f"key {number}", (number,)) for number in range(count)]
