"""What JupyterLab does in the image: on the first start it copies the examples to its folder.

The image's own folder is read-only, and the home directory may be a volume that outlives the pod.
"""

import shutil
from pathlib import Path

c = get_config()  # noqa: F821 (Jupyter's)

examples = Path.home() / "examples"
if not examples.exists():
    shutil.copytree("/opt/aer-dask/notebooks", examples)
c.ServerApp.root_dir = str(Path.home())
