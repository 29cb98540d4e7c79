"""Recipes: YAML files that define a run, checked before anything runs."""

from scaseg_cli.recipe.load import (
    default_name,
    load_recipe,
    recipe_names,
    recipe_of,
    recipe_text,
    save_recipe,
    shipped_file,
)
from scaseg_cli.recipe.schema import Recipe

__all__ = [
    "Recipe",
    "default_name",
    "load_recipe",
    "recipe_names",
    "recipe_of",
    "recipe_text",
    "save_recipe",
    "shipped_file",
]
