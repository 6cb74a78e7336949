"""Sign what has been pushed, and attach to each image the document of what is in it: with cosign.

python3 -m images.sign [cosign's options]

Signed are the digests in build/pushed, where `make push` and `make push-chart` write them. Without
options the signature is that of whoever runs this, as an OpenID provider says: in GitHub's
workflow, the workflow itself.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from images.build import PUSHED, SBOMS


def main() -> None:
    """Sign all that has not been signed."""
    if not shutil.which("cosign"):
        sys.exit("cosign is missing: https://docs.sigstore.dev/cosign/system_config/installation/")
    if not PUSHED.exists():
        sys.exit("Nothing is here that was pushed and not signed: make push, make push-chart.")
    for pushed in PUSHED.read_text().split():
        for command in commands(pushed, SBOMS):
            words = ["cosign", *command, *sys.argv[1:], pushed]
            if (status := subprocess.run(words, check=False).returncode) != 0:
                sys.exit(f"cosign {command[0]} failed with exit status {status} for {pushed}.")
    PUSHED.unlink()


def commands(pushed: str, documents: Path) -> Iterator[list[str]]:
    """Cosign's commands for NAME:TAG@DIGEST, without what they are about."""
    yield ["sign", "--yes"]
    where, _, name = pushed.partition("@")[0].rpartition(":")[0].rpartition("/")
    if not where.endswith("/charts"):  # the chart has an image's name
        yield ["attest", "--yes", "--type=cyclonedx", f"--predicate={documents / name}.cdx.json"]


if __name__ == "__main__":
    main()
