"""What `wrongkey analyse` measures: weak keys, near keys, leaks of ciphertext, phase reconstruction."""
