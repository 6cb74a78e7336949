"""What a notebook's kernel does first: it has Dask not warn of pandas, and of pandas alone.

Dask compares pandas' version, if any, everywhere. Qiskit's figures bring it here; workers, which
need none, have none.
"""

c = get_config()  # noqa: F821 (IPython's)

rule = r"\+[-+]+\+"
only_pandas = (
    rf"Mismatched versions found\s+{rule}\n\| Package .*\n{rule}\n\| pandas .*\n{rule}\s*$"
)
c.InteractiveShellApp.exec_lines = [
    f"import warnings; warnings.filterwarnings('ignore', r'''{only_pandas}'''); del warnings"
]
