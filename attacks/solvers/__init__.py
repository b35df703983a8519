"""Mathematics that several attacks share: Procrustes, the orthogonal group, decompositions that do not give up."""
