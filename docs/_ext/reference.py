"""The directive ``{generated}``: a part of a reference page that is made from the code, so that it cannot differ from it."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from gpu_workbench.app import config, profile_fields, profiles, settings
from gpu_workbench.backends.kubernetes import rights
from gpu_workbench.core import errors, events, model
from gpu_workbench.core.explain import RULES
from gpu_workbench.surfaces import reference as surfaces
from gpu_workbench.surfaces.server.event_log import SCHEMAS
from gpu_workbench.surfaces.server.openapi_route import whole_description

Rows = Iterable[Iterable[object]]


def table(head: Iterable[str], rows: Rows) -> str:
    """A Markdown table; a bar within a cell is escaped."""

    def line(cells: Iterable[object]) -> str:
        return "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    head = list(head)
    return "\n".join([line(head), line("---" for _ in head), *map(line, rows)])


def first_sentence(thing: object) -> str:
    """What a docstring says first, as Markdown."""
    text = " ".join(inspect.getdoc(thing).split("\n\n")[0].split())
    return _markdown(re.split(r"(?<=\.) ", text)[0])


def _markdown(text: str) -> str:
    return re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")


def error_tree() -> str:
    """Every error, indented by what it is a kind of, with what it means."""
    return table(["error", "means", "the same call may succeed again"], _errors(errors.WorkbenchError, 0))


def _errors(kind: type[errors.WorkbenchError], depth: int) -> Iterator[tuple[str, str, str]]:
    again = "yes" if issubclass(kind, errors.Retryable) else ""
    yield ("·\u2003" * depth + f"`{kind.__name__}`", first_sentence(kind), again)
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from _errors(below, depth + 1)


def event_list() -> str:
    """Every event with its fields."""
    kinds = [
        kind
        for _, kind in inspect.getmembers(events, dataclasses.is_dataclass)
        if kind.__module__ == events.__name__ and kind.__name__ not in ("Entry", "Cursor")
    ]
    kinds.sort(key=lambda kind: inspect.getsourcelines(kind)[1])
    return table(
        ["event", "what happened", "fields"],
        (
            (
                f"`{kind.__name__}`",
                first_sentence(kind),
                ", ".join(f"`{field.name}`" for field in dataclasses.fields(kind)),
            )
            for kind in kinds
        ),
    )


def phases() -> str:
    """Every phase, and whether anything follows it."""
    return table(["phase", "ended"], ((f"`{p.value}`", "yes" if p.ended else "") for p in model.Phase))


def setting_list() -> str:
    """Every setting: its name in a file, what it is, its default, its environment variable."""
    described = settings.describe_settings()
    return table(
        ["setting", "what it is", "default", "environment variable"],
        (
            (f"`{name}`", described[name], settings.show_default(name), f"`{config.variable_of(name)}`")
            for name in settings.known_settings()
        ),
    )


def profile_keys() -> str:
    """Every key of a profile, with an example."""
    return table(
        ["key", "what it is", "example", "on `local`"],
        (
            (f"`{key}`", field.help, f"`{field.example}`", "" if field.cluster else "yes")
            for key, field in profile_fields.FIELDS.items()
        ),
    )


def profile_schema() -> str:
    """The JSON Schema of a configuration file."""
    return f"```json\n{json.dumps(profiles.profile_schema(), indent=2)}\n```"


def right_list() -> str:
    """Every right on the cluster, what for, and what is lost without it."""
    return table(
        ["verbs", "on", "what for", "without it"],
        (
            (
                ", ".join(f"`{verb}`" for verb in right.verbs),
                f"`{right.resource}`"
                + (f" ({right.group})" if right.group else "")
                + (", cluster-wide" if right.everywhere else ""),
                right.why,
                right.without,
            )
            for right in rights.RIGHTS
        ),
    )


def rule_list() -> str:
    """What `why` looks at, in its order."""
    return "\n".join(f"1. {first_sentence(rule)}" for rule in RULES)


def route_list() -> str:
    """Every route of the server's extension."""
    return table(
        ["request", "what it does", "answers"],
        (
            (
                f"`{method.upper()} {path}`",
                " ".join(filter(None, (f"{form['summary']}.", form.get("description", "")))),
                ", ".join(form["responses"]),
            )
            for path, methods in whole_description()["paths"].items()
            for method, form in methods.items()
            if method != "parameters"
        ),
    )


def jupyter_events() -> str:
    """Every event that Jupyter's server tells, with its members."""
    return "\n\n".join(map(_jupyter_event, sorted(SCHEMAS.glob("*.yaml"))))


def _jupyter_event(path: Path) -> str:
    form = yaml.safe_load(path.read_text())
    members = table(
        ["member", "what it is"],
        (
            (f"`{name}`", about.get("description", ", ".join(f"`{word}`" for word in about.get("enum", []))))
            for name, about in form["properties"].items()
        ),
    )
    return f"## {form['title']}\n\n`{form['$id']}`\n\n{form['description']}\n{members}"


def state_pictures() -> str:
    """Each state of a run as JupyterLab shows it, in the theme of whoever reads."""
    images = Path(__file__).parents[1] / "images" / "states"
    titles: dict[str, str] = json.loads((images / "states.json").read_text())
    return "\n\n".join(_state(title, name) for title, name in titles.items())


def _state(title: str, name: str) -> str:
    pictures = [
        f"```{{image}} ../images/states/{name}-{theme}.png\n:class: only-{theme}\n:alt: {title}\n```"
        for theme in ("light", "dark")
    ]
    return "\n\n".join([f"## {title[0].upper()}{title[1:]}", *pictures])


PARTS: dict[str, Callable[[], str]] = {
    "errors": error_tree,
    "events": event_list,
    "phases": phases,
    "settings": setting_list,
    "magics": surfaces.magics,
    "commands": surfaces.program,
    "rights": right_list,
    "why": rule_list,
    "routes": route_list,
    "jupyter-events": jupyter_events,
    "profile-keys": profile_keys,
    "profile-schema": profile_schema,
    "states": state_pictures,
}


class Generated(SphinxDirective):
    """Puts what a function of this module returns, Markdown, in the directive's place."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Parse the part named by the argument."""
        return self.parse_text_to_nodes(PARTS[self.arguments[0]](), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Called by Sphinx."""
    app.add_directive("generated", Generated)
    return {"parallel_read_safe": True, "version": "1"}
