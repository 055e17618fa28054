"""The entry point of `cancel-worker`: the commands, and one line for whatever goes wrong."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import typer

from worker.cli.output import Output, Problem

#: Each is a function, or a group of commands, of the same name in a module of that name.
COMMANDS = (
    "submit",
    "kill",
    "pause",
    "resume",
    "orders",
    "plan",
    "watch",
    "alive",
    "check",
    "venues",
    "status",
    "explain",
    "rejected",
    "record",
    "audit",
    "drill",
    "flower",
)
#: What a shell shows for a command that was interrupted.
_INTERRUPTED = 130


def make_cli(commands: Sequence[str] = COMMANDS) -> typer.Typer:
    """Return the command line with some of its commands, or all."""
    cli = typer.Typer(
        name="cancel-worker",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    cli.callback()(_about)
    for name in commands:
        module = importlib.import_module(f"worker.cli.{name}")
        found = getattr(module, name)
        if isinstance(found, typer.Typer):
            cli.add_typer(found, name=name)
        else:
            cli.command(name, context_settings=getattr(module, "PASSES_ON", None))(found)
    return cli


def _about() -> None:
    """Cancel orders at trading venues over a queue, and see what became of them."""


def main() -> None:
    """Run the command that the arguments name, and end with its exit code."""
    sys.exit(_run(sys.argv[1:]))


def _run(words: list[str]) -> int:
    output = Output()
    try:
        # Only what is asked for is loaded: that halves the time to an answer.
        cli = make_cli(words[:1] if words and words[0] in COMMANDS else COMMANDS)
        code = cli(words, standalone_mode=False, prog_name="cancel-worker")
    except Problem as problem:
        output.note(problem.line)
        return problem.code
    except typer.TyperException as error:
        if text := error.format_message():  # none where the help is shown instead
            output.note(_usage(text, error))
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    return code if isinstance(code, int) else 0


def _usage(text: str, error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "cancel-worker"
    return f"{text.rstrip('.')}; see {path} --help"
