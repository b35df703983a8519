"""The three tasks (ASV, ASR, ASC): which utterances are asked, and how answers become scores and rows.

`base` makes the task of a sweep; trials, sessions and enrolment belong to ASV, text and characters to ASR.
"""
