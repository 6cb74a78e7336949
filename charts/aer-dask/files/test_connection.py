"""helm test: the scheduler has workers that answer, and JupyterLab is up."""

import os
import urllib.request

from distributed import Client

with Client(os.environ["SCHEDULER"], timeout=60) as client:
    client.wait_for_workers(1, timeout=300)
    workers = client.run(lambda: True)
print(f"{os.environ['SCHEDULER']}: workers that answer: {len(workers)}")

jupyter = os.environ.get("JUPYTER")
if jupyter:
    with urllib.request.urlopen(jupyter + "api", timeout=60) as answer:
        print(f"{jupyter} is JupyterLab: {answer.read().decode().strip()}")
