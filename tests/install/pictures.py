"""Run by the Python of an installation with the extra of notebooks: all draws, and all imports."""

import importlib

import matplotlib
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector
from qiskit.visualization import plot_histogram, plot_state_city, plot_state_qsphere

from aer_dask import AerSimulator, EmbeddedCluster


def main() -> None:
    """Draw what notebooks draw, and a job."""
    matplotlib.use("Agg")
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    state = Statevector(circuit)
    circuit.measure_all()
    with EmbeddedCluster(workers=1) as cluster:
        job = AerSimulator(executor=cluster).run([circuit], shots=100)
        pictures = [plot_histogram(job.result(timeout=120).get_counts()), job.plot()]
    pictures += [circuit.draw("mpl"), plot_state_city(state), plot_state_qsphere(state)]
    assert all(pictures)
    assert "qcircuit" in circuit.draw("latex_source")
    for name in ("dask_kubernetes", "dask_labextension", "ipywidgets", "jupyterlab", "pydot",
                 "pyscf", "qiskit_algorithms", "qiskit_nature"):  # fmt: skip
        importlib.import_module(name)


if __name__ == "__main__":
    main()
