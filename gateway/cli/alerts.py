"""`gateway alerts`: what was raised and how it was delivered, and what people say to it."""

from __future__ import annotations

import getpass
import re
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from gateway.cli.listener import Admin, ask
from gateway.cli.output import Format, Output, count, print_json, table, tell
from gateway.cli.plans import Folder

UNITS = {"m": 60, "h": 3600, "d": 86_400}
STATES = ("waiting", "delivered", "failed", "silenced", "acknowledged")

app = typer.Typer(help="See alerts, acknowledge, silence, send them again, try channels.", no_args_is_help=True)

AlertId = Annotated[str, typer.Argument(metavar="ID", help="An alert's, as ls shows it.")]


@app.callback()
def group() -> None:
    """See alerts, acknowledge, silence, send them again, try channels. They talk to the gateway that runs here."""


@app.command(epilog="Example:  gateway alerts ls plans/ --state failed")
def ls(
    folder: Folder,
    state: Annotated[str | None, typer.Option(metavar="STATE", help=f"Only these: {', '.join(STATES)}.")] = None,
    application: Annotated[str | None, typer.Option("--application", "-a", help="Only this one's.")] = None,
    admin: Admin = None,
    output: Output = Format.TEXT,
) -> None:
    """List alerts, newest first: those on their way, those given up (failed), and the latest of the others."""
    if state is not None and state not in STATES:
        raise typer.BadParameter(f"'{state}' is not a state ({' '.join(STATES)})", param_hint="--state")
    asked = {name: value for name, value in (("state", state), ("application", application)) if value is not None}
    answer = _answer(folder, admin, "GET", "/alerts" + ("?" + urlencode(asked) if asked else ""))
    if output is Format.JSON:
        print_json(answer["alerts"])
    elif answer["alerts"]:
        heads = ("id", "raised at", "application", "plan", "text", "state", "why")
        print(table(heads, [_cells(alert) for alert in answer["alerts"]]))
    else:
        tell("no alerts")


@app.command(epilog="Example:  gateway alerts show plans/ 3f0c1d2ab4ce58cfa0d91f5e64a7b9c2-80")
def show(folder: Folder, alert: AlertId, admin: Admin = None, output: Output = Format.TEXT) -> None:
    """Show one alert, and how it stands on each channel."""
    _show(_answer(folder, admin, "GET", f"/alerts/{_part(alert)}"), output)


@app.command(epilog="Example:  gateway alerts ack plans/ 3f0c1d2ab4ce58cfa0d91f5e64a7b9c2-80")
def ack(
    folder: Folder,
    alert: AlertId,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who takes care; you, if left out.")] = None,
    admin: Admin = None,
    output: Output = Format.TEXT,
) -> None:
    """Acknowledge an alert: channels that do not have it yet are not told any more."""
    members = {"by": by or getpass.getuser()}
    _show(_answer(folder, admin, "POST", f"/alerts/{_part(alert)}/acknowledge", members), output)


@app.command(epilog="Example:  gateway alerts retry plans/ --all")
def retry(
    folder: Folder,
    alert: Annotated[str | None, typer.Argument(metavar="ID", help="An alert's, as ls shows it.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that were given up.")] = False,
    admin: Admin = None,
    output: Output = Format.TEXT,
) -> None:
    """Send alerts that were given up, silenced or acknowledged to the channels that do not have them."""
    if every == (alert is not None):
        raise typer.BadParameter("name an alert, or say --all", param_hint="ID")
    path = "/alerts/retry" if alert is None else f"/alerts/{_part(alert)}/retry"
    answer = _answer(folder, admin, "POST", path)
    if output is Format.JSON:
        print_json(answer["alerts"] if every else answer)
    else:
        print(f"{count(len(answer['alerts']) if every else 1, 'alert')} on the way again")


@app.command(epilog="Example:  gateway alerts silence plans/ --for 2h -a mobile --comment 'load test'")
def silence(
    folder: Folder,
    time: Annotated[str | None, typer.Option("--for", metavar="TIME", help="How long, as 30m, 2h or 3d.")] = None,
    application: Annotated[str | None, typer.Option("--application", "-a", help="Only of this one.")] = None,
    plan: Annotated[str | None, typer.Option(help="Only of this plan.")] = None,
    metric: Annotated[str | None, typer.Option(help="Only of this metric.")] = None,
    comment: Annotated[str | None, typer.Option(help="Why.")] = None,
    end: Annotated[str | None, typer.Option(metavar="ID", help="End this one.")] = None,
    admin: Admin = None,
    output: Output = Format.TEXT,
) -> None:
    """Keep alerts from all channels for a while; they are in the log, and in ls. Without options: list silences."""
    if end is not None:
        _answer(folder, admin, "DELETE", f"/silences/{_part(end)}")
        tell(f"silence {end} has ended")
        return
    wanted = {"application": application, "plan": plan, "metric": metric, "comment": comment}
    if time is not None:
        members = {"seconds": seconds(time), **{name: value for name, value in wanted.items() if value is not None}}
        _silences([_answer(folder, admin, "POST", "/silences", members)], output)
    elif any(wanted.values()):
        raise typer.BadParameter("say how long, as --for 2h", param_hint="--for")
    else:
        _silences(_answer(folder, admin, "GET", "/silences")["silences"], output)


@app.command(epilog="Example:  gateway alerts test plans/ ops")
def test(
    folder: Folder,
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name; NAME/ACCOUNT for a contact.")],
    admin: Admin = None,
    output: Output = Format.TEXT,
) -> None:
    """Send a test, marked as one, through a channel, and tell whether it was taken; exits 1 if it was not."""
    answer = _answer(folder, admin, "POST", f"/channels/{quote(channel)}/test")
    if output is Format.JSON:
        print_json(answer)
    else:
        print(f"{channel}: delivered" if answer["delivered"] else f"{channel}: not delivered: {answer['reason']}")
    if not answer["delivered"]:
        raise typer.Exit(1)


def seconds(text: str) -> int:
    """Of a time such as 2h; raises a usage error."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", text, re.ASCII)
    if found is None:
        raise typer.BadParameter(f"'{text}' is not a time such as 30m, 2h or 3d", param_hint="--for")
    return int(found[1]) * UNITS[found[2]]


def _answer(folder: Any, admin: str | None, method: str, path: str, members: dict[str, Any] | None = None) -> Any:
    """What the gateway says; where it refuses, says why and exits 1."""
    status, answer = ask("alerts", folder, admin, method, path, members)
    if status != 200:
        tell(f"gateway alerts: {answer.get('detail', answer['title'])}")
        raise typer.Exit(1)
    return answer


def _part(text: str) -> str:
    return quote(text, safe="")


def _show(alert: dict[str, Any], output: Format) -> None:
    if output is Format.JSON:
        print_json(alert)
        return
    who = f" by {alert['by']}" if "by" in alert else ""
    window = f"{alert['window']['start']} to {alert['window']['end'] or 'ever'}"
    print(f"{alert['id']}\n{alert['application']} ({alert['plan']}): {alert['text']}\nwindow {window}")
    print(f"raised {alert['raised_at']}, {alert['state']}{who} {alert['at']}")
    rows = [
        (name, found["state"], found["at"], str(found["attempts"]), found["reason"])
        for name, found in alert["channels"].items()
    ]
    print(table(("channel", "state", "at", "attempts", "last failure"), rows, right={3}))


def _silences(silences: list[dict[str, Any]], output: Format) -> None:
    if output is Format.JSON:
        print_json(silences)
    elif silences:
        names = ("id", "until", "application", "plan", "metric", "comment")
        print(table(names, [tuple(silence[name] or "" for name in names) for silence in silences]))
    else:
        tell("no silences")


def _cells(alert: dict[str, Any]) -> tuple[str, ...]:
    reasons = {found["reason"] for found in alert["channels"].values() if found["reason"]}
    why = "" if alert["state"] == "delivered" else ", ".join(sorted(reasons))
    return (*(str(alert[name]) for name in ("id", "raised_at", "application", "plan", "text", "state")), why)
