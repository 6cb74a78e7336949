"""Take the pictures of docs/ anew, from a real run, in a Chromium without a window.

    python scripts/screenshots.py [--release NAMESPACE/NAME]

On an embedded cluster and a JupyterLab with the settings of the image, else on a release.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from _cluster import ROOT, Release, environment, releases
from aer_dask import EmbeddedCluster

DOCS = ROOT / "docs"
#: Seconds for JupyterLab to start, and for a notebook to run.
PATIENCE = 120
#: The notebook of the pictures: circuits of many sizes, each a task.
CELLS = [
    """from distributed import Client

client = Client()
client""",
    """from aer_dask import AerSimulator
from qiskit.circuit.library import quantum_volume

backend = AerSimulator(executor=client, max_job_size=1)
circuits = [quantum_volume(8 + seed % 7, seed=seed) for seed in range(60)]
for circuit in circuits:
    circuit.measure_all()""",
    """job = backend.run([circuit.decompose() for circuit in circuits], shots=4000)
print(job.result().success)""",
    "job.plot();",
]


@dataclass(frozen=True)
class Lab:
    """A JupyterLab that runs: its address, which ends with a slash, and its token."""

    url: str
    token: str


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--release", default=os.environ.get("RELEASE"), help="NAMESPACE/NAME")
    wanted = parser.parse_args().release
    with on_release(wanted) if wanted else on_this_machine() as lab, chromium() as page:
        page.goto(lab.url)
        page.fill("input[name=password]", lab.token)
        page.click("button[type=submit]")
        welcome(page)
        with notebook(page, lab):
            dask_tab(page)
            plot(page)
            dashboard(page)


# --- the pictures ---------------------------------------------------------------------------------


def welcome(page: Page) -> None:
    """What JupyterLab opens on."""
    title = page.get_by_role("heading", name="Qiskit Aer on this cluster")
    expect(title).to_be_visible()
    page.get_by_role("listitem", name="quickstart.ipynb").wait_for()
    shoot(page, "lab")


def dask_tab(page: Page) -> None:
    """A notebook, and beside it what the workers do for it."""
    run_all_cells(page)
    page.get_by_role("button", name="Launch dashboard in JupyterLab").click()
    stream = page.frame_locator("iframe[src*=individual-task-stream]")
    expect(stream.locator("canvas").first).to_be_visible()
    run_all_cells(page)
    settle(page)
    shoot(page, "dask-tab")


def plot(page: Page) -> None:
    """Who ran what when: `job.plot()`, as the notebook shows it."""
    source = page.locator(".jp-OutputArea-output img").last.get_attribute("src") or ""
    data = base64.b64decode(source.partition("base64,")[2])
    save(Image.open(io.BytesIO(data)), "plot")


def dashboard(page: Page) -> None:
    """Dask's own page after that run, by way of JupyterLab's proxy."""
    panel = page.locator("iframe[src*=individual-task-stream]").get_attribute("src") or ""
    page.goto(panel.partition("individual-")[0] + "status")
    expect(page.locator("canvas").first).to_be_visible()
    settle(page)
    shoot(page, "dashboard")


@contextmanager
def notebook(page: Page, lab: Lab) -> Iterator[None]:
    """The notebook of the pictures, opened, and gone in the end."""
    content = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    content.metadata.kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    address = f"{lab.url}api/contents/pictures.ipynb"
    headers = {"Authorization": f"token {lab.token}"}
    page.request.put(address, headers=headers, data={"type": "notebook", "content": content})
    try:
        page.goto(f"{lab.url}lab/tree/pictures.ipynb?reset")
        yield
    finally:
        page.request.delete(address, headers=headers)


def run_all_cells(page: Page) -> None:
    """Run all cells of the notebook that is open, to the end of the run."""
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Restart Kernel and Run All Cells…").click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    expect(page.get_by_text("True", exact=True)).to_be_hidden()
    expect(page.get_by_text("True", exact=True)).to_be_visible()
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible()


def settle(page: Page) -> None:
    """Let Bokeh draw: it says nothing of when it has, and draws twice a second."""
    page.wait_for_timeout(3000)


def shoot(what: Page, name: str) -> None:
    """Write a picture of a page."""
    save(Image.open(io.BytesIO(what.screenshot())), name)


def save(picture: Image.Image, name: str) -> None:
    """Write a picture, in the 256 colours that suffice."""
    path = DOCS / f"{name}.png"
    picture.convert("RGB").quantize(256).save(path, optimize=True)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e3:.0f} kB")


@contextmanager
def chromium() -> Iterator[Page]:
    """A page of a Chromium without a window."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        sys.exit("This needs Chromium: on Debian, `apt-get install chromium`.")
    # as root, as in a container, Chromium has no sandbox
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    expect.set_options(timeout=PATIENCE * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        yield browser.new_page(viewport={"width": 1300, "height": 800})
        browser.close()


# --- where it runs --------------------------------------------------------------------------------


@contextmanager
def on_this_machine() -> Iterator[Lab]:
    """JupyterLab with the image's settings, beside an embedded cluster."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedCluster(workers=2) as cluster:
        home, token = Path(folder), "screenshots"
        dashboard = urlsplit(cluster.dashboard_link).netloc
        shutil.copytree(ROOT / "notebooks", home / "examples")
        settings = {
            "HOME": folder,
            "JUPYTER_TOKEN": token,
            "JUPYTER_RUNTIME_DIR": str(home / ".runtime"),
            "DASK_SCHEDULER_ADDRESS": cluster.scheduler_address,
            "DASK_DISTRIBUTED__DASHBOARD__LINK": f"/proxy/{dashboard}/status",
        }
        options = ["--no-browser", "--port=0", "--allow-root"]
        config = f"--config={ROOT / 'images' / 'jupyter_server_config.py'}"
        command = [sys.executable, "-m", "jupyter", "lab", config, *options]
        with (
            open(home / ".log", "w") as log,
            subprocess.Popen(
                command, env=os.environ | settings, cwd=folder, stdout=log, stderr=log
            ) as process,
        ):
            try:
                yield Lab(started(home, process), token)
            finally:
                process.terminate()


def started(home: Path, process: subprocess.Popen[bytes]) -> str:
    """The address of the JupyterLab with this home directory, once it listens."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        for path in (home / ".runtime").glob("jpserver-*.json"):
            with suppress(json.JSONDecodeError):  # not yet all of it
                return str(json.loads(path.read_text())["url"])
        time.sleep(0.2)
    sys.exit(f"JupyterLab did not start:\n{(home / '.log').read_text()}")


@contextmanager
def on_release(wanted: str) -> Iterator[Lab]:
    """The JupyterLab of a release, forwarded."""
    names = {f"{release.namespace}/{release.name}": release for release in releases()}
    if wanted not in names:
        sys.exit(f"The cluster has no release {wanted} of aer-dask; it has: {', '.join(names)}.")
    release = names[wanted]
    values = json.loads(release.helm("get", "values", release.name, "--all", "--output=json"))
    labels = f"app.kubernetes.io/instance={release.name},app.kubernetes.io/component=jupyter"
    service = release.kubectl("get", "service", f"--selector={labels}", "--output=name").strip()
    command = ["kubectl", f"--namespace={release.namespace}", "port-forward", service, ":80"]
    with subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, env=environment()
    ) as forwarding:
        try:
            said = forwarding.stdout.readline() if forwarding.stdout else ""
            port = said.split(" -> ")[0].rpartition(":")[2]
            base = f"http://localhost:{port}{values['jupyter']['baseUrl']}"
            yield Lab(base, token_of(release, values["jupyter"]["auth"], service))
        finally:
            forwarding.terminate()


def token_of(release: Release, auth: dict[str, str], service: str) -> str:
    """The token of a release's JupyterLab, whose Secret is called as its Service or by a value."""
    name = auth["existingSecret"] or service.rpartition("/")[2]
    key = auth["existingSecretKey"] if auth["existingSecret"] else "token"
    secret = json.loads(release.kubectl("get", "secret", name, "--output=json"))
    return base64.b64decode(secret["data"][key]).decode()


if __name__ == "__main__":
    main()
