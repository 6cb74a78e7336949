"""Ctrl-C in a terminal and the stop button of a notebook, while somebody waits for a job."""

import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import sys

import pytest
from jupyter_client.manager import start_new_kernel
from qiskit.providers import JobStatus

from aer_dask import AerSimulator
from tests.circuits import pauli_noise, volume

PROGRAM = """
import concurrent.futures, signal, sys, time
from aer_dask import AerSimulator
from tests.circuits import pauli_noise, volume

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has none
pool = getattr(concurrent.futures, sys.argv[1])(1)
backend = AerSimulator(executor=pool, noise_model=pauli_noise(), method="statevector")
job = backend.run(volume(5), shots=100_000, max_shot_size=300)

def wait():
    try:
        job.result(progress=True)
    except KeyboardInterrupt:
        print(job.status().name, flush=True)

wait()
done = job.progress().done
while job.progress().done < done + 1:
    assert job.status().name == "RUNNING"
    time.sleep(0.01)
print("it still ends tasks", flush=True)
wait()
"""


#: The same job in a notebook, whose kernel has a handler of SIGINT.
CELL = "\n".join(
    line
    for line in PROGRAM.split("def wait():", maxsplit=1)[0].splitlines()
    if "default_int" not in line
).replace("sys.argv[1]", "'ThreadPoolExecutor'")


def read_until(stream, text):
    """What a stream gives, up to a text."""
    read = ""
    while text not in read:
        letter = stream.read(1)
        assert letter, f"ended before {text!r}: {read}"
        read += letter
    return read


@pytest.mark.parametrize("pool", ["ThreadPoolExecutor", "ProcessPoolExecutor"])
def test_the_first_ctrl_c_leaves_the_job_running_and_the_second_cancels_it(pool):
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, pool], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        read_until(program.stdout, "tasks:")  # the bar: it waits
        os.killpg(program.pid, signal.SIGINT)  # what a terminal does
        said = read_until(program.stdout, "RUNNING\n")
        assert "goes on, as long as this Python does: result() waits for it again; cancel()" in said
        read_until(program.stdout, "it still ends tasks\n")
        read_until(program.stdout, "tasks:")
        os.killpg(program.pid, signal.SIGINT)
        assert "is cancelled." in read_until(program.stdout, "CANCELLED\n")
        assert program.wait(timeout=60) == 0
    finally:
        program.kill()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_process_pool_hears_no_ctrl_c_while_a_job_uses_it(method):
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        backend = AerSimulator(executor=pool, noise_model=pauli_noise(), method="statevector")
        job = backend.run(volume(5), shots=20_000, seed_simulator=1, max_shot_size=200)
        while job.status() is JobStatus.RUNNING:
            for process in multiprocessing.active_children():
                os.kill(process.pid, signal.SIGINT)
        assert job.result().success
        assert set(job.attempts()) == {1}


def run_cell(client, code, on_output=lambda output: None):
    """What a cell shows, each message's content with its type, up to its end."""
    outputs, request = [], client.execute(code)
    while True:
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != request:
            continue
        output = {"type": message["msg_type"], **message["content"]}
        if output.get("execution_state") == "idle":
            return outputs
        outputs.append(output)
        on_output(output)


def test_a_notebook_shows_a_widget_and_its_stop_button_does_the_same():
    manager, client = start_new_kernel()
    view = "application/vnd.jupyter.widget-view+json"

    def stop_once_shown(output):
        if view in output.get("data", {}):
            manager.interrupt_kernel()

    def said(outputs):
        return "".join(output["text"] for output in outputs if output["type"] == "stream")

    try:
        assert not [o for o in run_cell(client, CELL) if o["type"] == "error"]
        first = run_cell(client, "job.result(progress=True)", stop_once_shown)
        assert [o["ename"] for o in first if o["type"] == "error"] == ["KeyboardInterrupt"]
        assert "goes on, as long as this Python does" in said(first)
        assert said(run_cell(client, "print(job.status().name)")) == "RUNNING\n"
        second = run_cell(client, "job.result(progress=True)", stop_once_shown)
        assert "is cancelled." in said(second)
        (shown,) = (o for o in run_cell(client, "job.report()") if o["type"] == "execute_result")
        assert "cancelled</td>" in shown["data"]["text/html"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
