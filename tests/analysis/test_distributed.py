"""Counting on worker processes: the same counts bit for bit, whatever happens to a worker."""

import json
import os
import signal
import threading

import numpy as np
import pytest
import xarray as xr

from analysis import cluster as clusters
from analysis.cluster import ClusterError, cluster, own_version, refuse_other_versions
from analysis.counting import count
from analysis.counting.distributed import count_distributed
from analysis.counts import Counts
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
    with pytest.raises(ClusterError, match=f"no scheduler answers at {nobody}"), cluster(nobody):
        pass
    with pytest.raises(ValueError, match="give either"), cluster():
        pass


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
