"""`--functions`, the option of the commands that run functions."""

from pathlib import Path

import click

functions_option = click.option(
    "--functions",
    "root",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("functions"),
    show_default=True,
    help="The folder of function folders.",
)
