"""Mathematics that several attacks share.

The nearest key in closed form (`procrustes`), the orthogonal group and descent on it, random orthogonal matrices, and
matrix decompositions that retry when LAPACK does not converge (`stable_linalg`).
"""
