"""`gateway reload`: have a running gateway read its files again."""

from __future__ import annotations

import typer

from gateway.cli.listener import Admin, ask
from gateway.cli.output import Format, Output, print_json, tell
from gateway.cli.plans import Folder


def reload(folder: Folder, admin: Admin = None, output: Output = Format.TEXT) -> None:
    """Have the gateway that runs on this machine read its plans again, without losing a request.

    It takes all of them or, where they have problems, none: then each is shown, and the exit code is 1.
    """
    status, answer = ask("reload", folder, admin, "POST", "/reload")
    if output is Format.JSON:
        print_json(answer)
    elif status == 200:
        print(answer["detail"])
    else:
        tell(*(problem["text"] for problem in answer.get("problems", ())), answer.get("detail", answer["title"]))
    if status != 200:
        raise typer.Exit(1)
