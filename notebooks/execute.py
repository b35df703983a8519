"""Execute the notebooks and save them in place.

Of the outputs, only measured times change, and the date, commits and clips of the report that the fifth shows.

`make notebooks` runs it; `python notebooks/execute.py notebooks/01-keys.ipynb` executes one. Each runs in a fresh
kernel and in a temporary folder, so that it needs nothing that an earlier one left.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
SECONDS = 600  # that a cell may take on a machine with much else to do; all of a notebook takes less than 120 alone
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def execute(path: Path, folder: str) -> NotebookNode:
    """The notebook `path`, executed in a fresh kernel with `folder` as its working directory; it is not written."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        startup_timeout=SECONDS,
        kernel_name=KERNEL["name"],
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": folder}},
    )
    client.execute()
    return normalised(notebook)


def normalised(notebook: NotebookNode) -> NotebookNode:
    """The same notebook with the metadata that a reader needs: what kernel it wants; tags and ids of cells stay."""
    notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata = {name: value for name, value in cell.metadata.items() if name == "tags"}
        for output in cell.get("outputs", ()):
            if "metadata" in output:
                output.metadata = {}
    nbformat.validate(notebook)
    return notebook


def main(paths: list[Path]) -> None:
    """Execute these notebooks, by default all, and save each when it is done."""
    for path in paths or sorted(FOLDER.glob("*.ipynb")):
        start = perf_counter()
        with TemporaryDirectory() as folder:
            notebook = execute(path, folder)
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
        print(f"{path.name}: {perf_counter() - start:.0f} s, {path.stat().st_size / 1e3:,.0f} kB")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])
