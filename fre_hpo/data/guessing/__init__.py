"""`fre-hpo data init`: look at any lab's folder and write a recipe for it."""

from fre_hpo.data.guessing.looking import Guess, guess
from fre_hpo.data.guessing.recipe import recipe_text

__all__ = ["Guess", "guess", "recipe_text"]
