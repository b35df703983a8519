"""wrongkey: how much a secret key really protects speech.

`wrongkey.keys`, `wrongkey.evaluation`, `wrongkey.attacks` and `wrongkey.reports` are the rooms; what lies in this
folder itself is the command line and what every room needs. In the repository the rooms are folders of the root, to
which this folder holds links.
"""

__version__ = "0.1.0"
