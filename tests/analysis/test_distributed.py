"""Counting on worker processes: the same counts bit for bit, whatever happens to a worker."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import xarray as xr

from analysis import cluster as clusters
from analysis.cluster import (
    ClusterError,
    as_done,
    cluster,
    on_workers,
    own_version,
    refuse_other_versions,
    submit,
)
from analysis.counting import count, distributed
from analysis.counting.distributed import count_distributed
from analysis.counts import Counts
from analysis.gates import GateSet
from analysis.tagfile import TagFileError
from labkit.cli import run
from simulation.recordings.ptu import simulate_ptu
from simulation.recordings.pulses import pulsed_timing
from simulation.theory.dlcz import riedinger2018

pytestmark = pytest.mark.long

GATES = pulsed_timing().gates


@pytest.fixture(scope="module")
def client():
    with cluster(workers=2) as found:
        yield found


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tags")
    paths = []
    for number in range(5):
        path = folder / f"part{number}.ptu"
        simulate_ptu(path, riedinger2018(), 20_000_000, seed=number)
        paths.append(path)
    return paths


@pytest.fixture(scope="module")
def expected(files):
    return count(files, GATES)


@pytest.mark.parametrize("stretch", [1 << 28, 1000])
def test_counts_are_those_of_one_process_bit_for_bit(client, files, expected, stretch):
    """Whole files, and files cut into stretches of a thousand records."""
    seen = []
    found = count_distributed(
        client,
        files,
        GATES,
        stretch=stretch,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert found == expected
    assert found.to_dict() == expected.to_dict()
    np.testing.assert_array_equal(found.histogram, expected.histogram)
    assert seen == [(number, 5) for number in range(1, 6)]


def test_a_worker_that_is_killed_costs_nothing_but_time(client, files, expected):
    pids = list(client.run(os.getpid).values())
    killer = threading.Timer(0.05, os.kill, (pids[0], signal.SIGKILL))
    killer.start()
    found = count_distributed(client, files, GATES, stretch=200)
    killer.join()
    assert found == expected
    client.wait_for_workers(2, timeout=30)
    assert pids[0] not in client.run(os.getpid).values()


def test_what_is_done_is_kept_and_not_counted_again(client, files, expected, tmp_path):
    count_distributed(client, files[:3], GATES, keep=tmp_path / "kept")
    assert len(list((tmp_path / "kept").iterdir())) == 3
    seen = []
    found = count_distributed(
        client, files, GATES, keep=tmp_path / "kept", progress=lambda *what: seen.append(what)
    )
    assert found == expected
    assert seen == [(4, 5), (5, 5)]
    os.utime(files[0])  # changed since: counted again
    assert count_distributed(client, files, GATES, keep=tmp_path / "kept") == expected
    assert len(list((tmp_path / "kept").iterdir())) == 6


def test_kept_counts_are_those_of_the_very_gates_and_record_type(client, files, tmp_path):
    """Gates that differ by less than their print shows are others."""
    kept = tmp_path / "kept"
    near = GateSet.from_dict(GATES.to_dict() | {"period": GATES.period * (1 + 1e-9)})
    assert str(near) == str(GATES)
    assert near != GATES
    for gates, as_type in ((GATES, None), (near, None), (GATES, "0x00010305")):
        count_distributed(client, files[:1], gates, keep=kept, as_type=as_type)
    assert len(list(kept.iterdir())) == 3


@pytest.mark.parametrize("damage", ["", '{"trials":', "[1, 2]", '{"trials": {}}'])
def test_damaged_kept_counts_are_made_again(client, files, tmp_path, damage):
    expected = count_distributed(client, files[:1], GATES, keep=tmp_path)
    (kept,) = tmp_path.iterdir()
    whole = kept.read_text()
    kept.write_text(damage)
    assert count_distributed(client, files[:1], GATES, keep=tmp_path) == expected
    assert kept.read_text() == whole


def test_what_is_done_is_kept_though_another_file_fails(client, files, tmp_path, monkeypatch):
    """Done before, but seen after the failure."""
    copies = [tmp_path / path.name for path in files[:3]]
    for path, copy in zip(files, copies, strict=False):
        copy.write_bytes(path.read_bytes())

    def submit_slowly(client, function, job):
        if job.path == str(copies[0]):
            copies[0].unlink()
        future = submit(client, function, job)
        future.exception()  # is done
        return future

    monkeypatch.setattr(distributed, "submit", submit_slowly)
    with pytest.raises(TagFileError, match=r"part0\.ptu: there is no such file") as failed:
        count_distributed(client, copies, GATES, keep=tmp_path / "kept")
    assert failed.value.__notes__ == [f"the counts of 2 of 3 files are in {tmp_path / 'kept'}"]
    assert len(list((tmp_path / "kept").iterdir())) == 2


@pytest.mark.parametrize("change", [os.utime, os.unlink])
def test_counts_of_a_file_that_changes_meanwhile_are_not_kept(
    client, files, tmp_path, monkeypatch, change
):
    copy = tmp_path / "x.ptu"
    copy.write_bytes(files[0].read_bytes())

    def changing(*what):
        for found in gathered(*what):
            change(copy)
            yield found

    gathered = distributed._gathered
    monkeypatch.setattr(distributed, "_gathered", changing)
    with pytest.raises(TagFileError, match=r"x\.ptu: has (changed|vanished) while it was counted"):
        count_distributed(client, [copy], GATES, keep=tmp_path / "kept")
    assert not list((tmp_path / "kept").iterdir())


def test_workers_may_stand_in_another_folder(client, files, expected, monkeypatch):
    monkeypatch.chdir(files[0].parent)
    assert count_distributed(client, [path.name for path in files], GATES) == expected


def test_a_file_that_cannot_be_read_is_named(client, files, tmp_path):
    gone = tmp_path / "gone.ptu"
    with pytest.raises(TagFileError, match=r"gone\.ptu"):
        count_distributed(client, [*files, gone], GATES)
    with pytest.raises(ValueError, match="has the same File_GUID"):
        count_distributed(client, [files[0], files[0]], GATES)


def test_workers_with_another_labkit_are_refused_by_both_versions(client, monkeypatch):
    theirs = own_version()
    monkeypatch.setattr(clusters, "own_version", _other_version)
    with pytest.raises(ClusterError, match=r"must have labkit .*, as here, but has"):
        refuse_other_versions(_Answering(theirs), "tcp://here:1")


def test_a_worker_that_came_later_with_another_labkit_refuses_its_tasks(client, monkeypatch):
    theirs = own_version()
    monkeypatch.setattr(clusters, "own_version", _other_version)
    with pytest.raises(ClusterError, match=f"must have labkit 99.0, as here, but has {theirs}"):
        list(on_workers(client, abs, [-1]))


def test_a_worker_that_lacks_a_package_is_told(client):
    with pytest.raises(ClusterError, match=r"a worker lacks what this needs .*no_such_package"):
        list(on_workers(client, __import__, ["no_such_package"]))


def test_results_come_in_order_and_an_error_is_the_tasks_own(client):
    assert list(on_workers(client, abs, range(-50, 0))) == list(range(50, 0, -1))
    with pytest.raises(ValueError, match="invalid literal"):
        list(on_workers(client, int, ["1", "x"]))
    futures = [submit(client, int, text) for text in ("x", "1", "2")]
    for future in futures:
        future.exception()
    seen = []
    with pytest.raises(ValueError, match="invalid literal"):
        seen.extend(result for _, result in as_done(client, futures))


def _other_version():
    return "99.0"


class _Answering:
    """A client whose only worker answers so."""

    def __init__(self, version):
        self.version = version

    def run(self, function, on_error):
        return {"tcp://there:2": self.version}


def test_a_scheduler_without_workers_is_refused():
    class Empty:
        def run(self, function, on_error):
            return {}

    with pytest.raises(ClusterError, match="has no workers"):
        refuse_other_versions(Empty(), "tcp://here:1")


def test_a_scheduler_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setattr(clusters, "CONNECT_WITHIN", 0.5)
    nobody = "tcp://127.0.0.1:9"
    with (
        pytest.raises(ClusterError, match=f"no dask scheduler answers at {nobody}"),
        cluster(nobody),
    ):
        pass
    with pytest.raises(ValueError, match="give either"), cluster():
        pass


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH_9.9\r\n", bytes(64)])
def test_whoever_answers_but_a_scheduler_is_no_scheduler(monkeypatch, said):
    monkeypatch.setattr(clusters, "CONNECT_WITHIN", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = []

        def answer():
            taken.append(server.accept()[0])
            taken[0].sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with (
            pytest.raises(ClusterError, match=f"no dask scheduler answers at {address}"),
            cluster(address),
        ):
            pass
        thread.join()
        taken[0].close()


def test_a_worker_is_no_scheduler(client):
    (address, *_) = client.nthreads()
    with pytest.raises(ClusterError, match="must be the address of a scheduler, but a worker"):
        clusters._check_scheduler(address)


def test_work_is_given_up_when_all_workers_are_gone(files, monkeypatch):
    from distributed import LocalCluster

    monkeypatch.setattr(clusters, "NO_WORKERS_FOR", 0.5)
    monkeypatch.setattr(clusters, "LOOK_EVERY", 0.1)
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as there,
        cluster(there.scheduler_address) as found,
    ):
        there.scale(0)
        while found.nthreads():
            time.sleep(0.05)
        with pytest.raises(ClusterError, match=r"has had no workers for 0\.5 s"):
            count_distributed(found, files, GATES)


def test_a_scheduler_that_dies_ends_the_work_at_once(tmp_path):
    """Scheduler and worker as `dask scheduler` and `dask worker` start them."""
    place = tmp_path / "scheduler.json"
    where = ["--scheduler-file", str(place), "--dashboard-address", ":0"]
    lines = (["scheduler", "--port", "0", *where], ["worker", "--no-nanny", *where])
    started = [
        subprocess.Popen([sys.executable, "-m", "dask", *line], stderr=subprocess.DEVNULL)
        for line in lines
    ]
    try:
        while not place.exists():
            time.sleep(0.05)
        with cluster(_with_workers(json.loads(place.read_text())["address"])) as found:
            killer = threading.Timer(0.5, started[0].kill)
            killer.start()
            with pytest.raises(ClusterError, match=r"the scheduler at tcp://.* was lost"):
                list(on_workers(found, time.sleep, [20.0]))
    finally:
        for process in started:
            process.kill()
            process.wait()


def _with_workers(address):
    """Return an address, when a worker has come."""
    from distributed import Client

    with Client(address) as client:
        client.wait_for_workers(1, timeout=60)
    return address


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows")
@pytest.mark.parametrize("after", ["starting", "counting"])
def test_ctrl_c_ends_all_processes_in_order(files, tmp_path, after):
    """A terminal sends it to the whole group."""
    kept = tmp_path / "kept"
    line = [
        sys.executable, "-c", "import sys; from labkit.cli import main; main()", "analyse",
        *map(str, files * 200), "--allow-repeats", "--gates", str(tmp_path / "g.yaml"),
        "--workers", "2", "--keep", str(kept),
    ]  # fmt: skip
    (tmp_path / "g.yaml").write_text(GATES.to_yaml())
    process = subprocess.Popen(
        line, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while not (_children(process.pid) if after == "starting" else kept.exists()):
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    out, said = process.communicate(timeout=60)
    assert (process.returncode, out, said) == (130, "", "")
    for _ in range(100):  # the last of them ends when it finds its parent gone
        if not _children(process.pid):
            break
        time.sleep(0.1)
    assert not _children(process.pid)


def _children(group):
    """Return the processes of a group whose memory is still theirs, but for its first."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pgid=,pid=,stat="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split() for line in listed.splitlines()]
    return [pid for pgid, pid, state in rows if {pgid} == {str(group)} != {pid} and state[0] != "Z"]


def test_a_scheduler_elsewhere_is_asked_for_its_workers_versions(files, expected):
    """A scheduler at an address, as `dask scheduler` starts one, with workers of this labkit."""
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as there,
        cluster(there.scheduler_address) as found,
    ):
        assert count_distributed(found, files, GATES) == expected


def test_the_command_line_counts_a_pattern_on_workers_and_keeps_what_is_done(
    files, expected, tmp_path, capsys
):
    (tmp_path / "g.yaml").write_text(GATES.to_yaml())
    line = ["analyse", str(files[0].parent / "*.ptu"), "--gates", str(tmp_path / "g.yaml")]
    kept = ["--workers", "2", "--keep", str(tmp_path / "kept")]
    assert run([*line, *kept, "-o", str(tmp_path / "counts.json"), "--json"]) == 0
    capsys.readouterr()
    assert Counts.from_dict(json.loads((tmp_path / "counts.json").read_text())) == expected
    assert len(list((tmp_path / "kept").iterdir())) == 5
    assert run([*line, "--keep", str(tmp_path)]) == 1
    assert "--keep goes with" in capsys.readouterr().err
    assert run(["analyse", str(tmp_path / "none*.ptu")]) == 1
    assert "no file matches" in capsys.readouterr().err


def test_a_sweep_on_workers_holds_the_same_numbers(tmp_path, capsys):
    axes = ["--x", "delta_1:0.8:1.2:9", "--y", "delta_2:-1.2:-0.8:7"]
    files = [tmp_path / "here.nc", tmp_path / "there.nc"]
    assert run(["theory", "sweep", "yu2020", *axes, "-o", str(files[0])]) == 0
    assert run(["theory", "sweep", "yu2020", *axes, "-o", str(files[1]), "--workers", "2"]) == 0
    here, there = (xr.load_dataset(file, engine="h5netcdf") for file in files)
    xr.testing.assert_allclose(here, there, rtol=1e-13)
