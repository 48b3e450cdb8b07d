"""Why a path is not what a command takes, and which paths near it are."""

from pathlib import Path

_NAMED = 3


def explain_no_run(path: Path) -> str:
    """What to say of a path that is no run folder; it names run folders near the path."""
    runs = sorted(file.parent for file in path.glob("seed_*/config.yaml"))
    runs = runs or sorted(file.parent for file in path.glob("*/seed_*/config.yaml"))
    if (path.parent / "config.yaml").exists():
        runs = [path.parent]
    return _explain(path, "no run here (there is no config.yaml)", runs)


def explain_no_experiment(path: Path) -> str:
    """The same about a path that is no experiment's folder with metrics."""
    near = [path.parent.parent, path.parent, *sorted(path.glob("*/"))]
    experiments = [folder for folder in near if any(folder.glob("*/seed_*/metrics.jsonl"))]
    return _explain(path, "no run with metrics here (looked for */seed_*/)", experiments)


def _explain(path: Path, fault: str, near: list[Path]) -> str:
    if not path.is_dir():
        return "not a folder" if path.exists() else "no such folder"
    if not near:
        return fault
    more = f" (and {len(near) - _NAMED} more)" if len(near) > _NAMED else ""
    return f"{fault}; did you mean {' or '.join(map(str, near[:_NAMED]))}{more}?"
