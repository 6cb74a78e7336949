"""A cgroup of its own for each node of the `host` cluster; no other cgroup is touched."""

from __future__ import annotations

from pathlib import Path

from .common import STATE, wait_for

TREE = Path("/sys/fs/cgroup")
ENABLED_BY_US = STATE / "cgroup-controllers"


def hierarchies() -> list[Path]:
    """The roots of the hierarchies: one in cgroup v2, one for each controller in v1."""
    if (TREE / "cgroup.controllers").exists():
        return [TREE]
    return [path for path in TREE.iterdir() if (path / "tasks").exists() and not path.is_symlink()]


def create(name: str) -> None:
    """Make the cgroup in every hierarchy, with all CPUs and memory nodes of its parent."""
    if TREE in hierarchies():
        enable_controllers()
    for root in hierarchies():
        (root / name).mkdir(exist_ok=True)
        for key in ("cpuset.cpus", "cpuset.mems"):  # a v1 cpuset starts empty and lets nothing in
            if (root / key).exists():
                (root / name / key).write_text((root / key).read_text())


def enable_controllers() -> None:
    """In cgroup v2, pass every controller on to the nodes; note those that were not before."""
    passed_on = TREE / "cgroup.subtree_control"
    before = set(passed_on.read_text().split())
    missing = set((TREE / "cgroup.controllers").read_text().split()) - before
    with ENABLED_BY_US.open("a") as notes:
        for controller in sorted(missing):
            passed_on.write_text(f"+{controller}")
            print(controller, file=notes)


def remove(name: str) -> None:
    """Remove the cgroup and all below it; its processes have been told to end."""
    for root in TREE.glob(f"*/{name}") if TREE not in hierarchies() else [TREE / name]:
        wait_for(f"the processes in {root} to end", lambda root=root: removed(root))


def removed(cgroup: Path) -> bool:
    """Try to remove a cgroup, deepest first; a cgroup with a process left in it stays."""
    try:
        for directory in sorted((p for p in cgroup.rglob("*") if p.is_dir()), reverse=True):
            directory.rmdir()
        cgroup.rmdir()
    except FileNotFoundError:
        return not cgroup.exists()
    except OSError:
        return False
    return True


def restore_controllers() -> None:
    """In cgroup v2, stop passing on the controllers that were not passed on before."""
    if ENABLED_BY_US.exists():
        for controller in ENABLED_BY_US.read_text().split():
            (TREE / "cgroup.subtree_control").write_text(f"-{controller}")
