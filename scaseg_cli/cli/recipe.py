"""`scaseg recipe`: list, show and check recipes."""

from __future__ import annotations

from typing import Annotated

import typer

from scaseg_cli.cli import completion

recipe = typer.Typer(no_args_is_help=True, help="List, show and check recipes.")
AsJson = Annotated[bool, typer.Option("--json", help="Print only one JSON document on stdout.")]


@recipe.command("list")
def list_recipes(json: AsJson = False) -> None:
    """List the recipes that come with scaseg.

    Reads the shipped recipes. Writes nothing.

    Example: `scaseg recipe list`
    """
    from scaseg_cli.cli.output import print_json
    from scaseg_cli.recipe import load_recipe, recipe_names, shipped_file
    from scaseg_cli.results.console import print_table
    from scaseg_cli.results.table import Column, Table

    columns = [Column("name", "name"), Column("task", "task"), Column("description", "description")]
    shipped = [load_recipe(str(shipped_file(name))) for name in recipe_names()]
    rows = [{"name": one.name, "task": one.task, "description": one.description} for one in shipped]
    table = Table("Shipped recipes", columns, rows)
    if json:
        print_json(table.as_json_value())
    else:
        print_table(table)


@recipe.command("show")
def show_recipe(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FILE]",
            autocompletion=completion.recipes,
            help="Default: scaseg.yaml in this folder, else shapes-zps.",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one key, as in stage commands.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Print a recipe with every key and its value, as the stages read it.

    The output is a valid recipe: save it to a file, change it, and pass the file with --recipe.

    Reads the recipe and those that it extends. Writes only to stdout.

    Example: `scaseg recipe show shapes-zps > mine.yaml`
    """
    from scaseg_cli.cli.output import print_json
    from scaseg_cli.recipe import load_recipe, recipe_text

    resolved = load_recipe(name, tuple(changes or ()))
    if json:
        print_json(resolved.model_dump(mode="json"))
    else:
        print(recipe_text(resolved), end="")


@recipe.command("check")
def check_recipes(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME|FILE]...",
            autocompletion=completion.recipes,
            help="Recipes to check. Default: scaseg.yaml in this folder, else shapes-zps.",
        ),
    ] = None,
) -> None:
    """Check recipes without running them, and report all mistakes in all files.

    The exit code is 2 if there are any. Only the recipe is checked, not its data.

    Reads the recipes and those that they extend. Writes nothing.

    Example: `scaseg recipe check mine.yaml`
    """
    from scaseg_cli.cli.failures import USER, tell
    from scaseg_cli.errors import ScasegError
    from scaseg_cli.recipe import load_recipe
    from scaseg_cli.results.console import say_plainly

    faulty = 0
    wanted: list[str | None] = [*files] if files else [None]
    for file in wanted:
        try:
            found = load_recipe(file)
        except ScasegError as error:
            faulty += 1
            tell(error.message, error.hint)
        else:
            say_plainly(f"{file if file is not None else found.name}: good")
    if faulty:
        raise typer.Exit(USER)
