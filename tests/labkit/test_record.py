"""The record of a run: no byte changes unnoticed, nothing after a measurement fails it."""

import hashlib
import json
import os
import random
import shutil
import sqlite3
import zipfile
from contextlib import suppress
from dataclasses import replace
from zlib import crc32

import pytest

from labkit.cli import run as run_command
from labkit.run import (
    Block,
    BlockOutcome,
    JournalError,
    Tail,
    check_run,
    create_run,
    open_run,
    recover_run,
    take_block,
    total_counts,
)
from labkit.run.crate import METADATA, export_run, import_run, verify_crate
from labkit.run.dataset import _PER_BLOCK, register_dataset
from labkit.run.left_out import left_out_of
from labkit.run.lines import framed, reaching_disk, read_lines
from labkit.run.manifest import ended
from labkit.run.packing import Bins, Packed, added
from labkit.run.repairing import repair_run
from labkit.run.results import attempt, left_over, registered
from labkit.run.sealing import seal_run, verify_run
from labkit.run.summary import SUMMARY
from labkit.sequence.pulses import riedinger2018_sequence
from simulation.recordings.ptu import simulate_ptu
from simulation.recordings.pulses import pulsed_timing
from simulation.theory.dlcz import riedinger2018

TRIALS = 20_000
GATES = pulsed_timing().gates
SETTING = {"procedure": "witness", "delta_phi": 0.3}


def recorder(number, trials=TRIALS, **outcome):
    def record(path, writer):
        simulate_ptu(path, riedinger2018(), trials, seed=number, overwrite=True)
        path.with_suffix(".gates.yaml").unlink()
        writer.sample(0.5, {"locked": 1.0, "temperature": 0.05})
        return BlockOutcome(**outcome)

    return record


def take(run, number, trials=TRIALS, **outcome):
    return take_block(run, GATES, number, recorder(number, trials, **outcome), SETTING)


def checked(text):
    """Return a line with its checksum, whatever the text is."""
    return f"{crc32(text.encode()):08x} {text}\n"


@pytest.fixture
def run(tmp_path):
    sequence = riedinger2018_sequence()
    return create_run(
        tmp_path / "runs", "witness", sequence.to_dict(), "station", gates=GATES,
        operator="A. Person", sample="chip 3", tags=("cold",),
    )  # fmt: skip


@pytest.fixture
def finished(run):
    for number in (1, 2, 3):
        take(run, number)
    run.write_manifest(ended(run.manifest(), "done"))
    seal_run(run)
    return run


def test_locked_database_is_told_in_a_line_and_registered_later_however_the_run_ended(
    finished, capfd
):
    database = finished.path.parent / "runs.db"
    lock = sqlite3.connect(database, isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    said = []
    with pytest.raises(KeyboardInterrupt), registered(finished, said.append):
        raise KeyboardInterrupt
    assert len(said) == 1
    assert "database is locked" in said[0]
    assert "runs repair" in said[0]
    assert set(left_over(finished)) == {"dataset"}
    assert "Traceback" not in capfd.readouterr().err
    with pytest.raises(RuntimeError, match=r"could not be saved this time either: dataset \("):
        list(repair_run(finished.path))
    assert set(left_over(finished)) == {"dataset"}
    lock.close()
    assert "dataset: saved" in list(repair_run(finished.path))
    assert left_over(finished) == {}
    assert verify_run(finished.path) == []


def test_counts_of_a_journal_are_those_that_were_counted_to_the_bit(recorded):
    _, counts = recorded
    bins = Bins.of(counts)
    packed = Packed.of(counts, bins)
    assert packed.counts() == counts
    assert added([packed, packed]) == counts + counts
    assert len(packed.text) < 2500
    with pytest.raises(ValueError, match="cannot be unpacked"):
        replace(packed, text=packed.text[:-8]).counts()
    with pytest.raises(ValueError, match="first of them its 1 trials"):
        replace(packed, number=1).counts()


def test_a_block_does_not_count_before_its_verdict(run, recorded):
    _, counts = recorded
    run.journal.append(Block(number=1, segment="tags/block_000001.ptu", counts=counts))
    (block,) = run.journal.read()
    assert (block.good, block.reason) == (False, "not verified")
    assert total_counts([block]) is None
    run.journal.judge(1, good=True)
    run.journal.judge(1, good=False, reason="seen later")
    assert [(b.good, b.reason) for b in run.journal.read()] == [(False, "seen later")]


def test_journal_of_format_1_stays_readable(run, recorded):
    _, counts = recorded
    old = {"number": 1, "segment": "tags/block_000001.ptu", "setting": SETTING, "good": True,
           "reason": "", "monitors": {}, "started": "", "ended": "", "duration": 1.0,
           "counts": counts.to_dict()}  # fmt: skip
    run.journal.path.write_text(framed(old) + framed(old | {"good": False, "reason": "drifted"}))
    take(run, 2)
    first, second = run.journal.read()
    assert (first.good, first.reason, first.counts == counts) == (False, "drifted", True)
    assert (second.good, second.number) == (True, 2)


def test_a_tail_reads_new_lines_only_and_sees_verdicts_that_come_later(run, recorded):
    _, counts = recorded
    tail = Tail(run.journal)
    assert tail.poll() == set()
    run.journal.append(Block(number=1, segment="tags/block_000001.ptu", counts=counts))
    assert tail.poll() == {1}
    assert not tail.blocks[1].good
    run.journal.judge(1, good=True)
    assert tail.poll() == {1}
    assert tail.blocks[1].good
    assert tail.poll() == set()


def flipped(path, rng):
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def test_no_flipped_bit_goes_unnoticed(finished):
    """100 bits, seed 7, over every file of the folder; 1,000 in benchmarks/record.py."""
    rng = random.Random(7)
    assert verify_run(finished.path) == []
    files = [p for p in finished.path.rglob("*") if p.is_file() and p.stat().st_size]
    for _ in range(100):
        path = rng.choice(files)
        before = path.read_bytes()
        flipped(path, rng)
        noticed = {misfit.file for misfit in verify_run(finished.path)}
        assert noticed == {finished.relative(path)} or "journal.jsonl" in noticed
        path.write_bytes(before)


def test_swapped_and_missing_segments_are_named_by_whoever_reads_them(finished, labkit):
    shutil.copy(finished.segment_path(1), finished.segment_path(3))
    code, _, error = labkit("analyse", finished.path)
    assert code == 1
    assert "1 of its files are not as they were written: tags/block_000003.ptu: must have" in error
    assert set(check_run(finished).differences) == {"tags/block_000003.ptu"}
    finished.segment_path(2).unlink()
    assert "tags/block_000002.ptu: is missing" in labkit("runs", "show", finished.path)[2]
    assert labkit("runs", "verify", finished.path)[0] == 1


def test_changed_gates_file_is_not_counted_with(finished, labkit):
    gates = finished.path / "gates.yaml"
    gates.write_text(gates.read_text().replace("1.23e-07", "1.24e-07"))
    code, _, error = labkit("analyse", finished.path)
    assert code == 1
    assert "is not what it was when the run began" in error


def damage(path, at, number=1):
    """Change a bit in each of so many bytes."""
    content = bytearray(path.read_bytes())
    for place in range(at, at + number):
        content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("at", [-20, -300])
def test_a_damaged_last_line_is_damage_and_its_block_is_counted_again(finished, at):
    before = finished.journal.read()
    damage(finished.journal.path, at, 3)
    with pytest.raises(JournalError, match="checksum does not match"):
        finished.journal.read()
    if at == -20:  # the verdict is the last line; the one before is the block's
        assert recover_run(finished).mended == (0, 1)
    else:
        assert len(list(repair_run(finished.path))) == 2
    after = finished.journal.read()
    assert [block.counts for block in after] == [block.counts for block in before]
    assert all(block.good for block in after)
    assert not (finished.path / "tags" / "incomplete").exists()


def test_blocks_left_out_later_stay_left_out_whatever_bit_of_that_line_changes(finished, labkit):
    """Taken out, the line would leave them the verdict of before: good."""
    finished.journal.judge(2, 3, good=False, reason="has changed slowly")
    seal_run(finished)
    content = finished.journal.path.read_bytes()
    begin = content.rfind(b"\n", 0, -1) + 1
    end = 8 * len(content)
    for bit in (*range(8 * begin, end - 8, 17), *range(end - 8, end)):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        finished.journal.path.write_bytes(changed)
        if bit % 4 == 0:
            assert labkit("analyse", finished.path)[0] == 1
        recover_run(finished, mend=True)
        assert finished.journal.path.read_bytes() == content
    assert [block.good for block in finished.journal.read()] == [True, False, False]


@pytest.mark.parametrize("byte", [b"\n", b'"', b"{"])
def test_a_bit_that_makes_or_ends_a_line_is_put_right_too(finished, byte):
    content = finished.journal.path.read_bytes()
    places = [n for n in range(len(content)) if (content[n] ^ byte[0]).bit_count() == 1]
    for place in places[:: max(1, len(places) // 6)]:
        changed = bytearray(content)
        changed[place] = byte[0]
        finished.journal.path.write_bytes(changed)
        recover_run(finished, mend=True)
        assert finished.journal.path.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("manifest.json", '{"a": ' + "[" * 100_000, "nested at most 50 deep"),
        ("manifest.json", '{"format_version": 1, "kind": "witness"}', "experiment: Field required"),
        ("manifest.json", '{"format_version": true}', "has format True"),
        ("journal.jsonl", framed({"kind": "block", "number": 1}), "no line of a journal: KeyError"),
        ("journal.jsonl", framed({"kind": "other"}), "kind` must be bins, block or verdict"),
        ("journal.jsonl", framed({"kind": "verdict", "number": 4, "good": True, "reason": ""}),
         "verdict about block 4, which has no line"),
        ("journal.jsonl", "[" * 100_000 + "\n", "checksum does not match"),
        ("journal.jsonl", checked('{"kind":"bins","bins":NaN}'), "checksum does not match"),
    ],
)  # fmt: skip
def test_strange_files_are_clear_errors(run, labkit, name, content, said):
    (run.path / name).write_text(content)
    code, _, error = labkit("runs", "show", run.path)
    assert code == 1
    assert said in error
    assert "Traceback" not in error


ODD = {
    "link": lambda path: path.symlink_to("/dev/zero"),
    "pipe": os.mkfifo if hasattr(os, "mkfifo") else None,
    "folder": lambda path: path.mkdir(),
    "loop": lambda path: path.symlink_to(path.name),
}


@pytest.mark.skipif(os.name == "nt", reason="pipes and links of POSIX")
@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize(
    "name",
    ["manifest.json", "journal.jsonl", "seal.json", "result.json", "events.jsonl",
     "tags/block_000002.ptu", "tags/block_000002.record.jsonl"],
)  # fmt: skip
def test_what_is_no_file_is_neither_read_nor_waited_for(finished, labkit, name, kind):
    path = finished.path / name
    path.unlink(missing_ok=True)
    ODD[kind](path)
    codes = {}
    for command in ("show", "verify", "check", "export", "list"):
        of = ("--out", finished.path.parent) if command == "list" else (finished.path,)
        codes[command], _, error = labkit("runs", command, *of)
        assert "Traceback" not in error
    assert codes["list"] == 0
    if name not in ("result.json", "events.jsonl"):
        assert (codes["verify"], codes["export"]) == (1, 1)


def test_unknown_keys_of_a_manifest_are_refused(run):
    plain = json.loads(run.manifest_path.read_text())
    del plain["sha256"]
    run.manifest_path.write_text(json.dumps(plain | {"format_version": 1, "surprise": 1}))
    with pytest.raises(ValueError, match="surprise"):
        open_run(run.path)


def test_nothing_from_outside_the_folder_is_read_or_packed(finished, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (finished.path / "figures").mkdir()
    (finished.path / "figures" / "plot.png").symlink_to(secret)
    with zipfile.ZipFile(export_run(finished.path)) as crate:
        assert not any("plot.png" in name for name in crate.namelist())
    outside = tmp_path / "block.ptu"
    shutil.move(finished.segment_path(2), outside)
    finished.segment_path(2).symlink_to(outside)
    assert "leads out of the run folder" in str(verify_run(finished.path)[0])


@pytest.mark.parametrize("lines", [1, 2, 4])
def test_journal_that_lacks_whole_lines_is_not_what_was_sealed(finished, labkit, lines):
    """As an older copy that was put back: each line of it is whole, and later verdicts are gone."""
    content = finished.journal.path.read_bytes().splitlines(keepends=True)
    finished.journal.path.write_bytes(b"".join(content[:-lines]))
    assert labkit("runs", "verify", finished.path)[0] == 1
    for command in (("analyse",), ("runs", "show")):
        code, _, error = labkit(*command, finished.path)
        assert "journal.jsonl: is not what it was when it was written" in error
        assert code == (command == ("analyse",))


def test_verdict_in_a_word_is_none(run):
    take(run, 1)
    with run.journal.path.open("a") as stream:
        stream.write(framed({"kind": "verdict", "number": 1, "good": "false", "reason": ""}))
    with pytest.raises(ValueError, match="`good` must be true or false, but is 'false'"):
        run.journal.read()


def test_copy_of_a_segment_is_told_and_never_counted(finished):
    for path in (finished.segment_path, finished.record_path):
        shutil.copy(path(2), path(4))
    assert [misfit.file for misfit in verify_run(finished.path)] == [
        "tags/block_000004.ptu", "tags/block_000004.record.jsonl",
    ]  # fmt: skip
    recovery = recover_run(finished)
    assert (len(recovery.blocks), recovery.set_aside) == (3, ("tags/block_000004.ptu",))


def test_pictures_from_outside_are_on_no_page(finished, tmp_path):
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "plot.png").write_bytes(b"secret")
    (finished.path / "figures").symlink_to(outside)
    assert finished.figures() == []
    (finished.path / "figures").unlink()
    (finished.path / "figures").mkdir()
    (finished.path / "figures" / "mine.png").write_bytes(b"mine")
    (finished.path / "figures" / "plot.png").symlink_to(outside / "plot.png")
    (finished.path / "figures" / "loop.png").symlink_to("loop.png")
    assert [path.name for path in finished.figures()] == ["mine.png"]


def test_a_run_is_one_file_and_comes_back_the_same(finished, tmp_path):
    crate = export_run(finished.path, tmp_path / "run.eln")
    assert verify_crate(crate) == []
    with zipfile.ZipFile(crate) as packed:
        metadata = json.loads(packed.read(f"{finished.path.name}/{METADATA}"))
    graph = {entity["@id"]: entity for entity in metadata["@graph"]}
    assert metadata["@context"] == "https://w3id.org/ro/crate/1.1/context"
    assert graph[METADATA]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert graph["#operator"]["name"] == "A. Person"
    assert graph["./"]["keywords"] == "witness, cold"
    assert {"@id": "./tags/block_000001.ptu"} in graph["./"]["hasPart"]
    assert any(p["value"] == "chip 3" for p in graph["./"]["variableMeasured"])
    back = open_run(import_run(crate, tmp_path / "elsewhere"))
    assert verify_run(back.path) == []
    assert [b.counts for b in back.journal.read()] == [b.counts for b in finished.journal.read()]
    with pytest.raises(FileExistsError, match="exists"):
        import_run(crate, tmp_path / "elsewhere")


def test_a_file_changed_in_an_export_is_noticed_and_a_path_out_of_it_refused(finished, tmp_path):
    crate = export_run(finished.path, tmp_path / "run.eln")
    forged = tmp_path / "forged.eln"
    with zipfile.ZipFile(crate) as old, zipfile.ZipFile(forged, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"x" if name.endswith("gates.yaml") else old.read(name))
    with pytest.raises(ValueError, match=r"gates.yaml: is not what the metadata say"):
        import_run(forged, tmp_path)
    with zipfile.ZipFile(forged, "a") as new:
        new.writestr("../evil", b"x")
    with pytest.raises(ValueError, match="no file may lead out"):
        verify_crate(forged)


def test_no_bit_of_an_export_changes_unnoticed(finished, tmp_path):
    """Neither in what is packed, nor in names, lengths and times of the zip file itself."""
    crate = export_run(finished.path, tmp_path / "run.eln")
    content, rng = crate.read_bytes(), random.Random(9)
    ends = range(len(content) - 2000, len(content), 11)
    for at in [*(rng.randrange(len(content)) for _ in range(100)), *ends]:
        changed = bytearray(content)
        changed[at] ^= 1 << rng.randrange(8)
        crate.write_bytes(changed)
        with suppress(ValueError):  # no zip file any more
            assert verify_crate(crate), at
    crate.write_bytes(content + b"x")
    assert verify_crate(crate)


def test_an_export_that_was_packed_anew_elsewhere_is_still_read(finished, tmp_path):
    crate, again = export_run(finished.path, tmp_path / "run.eln"), tmp_path / "again.eln"
    with zipfile.ZipFile(crate) as old, zipfile.ZipFile(again, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert verify_crate(again) == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("names", "metadata", "said"),
    [
        (["r/x", "r/x"], None, "every file once"),
        (["r/x", "r/./x"], None, "every file once"),
        (["r/../x"], None, "no file may lead out"),
        (["/r/x"], None, "no file may lead out"),
        (["r/x"], None, r"manifest\.json, but holds"),
        (["r/manifest.json"], "[" * 200_000, "recursion"),
        (["r/manifest.json"], '{"@graph": 3}', "not iterable"),
        (["r/manifest.json"], "no JSON", "metadata cannot be read"),
        (["r/manifest.json"], None, "Field required"),
    ],
)  # fmt: skip
def test_strange_zip_files_are_refused_and_leave_nothing(tmp_path, names, metadata, said):
    file = tmp_path / "x.eln"
    digest = hashlib.sha256(b"{}").hexdigest()
    graph = [{"@id": name[2:], "@type": "File", "sha256": digest} for name in names]
    with zipfile.ZipFile(file, "w") as crate:
        for name in names:
            crate.writestr(name, "{}")
        crate.writestr(f"r/{METADATA}", metadata or json.dumps({"@graph": graph}))
    with pytest.raises(ValueError, match=said):
        import_run(file, tmp_path / "runs")
    assert list((tmp_path / "runs").glob("*")) == []


@pytest.mark.long
def test_what_is_made_anew_is_sealed_and_what_was_changed_stays_told(finished, tmp_path):
    (finished.path / "note.txt").write_text("as it was")
    seal_run(finished)
    (finished.path / "note.txt").write_text("as somebody wants it")
    assert run_command(["runs", "report", str(finished.path)]) == 0
    list(repair_run(finished.path))
    assert [misfit.file for misfit in verify_run(finished.path)] == ["note.txt"]
    (finished.path / "note.txt").write_text("as it was")
    export_run(finished.path, tmp_path / "run.eln")


def test_what_fails_after_a_measurement_is_said_and_made_up_for_later(run, monkeypatch):
    take(run, 1)
    said = []

    def locked(*_):
        message = "database is locked"
        raise OSError(message)

    with monkeypatch.context() as patched:
        patched.setattr("labkit.run.results.register_dataset", locked)
        with registered(run, said.append):
            pass
    assert attempt(run, "figures", locked, said.append) is False
    run.write_manifest(ended(run.manifest(), "done"))
    assert "database is locked" in said[0]
    assert "the data are safe: labkit runs repair" in said[0]
    assert set(left_over(run)) == {"dataset", "figures"}
    done = list(repair_run(run.path))
    assert "dataset: saved" in done
    assert (run.path.parent / "runs.db").exists()
    assert left_over(run) == {}
    assert verify_run(run.path) == []


def test_left_out_blocks_are_told_with_and_without(run):
    trials = 60_000_000
    take(run, 1, trials)
    take(run, 2, trials, problems=("pump rate of detector 1 changed by +31 %",))
    take(run, 3, trials, problems=("pump rate of detector 1 changed by +42 %",))
    found = left_out_of(run.journal.read())
    assert found.reasons == {"pump rate of detector 1 changed by … %": 2}
    assert (found.blocks, found.counted, found.trials) == (2, 1, 2 * trials)
    assert found.without is not None
    assert found.including is not None
    width = [w[2] - w[1] for w in (found.without, found.including)]
    assert width[1] < 0.8 * width[0], "three times the data make R_m surer"
    assert "R_m without them" in str(found)
    assert found.table().rows[0] == ("pump rate of detector 1 changed by … %", "2")


def test_summary_is_kept_and_made_anew_when_the_run_goes_on(run, monkeypatch):
    take(run, 1)
    assert run.summary()["trials"] == TRIALS
    with monkeypatch.context() as patched:
        patched.setattr("labkit.run.journal.Journal.read", lambda _: pytest.fail("read again"))
        assert run.summary()["blocks"] == 1
    take(run, 2, problems=("bad",))
    row = run.summary()
    assert (row["blocks"], row["left_out"], row["trials"]) == (2, 1, TRIALS)
    kept = run.path / SUMMARY
    kept.write_bytes(kept.read_bytes().replace(b'"blocks":2', b'"blocks":9'))
    assert run.summary()["blocks"] == 2, "a damaged summary is made anew"


def test_runs_are_listed_where_nothing_can_be_written(run, labkit, monkeypatch):
    take(run, 1)

    def refused(*_, **__):
        raise PermissionError(30, os.strerror(30))

    monkeypatch.setattr("pathlib.Path.write_text", refused)
    code, out, _ = labkit("runs", "list", "--out", run.path.parent, "--json")
    assert code == 0
    assert json.loads(out)["runs"][0]["trials"] == TRIALS


def test_everything_of_a_block_is_on_the_disk_before_it_counts(run, monkeypatch):
    """The order of fsync and rename: plan, segment, then the journal; a cut journal too."""
    done = []
    fsync = os.fsync

    def noting(handle):
        done.append(os.path.basename(os.readlink(f"/proc/self/fd/{handle}")))  # noqa: PTH119, PTH115
        return fsync(handle)

    monkeypatch.setattr(os, "fsync", noting)
    take(run, 1)
    block = [name for name in done if name != "tags"]
    assert block[0] == "block_000001.record.jsonl"
    assert block[-1] == "journal.jsonl"
    assert "block_000001.ptu" in block[:-1]
    assert block.count("block_000001.record.jsonl") == 2, "its plan before, all of it after"
    assert block.count("journal.jsonl") == 1, "both lines of a block cost one fsync"
    run.journal.path.write_bytes(run.journal.path.read_bytes()[:-10])
    done.clear()
    run.journal.cut_unfinished()
    assert done == ["journal.jsonl"]
    done.clear()
    run.write_manifest(run.manifest())
    assert done == [".manifest.json.part", run.path.name]


def test_every_column_of_the_dataset_is_what_the_journal_says(run):
    from qcodes.dataset import load_by_id

    trials = 60_000_000
    monitors = {"lock_error": 0.1, "phase_noise": 0.05, "temperature": 0.06,
                "pump_laser_hz": 1.9e14, "read_laser_hz": 1.91e14}  # fmt: skip
    for number in (1, 2):
        take(run, number, trials, monitors=monitors)
    blocks = run.journal.read()
    found = load_by_id(register_dataset(run, blocks))
    data = {name: found.get_parameter_data(name)[name][name] for name in _PER_BLOCK}
    found.conn.close()
    for name, value in monitors.items():
        assert data[name].tolist() == [value, value]
    for i, block in enumerate(blocks):
        counts = block.counts
        for gate in ("pump", "read"):
            clicks = [counts.single(gate, d) for d in (1, 2)]
            assert [data[f"{gate}_{d}"][i] for d in (1, 2)] == clicks
            assert data[f"{gate}_rate"][i] == pytest.approx(sum(clicks) / trials)
    from analysis.evaluation import evaluate

    last = evaluate(total_counts(blocks))
    assert data["trials"].tolist() == [trials, 2 * trials]
    for pair, estimate in last.g2.items():
        assert data[f"g2_{pair}"][1] == pytest.approx(estimate.value)
    sym = last.witness.sym
    assert [data[name][1] for name in ("R_m", "R_m_low", "R_m_high")] == pytest.approx(
        [sym.mode, sym.low, sym.high]
    )


def test_lines_are_whole_damaged_or_torn(tmp_path):
    path = tmp_path / "x.jsonl"
    first, second = framed({"a": 1}), framed({"b": 2})
    path.write_text(first.replace("1", "2") + second + second[:-1])
    assert [line.state for line in read_lines(path)] == ["damaged", "whole", "torn"]
    assert list(read_lines(tmp_path / "none")) == []


def test_command_line_knows_the_record(finished, tmp_path):
    file = str(tmp_path / "x.eln")
    assert run_command(["runs", "verify", str(finished.path)]) == 0
    assert run_command(["runs", "export", str(finished.path), "-o", file]) == 0
    assert run_command(["runs", "verify", file, "--json"]) == 0
    assert run_command(["runs", "import", file, "--out", str(tmp_path / "y")]) == 0
    assert run_command(["runs", "repair", str(finished.path)]) == 0
    assert run_command(["runs", "show", str(finished.path), "--json"]) == 0


def test_files_that_cannot_reach_the_disk_are_told_at_the_end(tmp_path):
    """Beside what is done meanwhile, which is done to its end."""
    path, done = tmp_path / "a", []
    path.write_bytes(b"x")
    with reaching_disk(path, path):
        done.append(path)
    with pytest.raises(FileNotFoundError), reaching_disk(path, tmp_path / "gone"):
        done.append("gone")
    assert done == [path, "gone"]
