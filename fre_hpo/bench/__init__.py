"""Measured against what a user would write instead; ``python -m fre_hpo.bench`` and ``fre-hpo bench``.

All parts but ``search_overhead`` and the product's side of ``trials`` need nothing but torch, NumPy and
Pillow, so that they run on a machine on which nothing can be installed.
"""
