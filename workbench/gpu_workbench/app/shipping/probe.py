"""Runs in the session, in any image: says which modules it lacks. Nothing is imported for it, so it takes milliseconds."""


def find_lacking(modules, gpus):  # type: ignore[no-untyped-def]
    """Module to what is wrong with it there, for those that are not there, or that see no GPU where there is one."""
    import importlib.util
    import pathlib
    import re

    lacking = {}
    for name in modules:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError):
            spec = None
        if spec is None:
            lacking[name] = f"{name} is not in the image"
        elif name == "torch" and gpus and spec.origin:
            version = pathlib.Path(spec.origin).with_name("version.py")
            text = version.read_text() if version.exists() else ""
            if re.search(r"^cuda\b[^=\n]*=\s*None", text, re.M) and not re.search(
                r"^hip\b[^=\n]*=\s*['\"]", text, re.M
            ):
                lacking[name] = "torch there is CPU-only"
    return lacking
