"""One file per command: ``add`` describes its flags, ``run`` does it."""
