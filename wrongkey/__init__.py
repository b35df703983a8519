"""wrongkey: how much a secret key really protects speech.

The packages are `wrongkey.keys`, `wrongkey.evaluation`, `wrongkey.attacks` and `wrongkey.reports`. This folder itself
holds the command line and what every package needs. In the repository the packages are folders of the root, and this
folder links to them.
"""

__version__ = "0.1.0"
