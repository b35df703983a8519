"""The harness: only it knows the truth. It hands each attack its evidence, and scores every answer in the same way.

`suite` runs, `results` keeps the rows, `boundary` and `apart` are the two sides of an attack's process.
"""
