"""The verdict board: each scheme, block size and model against each adversary, and what that means in one sentence.

`joining` brings sweeps, attacks and analyses of one setting together, `cells` judges them for one adversary, `commands`
says what tries the rest, `headline` and `cautions` sum up, `table` shows.
"""
