"""`rookery put`: images in, results out."""

from pathlib import Path

import click


@click.command(
    epilog="""\b
Examples:
  rookery put photo.jpg
  rookery put --prefix holiday/ *.jpg
  rookery put --json photo.jpg | jq .data.predictions
"""
)
@click.argument(
    "images",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True),
)
@click.option("--prefix", default="", help="Put before every key.")
@click.option("--json", "style", flag_value="json", help="Print each result as a CloudEvent.")
@click.option("--pretty", "style", flag_value="pretty", help="The same, indented.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait for results.")
@click.option(
    "--wait-for-up",
    default=0.0,
    show_default=True,
    help="Seconds to wait for `rookery up` to be ready.",
)
def command(
    *, images: tuple[Path, ...], prefix: str, style: str | None, timeout: float, wait_for_up: float
) -> None:
    """Upload IMAGES to the bucket of the running `rookery up`, wait for their results, print them.

    The key of an object is its file's name. The exit status is 1 when an image failed or had no
    result in time.
    """
    from rookery.local.access import to_what_is_up
    from rookery.local.put import put_images, wait_for_state
    from rookery.settings import read_home

    home = read_home()
    state = wait_for_state(home, wait_for_up)
    access = to_what_is_up(state, home)
    if not put_images(state, access, images, prefix=prefix, style=style, timeout=timeout):
        raise SystemExit(1)
