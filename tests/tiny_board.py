"""A board's protocol with one small cell: an attack through a model, strength and cost, on bundled voices."""

PROTOCOL = """
name = "tiny"
seed = 0
schemes = ["rom"]
blocks = [3]
[models]
3 = "tests.toys:raw3"
[corpus]
name = "bundled"
[corpus.victims]
speakers = ["af_alloy", "am_adam"]
[corpus.background]
speakers = ["af_bella", "am_echo"]
[scoring]
random_keys = 4
per_speaker = 3
[attacks]
names = ["public-model"]
seconds = [2]
trials = 2
fewest = 2
costly_after = 60
[strength]
within = [40]
population = 50
share = 0.2
moves = 1
repetitions = 1
[cost]
repeats = 1
"""
