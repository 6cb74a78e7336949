"""What a user sees: JupyterLab in a browser, a notebook that runs, and the cluster's dashboard."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from ..kubernetes import packages
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


def test_a_notebook_runs_and_the_dask_tab_shows_the_workers(release: Release, page: Page) -> None:
    release.install(MINIKUBE)
    with release.forwarded(f"{release.name}-aer-dask-jupyter", 80) as address:
        page.goto(f"http://{address}/lab/tree/examples/quickstart.ipynb")
        page.fill("input[name=password]", release.token())
        page.click("button[type=submit]")
        expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60_000)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        outputs = page.locator(".jp-OutputArea-output pre")
        expect(outputs.last).to_have_text("[]", timeout=120_000)

        page.get_by_role("button", name="Launch dashboard in JupyterLab").click()
        stream = page.frame_locator("iframe[src*=individual-task-stream]")
        expect(stream.locator("canvas").first).to_be_visible(timeout=60_000)
        assert not page.get_by_text("Jupyter news").is_visible()
