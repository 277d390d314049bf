"""``gpu-workbench``: what is useful outside a notebook."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence

from gpu_workbench.app.detached import not_kept
from gpu_workbench.app.outcomes import Outcome, outcome_of
from gpu_workbench.app.portal import Pull
from gpu_workbench.app.rank_logs import rank_outputs
from gpu_workbench.app.replay import Replay
from gpu_workbench.app.subscriptions import Subscription
from gpu_workbench.core.errors import Conflict, NotFound, Unreachable, UsageError, WorkbenchError
from gpu_workbench.core.model import Phase
from gpu_workbench.core.spec import Handle
from gpu_workbench.surfaces import scripts
from gpu_workbench.surfaces.command_lines import Command, parse_command
from gpu_workbench.surfaces.commands import MAGIC, PROGRAM
from gpu_workbench.surfaces.help import command_help
from gpu_workbench.surfaces.here import Here
from gpu_workbench.surfaces.magics.commands import COMMANDS
from gpu_workbench.surfaces.magics.dry_run import dry_script
from gpu_workbench.surfaces.magics.replay import last_lines
from gpu_workbench.surfaces.picture import explanation_of
from gpu_workbench.surfaces.plain import PlainOutputs
from gpu_workbench.surfaces.request import Request
from gpu_workbench.surfaces.sealed import found_again, sealed

BAD_USAGE = 2
FAILED = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    Args:
        arguments: The words after the program's name; those of this process where they are not given.
    """
    try:
        return _run(list(sys.argv[1:] if arguments is None else arguments))
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except WorkbenchError as error:
        _say(str(error))
        return BAD_USAGE if isinstance(error, UsageError) else FAILED


def _run(words: list[str]) -> int:
    if words == ["--version"]:
        from gpu_workbench.__about__ import __version__

        print(f"{PROGRAM} {__version__}")
        return 0
    command = parse_command(words, prefix=PROGRAM)
    if command.flags.help:
        print(command_help(command.name, prefix=PROGRAM))
        return 0
    here = Here(namespace={})
    if command.name == "run":
        return run(here, command)
    if command.name == "logs":
        return logs(here, command)
    action = COMMANDS.get(command.name)
    if action is None:
        raise UsageError(f"{PROGRAM} {command.name} is not there yet")
    shown = action(here, None, command)
    if shown is not None:
        print(shown)
    return 0


def run(here: Here, command: Command) -> int:
    """Run a script: its output here as it comes, its exit code as ours."""
    request, package = scripts.pack(here, command)
    if command.flags.dry_run:
        print(dry_script(request, command.flags, package, (command.word, *command.rest)))
        return 0
    lost = not_kept(package.spec, backend=request.backend)
    if lost:
        _say(lost)
    handle: Handle = here.portal.call(here.workbench(request.config).launch, request.backend, package)
    if command.flags.detach:
        print(handle.id)
        _say(f"{sealed(package, handle)}. {found_again(package, prefix=PROGRAM)}")
        return 0
    outcome = Following(here, request, handle).follow()
    if outcome is None:
        return FAILED
    if outcome.failure is None or outcome.failure.exit_code is None:
        _say_end(outcome)
    return outcome.exit_code


def logs(here: Here, command: Command) -> int:
    """The output of a run; with ``-f`` until it ends."""
    request = here.request(command.flags)
    workbench = here.workbench(request.config)
    found = here.portal.call(workbench.find, request.backend, command.word, owner=request.spec.owner)
    replay = here.portal.call(Replay.begin, workbench.backend(request.backend), found.handle, found.run)
    follow, rank = command.flags.follow, command.flags.rank
    written = rank_outputs(replay.subscription, found.run, rank, follow=follow) if rank else None
    pull = Pull(here.portal, written or replay.outputs(follow=follow))
    outputs, kept = PlainOutputs(), []
    while (taken := pull.take()) is not None:
        if command.flags.tail is None:
            outputs.publish(taken[0])
        else:
            kept.extend(taken[0])
    if kept:
        outputs.publish(last_lines(kept, command.flags.tail or 0))
    here.portal.call(replay.close)
    return 0


class Following:
    """Shows a run that this process started, and passes Ctrl-C on.

    Args:
        here: This process.
        request: What the line asked for.
        handle: The run.
    """

    def __init__(self, here: Here, request: Request, handle: Handle) -> None:
        self._here = here
        self._request = request
        self._handle = handle
        self._workbench = here.workbench(request.config)
        self._replay: Replay = here.portal.call(
            Replay.begin, self._workbench.backend(request.backend), handle
        )
        self._outputs = PlainOutputs()
        self._said = ""
        self._presses = 0

    @property
    def _subscription(self) -> Subscription:
        return self._replay.subscription

    def follow(self) -> Outcome | None:
        """Until it has ended."""
        try:
            with Pull(self._here.portal, self._replay.outputs(follow=True)) as pull:
                while True:
                    try:
                        taken = pull.take()
                        if taken is None:
                            return outcome_of(self._subscription)
                        self._outputs.publish(taken[0])
                        self._say_why_it_waits()
                    except KeyboardInterrupt:
                        self._interrupt()
        finally:
            self._here.portal.call(self._replay.close)

    def _say_why_it_waits(self) -> None:
        waiting = self._subscription.phase in (Phase.QUEUED, Phase.PENDING)
        explanation = explanation_of(self._subscription) if waiting else None
        if explanation is not None and explanation.sentence != self._said:
            self._said = explanation.sentence
            _say(explanation.sentence)

    def _interrupt(self) -> None:
        """Once: KeyboardInterrupt over there, or no start where it still waits. Again: it is ended."""
        self._presses += 1
        if self._presses == 1 and self._subscription.connected:
            _say("Interrupting the run; press Ctrl-C again to stop it")
            try:
                self._here.portal.call(self._interrupted)
            except NotFound:  # its agent is up, and it has not begun
                pass
            except (Conflict, Unreachable):  # it is over, or will be seen to be
                return
            else:
                return
        if self._presses <= 2:
            _say(f"Stopping {self._handle.spec.name or self._handle.id}")
            self._here.portal.call(self._workbench.stop, self._request.backend, self._handle)
            return
        raise KeyboardInterrupt

    async def _interrupted(self) -> None:
        channel = await self._subscription.channel()
        await channel.interrupt(self._handle.id, grade=1)


def _say_end(outcome: Outcome) -> None:
    if outcome.phase is not Phase.SUCCEEDED:
        _say(outcome.sentence or f"The run ended as {outcome.phase.value}")


def _say(sentence: str) -> None:
    """A line beside the output. What others say of ``%gpu`` is said of this program here."""
    sentence = sentence.replace(f"`{MAGIC} ", f"`{PROGRAM} ")
    print(f"{PROGRAM}: {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
