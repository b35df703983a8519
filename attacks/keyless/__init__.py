"""Attacks that want no key: they link ciphertexts (`linkability`), or bring a model that reads them (`informed`)."""
