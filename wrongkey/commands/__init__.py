"""One file for each command: ``add`` describes its flags, ``run`` runs it and returns the exit code.

They import what they need when they run, so that help and completion load no heavy library.
"""
