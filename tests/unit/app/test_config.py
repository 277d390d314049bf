"""Settings: which place wins, what is remembered of it, and what a wrong file says."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu_workbench.app.config import (
    HUB_VARIABLE,
    PROJECT_FILE,
    load,
    save_user_settings,
    unused_kubeconfig,
    user_file,
)
from gpu_workbench.app.config import _with_setting as with_setting
from gpu_workbench.app.documents import read_document
from gpu_workbench.app.settings import describe_settings, known_settings, read_setting, show_default
from gpu_workbench.core.errors import FlagError, ProfileError


@pytest.fixture
def project(home: Path) -> Path:
    folder = home / "project"
    folder.mkdir()
    return folder


def write_user(text: str) -> Path:
    user_file().parent.mkdir(parents=True, exist_ok=True)
    user_file().write_text(text)
    return user_file()


def test_with_nothing_set_cells_run_here(home: Path) -> None:
    config = load()
    assert config.settings.backend == "local"
    assert config.settings.values_limit == 2 * 2**30
    assert set(config.origins.values()) == {"built-in"}
    assert config.settings.state_dir == home / ".local/state/gpu-workbench"


def test_each_place_overrides_the_one_below_and_is_remembered(
    home: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = home / "hub.yaml"
    hub.write_text("# the hub\nnamespace: hub\nbackend: kubernetes\n")
    monkeypatch.setenv(HUB_VARIABLE, str(hub))

    def namespace(**places: dict[str, str]) -> tuple[str, str]:
        config = load(project=project, **places)
        assert config.settings.backend == "kubernetes"  # what nobody else says stays the hub's
        return config.settings.namespace, config.origins["namespace"]

    assert namespace() == ("hub", "~/hub.yaml:2")
    write_user("namespace: user\n")
    assert namespace() == ("user", "~/.config/gpu-workbench/config.yaml:1")
    (project / PROJECT_FILE).write_text("\n\nnamespace: project\n")
    assert namespace() == ("project", "~/project/gpu-workbench.yaml:3")
    monkeypatch.setenv("GPU_WORKBENCH_NAMESPACE", "environment")
    assert namespace() == ("environment", "GPU_WORKBENCH_NAMESPACE")
    assert namespace(used={"namespace": "used"}) == ("used", "%gpu use")
    assert namespace(used={"namespace": "used"}, flags={"namespace": "flag"}) == ("flag", "--namespace")


def test_values_are_read_as_people_write_them(home: Path) -> None:
    write_user("values-limit: 8Gi\nrefresh: 5\nsaved: none\nstate-dir: ~/state\n")
    settings = load().settings
    assert (settings.values_limit, settings.refresh, settings.saved) == (8 * 2**30, 5.0, "none")
    assert settings.state_dir == home / "state"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "backend: local\nbackens: local\n",
            r"config.yaml, line 2: nothing is called 'backens' here. Did you mean backend\?",
        ),
        (
            "backend: kubernets\n",
            r"line 1: backend: 'kubernets' is none of local, kubernetes. Did you mean kubernetes\?",
        ),
        ("values-limit: lots\n", "line 1: values-limit: 'lots' is not an amount of memory. Write it as"),
        ("\nrefresh: 100s\nnamespace:\n", "line 3: namespace has no value"),
        ("refresh: 0.1s\n", "'0.1s' is too often. Write 1s or longer"),
        ("state-dir: here\n", "is not an absolute path"),
        ("namespace: [a]\n", "namespace is not a single value"),
        ("profiles: 3\n", "profiles is not a mapping"),
        ("- backend\n", "the file is not a mapping"),
        ("backend: [", "this is no YAML"),
    ],
)
def test_a_wrong_file_says_file_line_key_and_what_is_allowed(home: Path, text: str, says: str) -> None:
    write_user(text)
    with pytest.raises(ProfileError, match=says):
        load()


def test_a_wrong_variable_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPU_WORKBENCH_SAVED", "some")
    with pytest.raises(ProfileError, match="GPU_WORKBENCH_SAVED: 'some' is none of summary, full, none"):
        load()


def test_a_cloned_project_does_not_choose_where_sockets_and_code_lie(project: Path) -> None:
    (project / PROJECT_FILE).write_text("state-dir: /tmp/theirs\n")
    with pytest.raises(ProfileError, match=r"line 1: state-dir cannot be set here.*Set it in ~/\.config"):
        load(project=project)


def test_a_hub_file_that_was_named_must_be_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HUB_VARIABLE, str(home / "none.yaml"))
    with pytest.raises(ProfileError, match=r"none\.yaml is not there: GPU_WORKBENCH_HUB_CONFIG names it"):
        load()


def test_a_file_that_cannot_be_read_is_no_missing_file(home: Path) -> None:
    user_file().mkdir(parents=True)
    with pytest.raises(ProfileError, match=r"config.yaml cannot be read: Is a directory"):
        load()


def test_unknown_flags_of_settings_suggest_the_nearest() -> None:
    with pytest.raises(FlagError, match="Did you mean namespace"):
        read_setting("namespase", "a")


# --- %gpu use --save


def test_what_is_saved_holds_in_the_next_kernel(home: Path) -> None:
    assert save_user_settings({"backend": "kubernetes", "namespace": "team"}) == user_file()
    settings = load().settings
    assert (settings.backend, settings.namespace) == ("kubernetes", "team")


def test_saving_leaves_the_rest_of_the_file_as_it_is(home: Path) -> None:
    write_user("# mine\nbackend: local  # for now\nprofiles:\n  big:  # two\n    gpus: 2\n")
    save_user_settings({"backend": "kubernetes", "context": "on"})
    text = user_file().read_text()
    assert "# mine\n" in text
    assert "backend: kubernetes  # for now\n" in text
    assert text.endswith("profiles:\n  big:  # two\n    gpus: 2\n")
    assert load().settings.context == "on"  # quoted where YAML would read another thing


@pytest.mark.parametrize(
    "values", [{"backend": "moon"}, {"colour": "red"}, {"backend": "local", "refresh": "0"}]
)
def test_what_cannot_be_set_is_not_saved(home: Path, values: dict[str, str]) -> None:
    before = write_user("backend: local\n").read_text()
    with pytest.raises(FlagError):
        save_user_settings(values)
    assert user_file().read_text() == before


@pytest.mark.parametrize("text", ["backens: local\n", "- backend\n", "backend: [\n"])
def test_a_file_that_is_wrong_already_is_not_touched(home: Path, text: str) -> None:
    write_user(text)
    with pytest.raises(ProfileError, match=r"config\.yaml, line"):
        save_user_settings({"backend": "local"})
    assert user_file().read_text() == text


DOCUMENTS = [
    "",
    "# remark\n",
    "---\n",
    "{}",
    "{backend: local}",
    "  backend: local\n  saved: none\n",
    "backend: local",
    "a:\n  - b\n",
]


@given(
    st.sampled_from(DOCUMENTS),
    st.sampled_from(["backend", "namespace"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1),
)
def test_any_text_is_saved_into_any_file(document: str, name: str, text: str) -> None:
    before = {key: item.value for key, item in read_document(document, source="f").mapping("f").items()}
    after = read_document(with_setting(document, name, text), source="f").mapping("f")
    assert after[name].value == text
    assert set(after) == {*before, name}


# --- A kubeconfig that lies around


def test_a_kubeconfig_that_lies_around_is_mentioned_and_not_used(home: Path) -> None:
    assert unused_kubeconfig(load()) == ""
    (home / ".kube").mkdir()
    (home / ".kube/config").write_text("token: hidden")
    config = load()
    assert config.settings.backend == "local"
    assert unused_kubeconfig(config).startswith("There is a kubeconfig at ~/.kube/config, which is not used")
    assert unused_kubeconfig(load(used={"backend": "local"})) == ""  # who has chosen is not told again


# --- What is documented


def test_every_setting_is_described_with_its_default() -> None:
    described = describe_settings()
    assert set(described) == set(known_settings())
    assert all(text.endswith(".") and len(text) > 20 for text in described.values())
    assert all(show_default(name) for name in known_settings())


def test_the_example_of_every_setting_can_be_read() -> None:
    for name, setting in known_settings().items():
        read_setting(name, setting.metadata["example"])


def test_the_names_of_settings_are_public() -> None:
    assert list(known_settings()) == [
        "backend",
        "context",
        "namespace",
        "profile",
        "saved",
        "refresh",
        "values-limit",
        "project-limit",
        "state-dir",
        "cache-dir",
        "data-dir",
        "recordings-limit",
        "recordings-count",
    ]
