"""The checksum of a table: as it was when it was first written, however Arrow holds the texts."""

import datetime
import hashlib

import numpy as np
import pyarrow as pa
import pytest

from wrongkey.evaluation.run_folder.tables import checksum

TEXTS = ["a", "ö", None, "", "\N{SPEAKER}" * 3, "a"]


def of_texts(name, texts):
    """As the first version of the format says: the name, which are missing, the kind, lengths in bytes, and bytes."""
    encoded = [str(text).encode() for text in texts if text is not None]
    missing = np.packbits(np.array([text is None for text in texts], dtype=bool)).tobytes()
    lengths = np.array([len(text) for text in encoded], dtype="<i8").tobytes()
    digest = hashlib.sha256()
    for part in (name.encode(), missing, b"text", lengths, b"".join(encoded)):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


@pytest.mark.parametrize(
    "array",
    [
        pa.array(TEXTS),
        pa.array(TEXTS, pa.large_string()),
        pa.array(TEXTS).dictionary_encode(),
        pa.array(["x", *TEXTS, "y"])[1:-1],
        pa.chunked_array([TEXTS[:2], TEXTS[2:]]),
    ],
)
def test_texts_have_one_checksum_in_every_layout(array):
    assert checksum(pa.table({"name": array})) == of_texts("name", TEXTS)


@pytest.mark.parametrize(
    "values", [[], [None, None], [datetime.date(2026, 11, 26), None], [b"raw", b"\xff"], [{"a": 1}]]
)
def test_whatever_is_no_number_counts_as_its_text(values):
    array = pa.array(values, pa.string() if values in ([], [None, None]) else None)
    assert checksum(pa.table({"x": array})) == of_texts("x", values)
