"""All kinds of input files that `benchmarks.fuzz` damages, by their names."""

from benchmarks import fuzz_documents, fuzz_keys, fuzz_models, fuzz_speech
from benchmarks.fuzz_kind import Kind

KINDS: dict[str, Kind] = fuzz_speech.KINDS | fuzz_keys.KINDS | fuzz_models.KINDS | fuzz_documents.KINDS
