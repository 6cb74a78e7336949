"""Ctrl-C in a terminal and the stop button of a notebook, while somebody waits for a job."""

import os
import signal
import subprocess
import sys

PROGRAM = """
import concurrent.futures, signal, time
from aer_dask import AerSimulator
from tests.circuits import pauli_noise, volume

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job has none
backend = AerSimulator(executor=concurrent.futures.ThreadPoolExecutor(1), noise_model=pauli_noise())
job = backend.run(volume(5), shots=1_000_000, max_shot_size=100, method="statevector")

def wait():
    try:
        job.result(progress=True)
    except KeyboardInterrupt:
        print(job.status().name, flush=True)

wait()
done = job.progress().done
while job.progress().done < done + 2:
    time.sleep(0.01)
print("it still ends tasks", flush=True)
wait()
"""


def read_until(stream, text):
    """What a stream gives, up to a text."""
    read = ""
    while text not in read:
        letter = stream.read(1)
        assert letter, f"ended before {text!r}: {read}"
        read += letter
    return read


def test_the_first_ctrl_c_leaves_the_job_running_and_the_second_cancels_it():
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    )  # fmt: skip
    read_until(program.stdout, "tasks:")  # the bar: it waits
    os.killpg(program.pid, signal.SIGINT)  # what a terminal does
    said = read_until(program.stdout, "RUNNING\n")
    assert "goes on, as long as this Python does: result() waits for it again; cancel()" in said
    read_until(program.stdout, "it still ends tasks\n")
    read_until(program.stdout, "tasks:")
    os.killpg(program.pid, signal.SIGINT)
    assert "is cancelled." in read_until(program.stdout, "CANCELLED\n")
    assert program.wait(timeout=60) == 0
