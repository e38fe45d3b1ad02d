"""The methods that the paper compares (Tables 1, 2 and 3), one small file each.

Adding one touches a new file and one line here.
"""

from fre_hpo.errors import UnknownMethod, nearest
from fre_hpo.methods import baseline, dropout, fre, fre_fixed, supervision, without_deep_layers
from fre_hpo.methods.method import MAPS, Method, Parameter, Slots

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        baseline.METHOD,
        without_deep_layers.METHOD,
        supervision.METHOD,
        dropout.METHOD,
        fre.METHOD,
        fre_fixed.METHOD,
    )
}


def get(name: str) -> Method:
    """Look a method up by its name; raises UnknownMethod with the nearest names."""
    if name not in METHODS:
        raise UnknownMethod(name=name, hint=nearest(name, METHODS))
    return METHODS[name]


__all__ = ["MAPS", "METHODS", "Method", "Parameter", "Slots", "get"]
