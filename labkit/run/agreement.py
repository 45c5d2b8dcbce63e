"""Does the journal say what the tag files say? Recount every segment and compare."""

from collections.abc import Callable
from dataclasses import dataclass

from analysis.counting import count
from analysis.counting.shifted import shifted_counts
from analysis.tagfile.source import TagFileError
from labkit.run.folder import RunFolder
from labkit.run.integrity import hashes_of, misfits_of
from labkit.run.journal import Block
from labkit.run.lines import is_there
from labkit.run.parts import parts_of
from labkit.run.record import read_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What `check_run` found.

    Attributes
    ----------
    blocks : int
        Blocks in the journal.
    trials : int
        Trials of all of them, good or not.
    differences : dict of str to str
        File to what is wrong with it; empty if journal and tag files agree.
    """

    blocks: int
    trials: int
    differences: dict[str, str]

    def to_dict(self) -> dict[str, object]:
        """Return plain types."""
        return {"blocks": self.blocks, "trials": self.trials, "differences": self.differences}

    def __str__(self) -> str:
        if not self.differences:
            return f"{self.blocks} blocks, {self.trials:,} trials: journal and tag files agree"
        lines = [f"{segment}: {what}" for segment, what in self.differences.items()]
        return "\n".join([*lines, f"{len(lines)} files do not agree ({self.blocks} blocks)"])


def check_run(folder: RunFolder, progress: Callable[[int, int], None] | None = None) -> Agreement:
    """Recount the segment of every block and compare with its line in the journal.

    Hashes of segments and records are compared too. Segments that are in no line are told, apart
    from the one being written and those set aside as incomplete.

    Parameters
    ----------
    folder : RunFolder
    progress : callable, optional
        Told (blocks checked, blocks in all).
    """
    blocks = folder.journal.read()
    differences = _twice(blocks)
    for done, block in enumerate(blocks, 1):
        if what := _difference(folder, block):
            differences[block.segment] = what
        if progress is not None:
            progress(done, len(blocks))
    for misfit in misfits_of(folder, hashes_of(blocks)):
        differences.setdefault(misfit.file, misfit.what)
    listed = {block.segment for block in blocks}
    being_written = folder.relative(folder.segment_path(len(blocks) + 1))
    for path in sorted((folder.path / "tags").glob("block_*.ptu")):
        segment = folder.relative(path)
        if segment not in listed and segment != being_written:
            differences[segment] = "is in no line of the journal"
    trials = sum(block.trials for block in blocks)
    return Agreement(blocks=len(blocks), trials=trials, differences=differences)


def _twice(blocks: list[Block]) -> dict[str, str]:
    first: dict[str, int] = {}
    found = {}
    for block in blocks:
        if block.segment in first:
            found[block.segment] = f"counts in blocks {first[block.segment]} and {block.number}"
        first.setdefault(block.segment, block.number)
    return found


def _difference(folder: RunFolder, block: Block) -> str:
    """Return how a block differs from its segment, or ""."""
    try:
        path = folder.path / block.segment
        is_there(path)  # refuses a pipe, which would be waited for
        again = count(path, block.gates).to_dict()
        shifted = None
        if block.shifted is not None:
            shifted = shifted_counts(path, block.gates, block.trials).pairs.tolist()
        record = folder.record_path(block.number)
        parts = block.parts
        if record.is_file():
            parts = parts_of(path, block.counts, read_record(record).spans)
    except (OSError, TagFileError, ValueError) as error:
        return f"cannot be counted: {error}"
    said = block.counts.to_dict()
    wrong = [name for name in again if again[name] != said[name]]
    wrong += ["shifted"] if shifted != block.shifted else []
    wrong += ["parts"] if parts != block.parts else []
    return f"{', '.join(wrong)} differ from the journal" if wrong else ""
