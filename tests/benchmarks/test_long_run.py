"""A long run as the benchmark makes it: its journal says what its segments say."""

from dataclasses import replace

import pytest

from analysis.counting import count
from analysis.counting.shifted import shifted_counts
from analysis.counts_file import witness_counts
from analysis.witness.anytime import AnytimeTest
from benchmarks.long_run import GATES, calibrations, make_long_run
from labkit.monitoring import RunMonitor
from labkit.monitoring.monitor import Course
from labkit.run import RunFolder, Tail, check_run, kept_sums
from labkit.run.always_valid import KEPT
from labkit.run.evidence import RunJudge
from labkit.run.journal import clicks_of, judged, sum_of
from labkit.run.kept_sums import Sums, keep_sums, lengths_of_course
from labkit.run.lines import framed, read_lines
from labkit.run.packing import Packed


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_long_run(tmp_path_factory.mktemp("long"), 40, kinds=2, shorter=20)


def test_the_journal_has_what_the_segments_have(made):
    folder, _ = made
    blocks = folder.journal.read()
    assert [b.number for b in blocks] == list(range(1, 41 + len(calibrations())))
    for block in (*blocks[-40:-36], blocks[-1]):
        path = folder.path / block.segment
        assert block.witness == witness_counts(count(path, GATES))
        assert block.shifted == shifted_counts(path, GATES, block.trials).pairs.tolist()
    assert [b.shifted for b in blocks[: len(calibrations())]] == [None] * len(calibrations())


def test_the_beginning_of_packed_counts_is_unpacked_alone_and_the_same(made):
    blocks = made[0].journal.read()
    whole = [block.counts for block in blocks]
    assert [b.witness for b in blocks] == [witness_counts(one) for one in whole]
    assert clicks_of(blocks).tolist() == [one.singles.tolist() for one in whole]
    assert sum_of([b.held for b in blocks]).to_dict() == sum(whole[1:], whole[0]).to_dict()


def test_a_verdict_asks_for_its_own_blocks_however_many_there_are(made):
    class Asked(dict):
        def keys(self):
            pytest.fail("all blocks were gone through")

        __iter__ = keys

    tail = Tail(made[0].journal)
    tail.blocks = Asked()
    assert tail.poll() == set(range(1, 41 + len(calibrations())))


def test_points_of_a_course_that_one_look_leaves_come_with_the_next(made):
    good = [block for block in made[0].journal.read() if block.setting["procedure"] == "witness"]
    at_once, bit_by_bit = Course(), Course()
    all_points = at_once.evaluations(good := good[:20])
    numbers = [len(bit_by_bit.evaluations(good, 4)) for _ in range(4)]
    assert numbers == sorted(numbers)
    assert numbers[0] < len(all_points) == numbers[-1]
    assert bit_by_bit.complete
    found = bit_by_bit.evaluations(good, 4)
    assert [one.to_dict() for one in found] == [one.to_dict() for one in all_points]


def test_shifted_trials_that_are_not_those_of_the_segment_are_told(made, tmp_path):
    folder, _ = made
    assert check_run(folder).differences == {}
    blocks = folder.journal.read()
    again = RunFolder(path=tmp_path)
    (tmp_path / "tags").symlink_to(folder.path / "tags")
    for block in blocks:
        wrong = [[1, 2], [3, 4]] if block is blocks[-1] else block.shifted
        again.journal.append(replace(block, counts=block.counts, shifted=wrong))
    assert "shifted differ from the journal" in check_run(again).differences[blocks[-1].segment]


def test_the_verdict_is_the_same_from_the_journal_and_from_the_segments(made):
    folder, _ = made
    blocks = folder.journal.read()
    asked = [judged(block, good=True, reason="") for block in blocks]
    for block in asked:
        block.__dict__["shifted"] = None
    found = RunJudge(folder.path, None).verdict(blocks)
    assert found.to_dict() == RunJudge(folder.path, None).verdict(asked).to_dict()
    names = ("pump_balance", "read_balance", "splitting", "device_ratio", "background",
             "null_laser_only", "null_shuffled", "blocks")  # fmt: skip
    assert all(found.conditions[name].source != "not measured" for name in names)


def test_a_further_block_adds_one_pair_though_the_bound_has_moved(made, monkeypatch):
    folder, _ = made
    added, add = [], AnytimeTest.add
    monkeypatch.setattr(
        AnytimeTest, "add", lambda t, cells: (added.append(cells), add(t, cells))[1]
    )
    judge = RunJudge(folder.path, None)
    blocks = folder.journal.read()
    earlier = judge.verdict(blocks[:-2]).bound
    before = len(added)
    assert judge.verdict(blocks).bound == judge.verdict(blocks).bound != earlier
    assert len(added) == before + 1


def test_a_kept_test_gives_the_same_verdict_and_adds_new_pairs_only(made, tmp_path, monkeypatch):
    folder, blocks = beside(made, tmp_path)
    RunJudge(folder.path, None).keep(blocks[:-2])
    added, add = [], AnytimeTest.add
    monkeypatch.setattr(
        AnytimeTest, "add", lambda t, cells: (added.append(cells), add(t, cells))[1]
    )
    live, anew = RunJudge(folder.path, None, go_on=True), RunJudge(folder.path, None)
    live.verdict(blocks[:-2])
    assert added == []
    assert live.verdict(blocks).to_dict() == anew.verdict(blocks).to_dict()
    assert live.course.points == anew.course.points


@pytest.mark.parametrize("change", ["counts", "line", "labkit", "left out"])
def test_a_kept_test_that_is_stale_or_damaged_goes_for_nothing(made, tmp_path, monkeypatch, change):
    folder, blocks = beside(made, tmp_path)
    RunJudge(folder.path, None).keep(blocks)
    path = folder.path / KEPT
    if change == "counts":
        last = blocks[-2]
        blocks[-2] = replace(last, counts=last.counts + last.counts)
    elif change == "left out":
        blocks[-40] = judged(blocks[-40], good=False, reason="noise")
    elif change == "labkit":
        monkeypatch.setattr("labkit.__version__", "0.0.1")
    else:
        path.write_bytes(path.read_bytes().replace(b'"seen":20', b'"seen":19'))
        assert b'"seen":19' in path.read_bytes()
    live, anew = RunJudge(folder.path, None, go_on=True), RunJudge(folder.path, None)
    assert live.verdict(blocks).to_dict() == anew.verdict(blocks).to_dict()
    assert live.course.points == anew.course.points


@pytest.fixture
def kept(made, tmp_path, monkeypatch):
    """A run whose sums are kept, its good blocks, and those that are unpacked afterwards."""
    monkeypatch.setattr(kept_sums, "LONG", 20)
    folder, _ = beside(made, tmp_path)
    folder.manifest_path.write_bytes(made[0].manifest_path.read_bytes())
    folder.journal.path.write_bytes(made[0].journal.path.read_bytes())
    keep_sums(folder)
    unpacked, unpack = [], Packed.unpacked
    monkeypatch.setattr(Packed, "unpacked", lambda p: (unpacked.append(p), unpack(p))[1])
    return folder, folder.main_blocks(), unpacked


def sums_after(folder, good):
    found, _ = Sums(folder).after(good, lengths_of_course(len(good)))
    return {number: total.to_dict() for number, total in found.items()}


def test_kept_sums_are_the_sums_and_spare_unpacking(kept):
    folder, good, unpacked = kept
    from_kept = sums_after(folder.path, good)
    assert unpacked == []
    assert from_kept == sums_after(None, good)
    assert len(unpacked) == len(good)
    unpacked.clear()
    sums_after(folder.path, good[:-1])
    assert len(unpacked) < 4


@pytest.mark.parametrize("change", ["counts", "turn", "line", "labkit", "left out"])
def test_kept_sums_that_are_stale_or_damaged_go_for_nothing(kept, monkeypatch, change):
    folder, good, unpacked = kept
    path = folder.path / kept_sums.KEPT
    if change == "counts":
        good[0].__dict__["held"] = replace(good[0].held, text=good[2].held.text)
    elif change == "turn":
        good[0].setting["turn"] = "pi" if good[0].setting["turn"] == "theta" else "theta"
    elif change == "left out":
        del good[0]
    elif change == "labkit":
        monkeypatch.setattr("labkit.__version__", "0.0.1")
    else:
        path.write_bytes(path.read_bytes().replace(b'"number":', b'"nummer":'))
    assert sums_after(folder.path, good) == sums_after(None, good)
    assert len(unpacked) == 2 * len(good)


def test_of_few_blocks_no_sums_are_kept(kept, monkeypatch):
    folder, good, _ = kept
    path = folder.path / kept_sums.KEPT
    for long, there in ((len(good), True), (len(good) + 1, False)):
        path.unlink()
        monkeypatch.setattr(kept_sums, "LONG", long)
        keep_sums(folder)
        assert path.exists() == there


def test_a_damaged_journal_ends_no_measurement_when_sums_are_kept(kept):
    folder, _, _ = kept
    before = (folder.path / kept_sums.KEPT).read_bytes()
    content = folder.journal.path.read_bytes()
    folder.journal.path.write_bytes(content.replace(b"witness", b"w1tness", 1))
    keep_sums(folder)
    assert (folder.path / kept_sums.KEPT).read_bytes() == before


def test_who_waits_for_the_verdict_gets_nothing_that_is_kept(kept):
    folder, good, unpacked = kept
    RunMonitor(folder).snapshot()
    assert len(unpacked) >= len(good)


def test_a_result_rests_on_blocks_and_on_nothing_that_is_kept(made, tmp_path):
    folder, blocks = beside(made, tmp_path)
    judge = RunJudge(folder.path, None)
    judge.keep(blocks)
    (line,) = read_lines(folder.path / KEPT)
    forged = line.plain | {"test": line.plain["test"] | {"largest": [99.0] * 31}}
    (folder.path / KEPT).write_text(framed(forged), encoding="utf-8")
    assert RunJudge(folder.path, None).verdict(blocks).to_dict() == judge.verdict(blocks).to_dict()


def beside(made, path):
    """Another folder with the same segments."""
    (path / "tags").symlink_to(made[0].path / "tags")
    return RunFolder(path=path), made[0].journal.read()
