"""`make mutants`: faults put into the package one by one, and which of them no test notices.

    python -m tests.mutation runs/merge --every 4    # each fourth fault, spread over the module

With cosmic-ray, on a copy of the repository: a run that is killed leaves no fault behind, and is
gone on with when it is started again. (mutmut forks, and a fork of a process that has run Aer hangs
with its OpenMP threads.)
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import TestOutcome, WorkerOutcome, WorkResult

ROOT = Path(__file__).resolve().parent.parent
#: The modules, or folders of them, and the tests whose work it is to notice.
TESTS = {
    "runs/plan": "test_plan test_kept test_bits test_prediction",
    "runs/merge": "test_bits test_pipeline test_kept",
    "compile/columns": "test_columns test_templates test_prefix test_noise_sampling test_bits",
    "trajectories": "test_trajectories test_noise_sampling test_shared_rules",
}
#: Faults that somebody might make: of a pair of operators the other one, and not each other one.
LIKELY = re.compile(
    "core/(?:NumberReplacer|AddNot|Replace(?:And|Or|True|False|Break|Continue)With.*"
    "|ZeroIterationForLoop|ExceptionReplacer|ReplaceUnaryOperator_Delete_.*"
    "|ReplaceBinaryOperator_(?:Add_Sub|Sub_Add|Mul_FloorDiv|Div_Mul|FloorDiv_Mul|Mod_FloorDiv"
    "|Pow_Mul|LShift_RShift|RShift_LShift|BitXor_BitOr|BitAnd_BitOr)"
    "|ReplaceComparisonOperator_(?:Eq_NotEq|NotEq_Eq|Lt_LtE|LtE_Lt|Gt_GtE|GtE_Gt|Is_IsNot"
    "|IsNot_Is|In_NotIn|NotIn_In))"
)


def main() -> None:
    """Make the faults, and print those that were not noticed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=TESTS)
    parser.add_argument("--every", type=int, default=1, help="make each so-manieth fault only")
    words = parser.parse_args()
    folder = ROOT / "build" / "mutants" / words.part.replace("/", "-")
    session = folder / f"every-{words.every}.sqlite"
    prepare(folder, words.part)  # anew: a run that was killed has left its fault in the copy
    if not session.exists():
        cosmic_ray(folder, "init", "config.toml", session.name)
        with use_db(session, WorkDB.Mode.open) as faults:
            leave_out(faults, words.every)
    cosmic_ray(folder, "baseline", "config.toml")  # without a fault, the tests pass
    cosmic_ray(folder, "exec", "config.toml", session.name)
    with use_db(session, WorkDB.Mode.open) as faults:
        report(faults)


def prepare(folder: Path, part: str) -> None:
    """Copy the files that git knows, and say what is to be done."""
    ls_files = ["git", "ls-files"]
    listed = subprocess.run(ls_files, cwd=ROOT, check=True, text=True, capture_output=True)
    for name in filter(lambda name: (ROOT / name).exists(), listed.stdout.splitlines()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    path = f"src/aer_dask/{part}"
    tests = " ".join(f"tests/unit/{name}.py" for name in TESTS[part].split())
    pytest = "-m pytest -x -q -p no:cacheprovider --hypothesis-seed=0"
    settings = {
        "module-path": path if (ROOT / path).is_dir() else f"{path}.py",
        "timeout": 300.0,
        "excluded-modules": [],
        "test-command": f"{sys.executable} {pytest} {tests}",
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    config = ["[cosmic-ray]", *lines, "[cosmic-ray.distributor]", 'name = "local"', ""]
    (folder / "config.toml").write_text("\n".join(config))


def cosmic_ray(folder: Path, *words: str) -> None:
    """Run cosmic-ray in the copy, whose package comes before the one that is installed."""
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    command = [Path(sys.executable).with_name("cosmic-ray"), *words]
    subprocess.run(command, cwd=folder, env=environment, check=True)


def leave_out(faults: WorkDB, every: int) -> None:
    """Skip faults that nobody would make, and of the others all but each so-manieth."""
    made = 0
    for item in sorted(faults.pending_work_items, key=lambda item: item.mutations[0].start_pos):
        if LIKELY.fullmatch(item.mutations[0].operator_name):
            made += 1
            if made % every == 0:
                continue
        faults.set_result(item.job_id, WorkResult(worker_outcome=WorkerOutcome.SKIPPED))


def report(faults: WorkDB) -> None:
    """Print each fault that no test noticed, and how many were made."""
    counts = Counter[str]()
    for _, result in faults.completed_work_items:
        if result.worker_outcome != WorkerOutcome.SKIPPED:
            counts[str(result.test_outcome and result.test_outcome.value)] += 1
        if result.test_outcome == TestOutcome.SURVIVED:
            print(result.diff, end="\n\n")
    print(f"{counts.total()} faults: " + ", ".join(f"{n} {what}" for what, n in counts.items()))


if __name__ == "__main__":
    main()
