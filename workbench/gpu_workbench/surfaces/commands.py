"""The subcommands of ``%gpu`` and of ``gpu-workbench``: one table."""

from __future__ import annotations

from typing import NamedTuple

from gpu_workbench.surfaces import readers
from gpu_workbench.surfaces.flags import (
    DASK_FLAGS,
    DETACH_FLAG,
    DRY_RUN_FLAGS,
    RUN_NAME_FLAG,
    SESSION_FLAG,
    TARGET_FLAGS,
    WORKLOAD_FLAGS,
)
from gpu_workbench.surfaces.lines import Flag

MAGIC = "%gpu"
PROGRAM = "gpu-workbench"


class Argument(NamedTuple):
    """A word of a command that is no flag.

    Args:
        name: What it is called in help; ``A,B`` are names of variables.
        help: What it means.
        needed: The command cannot do without it.
        many: There may be several.
        choices: All its values, where they can be listed.
        completes: ``run`` where runs and sessions can stand for it. In a notebook it may be left out and means the
            notebook's own session; the program has no notebook and needs it.
    """

    name: str
    help: str
    needed: bool = False
    many: bool = False
    choices: tuple[str, ...] = ()
    completes: str = ""


class CommandSpec(NamedTuple):
    """One subcommand.

    Args:
        name: Its word; empty for the overview.
        summary: What it does, one sentence.
        examples: Lines without ``%gpu`` before them.
        here: Further ones, that mean this notebook's own session.
        arguments: Its words, in order.
        flags: The flags it takes.
        detail: What else one needs to know.
        rest: What follows ``--`` is called so in help; empty where nothing may follow.
        raw: All words after the command belong to ``rest``.
        program: It is also a command of ``gpu-workbench``.
    """

    name: str
    summary: str
    examples: tuple[str, ...]
    arguments: tuple[Argument, ...] = ()
    flags: tuple[Flag, ...] = ()
    detail: str = ""
    rest: str = ""
    raw: bool = False
    program: bool = False
    here: tuple[str, ...] = ()

    def examples_for(self, prefix: str) -> tuple[str, ...]:
        """Whole lines, as they are typed in a notebook or in a shell."""
        lines = (*(self.here if prefix == MAGIC else ()), *self.examples)
        return tuple(f"{prefix} {line}".rstrip() for line in lines)


_RUN = Argument(
    "RUN",
    "A run or a session: its name, its id, or an unambiguous beginning of either.",
    completes="run",
)
_NAMES = Argument("A,B", "Names of variables.", needed=True, many=True)

ALL_FLAG = Flag("--all", "Those that have ended, too.", "--all")
STOP_ALL_FLAG = Flag("--all", "All sessions and runs that are mine.", "--all")
FOLLOW_FLAG = Flag("--follow", "Goes on until the run has ended.", "-f", short="-f")
TAIL_FLAG = Flag("--tail", "The last lines alone.", "--tail 100", "N", readers.count)
RANK_FLAG = Flag(
    "--rank", "The output of this rank, where there are several.", "--rank 3", "R", readers.count
)
FORCE_FLAG = Flag("--force", "Does not wait for a node that no longer answers.", "--force")
ROLE_FLAG = Flag("--role", "Prints the Role to send to an administrator.", "--role")
SAVE_FLAG = Flag("--save", "Keeps it for other notebooks too, in the user's file.", "--save")

_USE_FLAGS = tuple(
    flag
    for flag in (*TARGET_FLAGS, *WORKLOAD_FLAGS)
    if flag.name in ("--context", "--namespace", "--profile")
)
_DASK_WORKLOAD_FLAGS = tuple(
    flag._replace(help="Time without a task after which the cluster is ended.")
    if flag.name == "--idle-limit"
    else flag
    for flag in WORKLOAD_FLAGS
    if flag.name not in ("--time-limit", "--nodes", "--nproc-per-node")
)
_RUN_FLAGS = tuple(flag for flag in WORKLOAD_FLAGS if flag.name != "--idle-limit")

COMMANDS: tuple[CommandSpec, ...] = (
    CommandSpec("", "Shows this notebook's session and what else is running.", ("",), flags=TARGET_FLAGS),
    CommandSpec(
        "start",
        "Starts or queues a session and returns at once; the kernel stays free while it waits.",
        ("start --gpus h200:8", "start --profile h200 --session training --idle-limit 2h"),
        flags=(*WORKLOAD_FLAGS, SESSION_FLAG, *DRY_RUN_FLAGS, *TARGET_FLAGS),
    ),
    CommandSpec(
        "dask",
        "Starts a Dask cluster, or finds the one of that name, and binds a connected client.",
        (
            "dask --n-workers 4 --gpus 1",
            "dask --name etl --gpus 0 --cpus 2 --memory 8Gi --nthreads 2 --adapt 0:8",
            "dask --n-workers 2 --gpus 1 --group cpu=4 --as gpu_client",
        ),
        flags=(*_DASK_WORKLOAD_FLAGS, *DASK_FLAGS, *DRY_RUN_FLAGS, *TARGET_FLAGS),
        detail="It lives on without this notebook: %gpu attach NAME connects to it from any other, %gpu stop NAME ends it.",
    ),
    CommandSpec(
        "ls",
        "Lists sessions and runs, from every notebook of mine.",
        ("ls", "ls --all"),
        flags=(ALL_FLAG, *TARGET_FLAGS),
        program=True,
    ),
    CommandSpec(
        "logs",
        "Shows the output of a run again.",
        ("logs baseline", "logs 3f2 -f", "logs baseline --rank 3"),
        (_RUN,),
        (FOLLOW_FLAG, TAIL_FLAG, RANK_FLAG, *TARGET_FLAGS),
        program=True,
    ),
    CommandSpec(
        "why",
        "Says in one sentence why a run or a session waits, or how it ended.",
        ("why baseline",),
        (_RUN,),
        TARGET_FLAGS,
        here=("why",),
        program=True,
    ),
    CommandSpec(
        "top",
        "Shows what a run uses: GPUs, memory, progress.",
        ("top baseline",),
        (_RUN,),
        TARGET_FLAGS,
        here=("top",),
        program=True,
    ),
    CommandSpec(
        "capacity",
        "Shows which GPUs there are, how many are free, what waits for them, and the namespace's quota.",
        ("capacity",),
        flags=TARGET_FLAGS,
        detail="What you may not see is n/a, with the right that is missing.",
        program=True,
    ),
    CommandSpec(
        "vars",
        "Lists variables: where they are, their size, and whether the two copies differ.",
        ("vars", "vars --session training"),
        flags=(SESSION_FLAG, *TARGET_FLAGS),
    ),
    CommandSpec(
        "push",
        "Sends variables to the session now.",
        ("push x,y",),
        (_NAMES,),
        (SESSION_FLAG, *TARGET_FLAGS),
    ),
    CommandSpec(
        "pull",
        "Brings variables of the session here.",
        ("pull model,loss",),
        (_NAMES,),
        (SESSION_FLAG, *TARGET_FLAGS),
    ),
    CommandSpec(
        "cp",
        "Copies files and folders to or from a session, as kubectl cp does.",
        ("cp data.csv :data.csv", "cp training:checkpoints ./checkpoints"),
        (
            Argument(
                "SOURCE", "A path here, or SESSION:PATH there; :PATH is this notebook's session.", needed=True
            ),
            Argument("TARGET", "The same.", needed=True),
        ),
        TARGET_FLAGS,
        detail=(
            "A folder becomes TARGET itself, beside what is there already. A file goes into TARGET where that is a folder. "
            "With / at its end TARGET is a folder that SOURCE goes into."
        ),
    ),
    CommandSpec(
        "pip",
        "Runs pip in the session, on every rank; installed packages are installed again after a restart.",
        ("pip install einops", 'pip install "transformers>=4.50" --no-deps'),
        rest="ARGUMENTS",
        raw=True,
        detail="All that follows is pip's own.",
    ),
    CommandSpec(
        "secret",
        "Makes, lists or removes Secrets for --secret. The value is asked for and never shown.",
        ("secret set HF_TOKEN", "secret ls", "secret rm HF_TOKEN"),
        (
            Argument("ACTION", "set, ls or rm.", needed=True, choices=("set", "ls", "rm")),
            Argument("NAME", "Name of the environment variable; not for ls."),
        ),
        TARGET_FLAGS,
    ),
    CommandSpec(
        "keep",
        "Puts off the moment at which an idle session ends itself.",
        ("keep 8h training",),
        (Argument("TIME", "From now, e.g. 90m or 2h.", needed=True), _RUN),
        TARGET_FLAGS,
        here=("keep 2h",),
        program=True,
    ),
    CommandSpec(
        "stop",
        "Ends a run or a session and releases its GPUs, after saying what will be lost.",
        ("stop baseline", "stop --all"),
        (_RUN,),
        (STOP_ALL_FLAG, FORCE_FLAG, *TARGET_FLAGS),
        here=("stop",),
        program=True,
    ),
    CommandSpec(
        "attach",
        "Shows a run here, from its beginning to its end, whichever notebook of mine started it.",
        ("attach baseline",),
        (_RUN,),
        TARGET_FLAGS,
    ),
    CommandSpec(
        "result",
        "Brings what a run gave with --out here.",
        ("result baseline",),
        (_RUN._replace(needed=True),),
        TARGET_FLAGS,
    ),
    CommandSpec(
        "use",
        "Chooses where cells run from now on in this notebook; alone, shows what is set, and where.",
        ("use kubernetes --namespace team-vision", "use local", "use --profile h200 --save"),
        (Argument("BACKEND", "local or kubernetes.", choices=("local", "kubernetes")),),
        (*_USE_FLAGS, SAVE_FLAG),
    ),
    CommandSpec(
        "doctor",
        "Checks the set-up and the rights, and says what to do about what it finds.",
        ("doctor", "doctor --role"),
        flags=(ROLE_FLAG, *TARGET_FLAGS),
        program=True,
    ),
    CommandSpec(
        "profiles",
        "Lists profiles, with the file and line that each value comes from.",
        ("profiles",),
        flags=TARGET_FLAGS,
        program=True,
    ),
    CommandSpec(
        "run",
        "Runs a script as a run of its own, with its output here; ends with its exit code.",
        ("run train.py --gpus 2", "run train.py --gpus h200:8 --detach -- --epochs 3"),
        (Argument("SCRIPT", "A Python file of the project.", needed=True),),
        (*_RUN_FLAGS, RUN_NAME_FLAG, DETACH_FLAG, *DRY_RUN_FLAGS, *TARGET_FLAGS),
        rest="ARGUMENTS",
        detail="What follows -- is the script's own.",
        program=True,
    ),
)


def commands_of(prefix: str) -> dict[str, CommandSpec]:
    """The commands of ``%gpu`` or of ``gpu-workbench``, by name."""
    return {spec.name: spec for spec in COMMANDS if prefix == MAGIC or spec.program}


def is_needed(argument: Argument, prefix: str) -> bool:
    """Whether a command cannot do without the word, in a notebook or as a program."""
    return argument.needed or (prefix == PROGRAM and argument.completes == "run")
