"""How strong keys are: what `wrongkey strength` measured in run folders, in words, tables and numbers.

The file is `strength/strength.json` (`wrongkey.evaluation.run_folder.strength`).
"""
