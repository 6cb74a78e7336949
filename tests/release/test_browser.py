"""What a user sees: JupyterLab in a browser, a notebook that runs, and the cluster's dashboard."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Page, expect, sync_playwright

from ..kubernetes import packages
from ..wheels import build_wheel
from .release import MINIKUBE, Release

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def page() -> Iterator[Page]:
    """A page of Debian's Chromium, without a window."""
    packages.install(packages.BROWSER)
    with sync_playwright() as playwright:
        # as root, which CLUSTER=host needs, Chromium has no sandbox
        chromium = playwright.chromium
        browser = chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 950})
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def log_in(page: Page, address: str, token: str) -> None:
    """Open an address of JupyterLab, which asks for its token first."""
    page.goto(f"http://{address}")
    page.fill("input[name=password]", token)
    page.click("button[type=submit]")


def run_all_cells(page: Page, last: str) -> None:
    """Run the notebook that is open, until the last of its outputs is this."""
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    outputs = page.locator(".jp-OutputArea-output pre")
    expect(outputs.last).to_have_text(last, timeout=120_000)


def test_from_the_welcome_page_a_notebook_runs_and_the_dask_tab_shows_the_workers(
    release: Release, page: Page
) -> None:
    # under a path, which the page's own address has to follow
    release.install(MINIKUBE, values={"jupyter.baseUrl": "/lab/"})
    with release.forwarded(f"{release.name}-aer-dask-jupyter", 80) as address:
        log_in(page, f"{address}/lab/", release.token())
        title = page.get_by_role("heading", name="Qiskit Aer on this cluster")
        expect(title).to_be_visible(timeout=60_000)
        page.get_by_role("link", name="quickstart.ipynb").click()
        run_all_cells(page, last="[]")

        page.get_by_role("button", name="Launch dashboard in JupyterLab").click()
        stream = page.frame_locator("iframe[src*=individual-task-stream]")
        expect(stream.locator("canvas").first).to_be_visible(timeout=60_000)
        assert not page.get_by_text("Jupyter news").is_visible()


def test_what_a_notebook_installs_outlives_the_pod_and_leaves_the_images_packages(
    release: Release, page: Page, tmp_path: Path
) -> None:
    release.install(MINIKUBE)
    for version, requires in {"1.0": (), "1.1": (), "2.0": ("qiskit<2",)}.items():
        wheel = build_wheel(tmp_path, "greeting", f"hello {version}", version, requires)
        put(release, f"wheels/{wheel.name}", wheel.read_bytes())
    # a greeting that wants another qiskit is passed over; asked for, it is refused
    install = "%pip install --no-index --find-links=/home/aer/wheels greeting"
    cells = [f"{install}==1.0", f"{install} --upgrade", f"{install}==2.0"]
    cells.append("import greeting; print(greeting.WORD)")
    put(release, "packages.ipynb", notebook(cells).encode())
    jupyter = f"{release.name}-aer-dask-jupyter"
    with release.forwarded(jupyter, 80) as address:
        log_in(page, f"{address}/lab/tree/packages.ipynb", release.token())
        run_all_cells(page, last="hello 1.1")
        expect(page.get_by_text("(constraint) qiskit==").first).to_be_visible()

    release.kubectl("rollout", "restart", f"deployment/{jupyter}")
    release.kubectl("rollout", "status", f"deployment/{jupyter}", "--timeout=180s")
    assert release.execute("jupyter", "python", "-c", IMPORTS).splitlines() == [
        "hello 1.1",
        "/opt/venv/lib/python3.11/site-packages/qiskit/__init__.py",
        "['1.1']",
    ]
    # to workers it goes by Dask's way for modules, not by its way for packages
    said = release.execute("jupyter", "python", "-c", ON_WORKERS)
    assert said.splitlines() == ["{'hello 1.1'}", NO_PIP]


IMPORTS = """
import greeting, importlib.metadata, qiskit
print(greeting.WORD)
print(qiskit.__file__)
print([d.version for d in importlib.metadata.distributions(name="greeting")])
"""
NO_PIP = "pip install failed with '/opt/venv/bin/python: No module named pip'"
ON_WORKERS = """
import greeting
from distributed import Client, PipInstall

with Client() as client:
    client.wait_for_workers(2, timeout=60)
    client.upload_file(greeting.__file__)
    print(set(client.run(lambda: __import__("greeting").WORD).values()))
    try:
        client.register_plugin(PipInstall(["greeting"]))
    except RuntimeError as failure:
        print(str(failure).strip())
"""


def put(release: Release, path: str, content: bytes) -> None:
    """Write a file in JupyterLab's home directory."""
    text = base64.b64encode(content).decode()
    program = (
        "import base64, pathlib, sys; path = pathlib.Path.home() / sys.argv[1]; "
        "path.parent.mkdir(exist_ok=True); path.write_bytes(base64.b64decode(sys.argv[2]))"
    )
    release.execute("jupyter", "python", "-c", program, path, text)


def notebook(cells: list[str]) -> str:
    """A notebook of code cells, whose kernel is Python."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    made.metadata.kernelspec = {"name": "python3", "display_name": "Python 3 (ipykernel)"}
    return nbformat.writes(made)
