"""Clients that others wrote, against the simulated bench; collected only where they are installed.

The dependency group ``peers`` names them; ``make peers`` installs it in an environment of its own,
runs these tests, and writes the table of the documentation.
"""

import re
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from qcodes.instrument import Instrument

from simulation.lab.world import World

PEERS = ("pymeasure", "qcodes_contrib_drivers", "ThorlabsPM100", "qmi", "zhinst", "easy_scpi")
TABLE = Path(__file__).parents[2] / "docs" / "peers_table.inc"
collect_ignore_glob = [] if all(map(find_spec, PEERS)) else ["test_*.py"]
_found = {}


@pytest.fixture(scope="module")
def world():
    names = (
        "afg", "gs200", "power_meter", "fridge", "triton", "sim900", "laser_pump",
        "awg5014", "keithley2450_1", "daq6500", "keysight33511b", "stahl",
    )  # fmt: skip
    with World.start(seed=1, instruments=names) as world:
        yield world


@pytest.fixture
def address(world, request):
    """Where the simulated instrument is that the test's mark names, after *RST."""
    mark = request.node.get_closest_marker("peer")
    name = mark.kwargs["bench"]
    if name in ("afg", "gs200", "power_meter"):
        world.instruments[name].execute(b"*RST;*CLS")
    yield world.addresses.get(name, name)
    Instrument.close_all()


@pytest.fixture
def socket_address(address):
    return re.fullmatch(r"TCPIP0::(.*)::(\d+)::SOCKET", address).groups()


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "peer(package, client, instrument, bench): whose client is tried on what"
    )


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("peer"):
            item.add_marker(pytest.mark.filterwarnings("ignore"))  # others' code warns for itself


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    mark = item.get_closest_marker("peer")
    if mark and report.when == "call":
        package, client, instrument = mark.args
        key = (f"{package} {version(package)}", client, instrument)
        _found.setdefault(key, []).append(report.passed)
    return report


def pytest_sessionfinish(session):
    """Write the table, if all clients were tried."""
    if {re.split("[ -]", package)[0] for package, _, _ in _found} != {*PEERS, "qcodes"}:
        return
    lines = ["| Package | Client | Simulated instrument | Dialogues |", "|---|---|---|---|"]
    for (package, client, instrument), passed in sorted(_found.items()):
        result = f"{sum(passed)} of {len(passed)} right"
        lines.append(f"| {package} | `{client}` | {instrument} | {result} |")
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
