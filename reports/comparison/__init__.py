"""What `wrongkey compare` asks: whether run B protects at least as well as run A."""
