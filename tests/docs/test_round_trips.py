"""The table of round trips in the documentation is what the formats do."""

from pathlib import Path

import numpy as np

from analysis.tagfile import FORMATS, LAYOUTS, SYNC, Decoder, Events, convert, open_tags, write_ptu

PAGE = Path(__file__).parents[2] / "docs" / "tag_formats.md"


def recorded(folder, mode):
    rng = np.random.default_rng(1)
    n = 300
    is_t3 = mode == "T3"
    events = Events(
        time=np.sort(rng.integers(0, 100_000 if is_t3 else 10**8, n)),
        dtime=rng.integers(0, 32768, n).astype(np.int32) if is_t3 else None,
        channel=rng.choice([0, 1, 66] if is_t3 else [0, 1, SYNC, 66], n).astype(np.uint8),
    )
    layout = LAYOUTS[0x00010305 if is_t3 else 0x00010205]
    path = folder / f"{mode}.ptu"
    write_ptu(path, events, layout=layout, sync_rate=20e3, acquisition_time=6.0)
    return path


def described(path):
    """All that must survive: tags, units, times and device."""
    source = open_tags(path)
    decoder = Decoder(source.layout)
    blocks = [decoder.decode(block) for block in source.blocks()]
    columns = [
        np.concatenate([getattr(b, name) for b in blocks]).tolist()
        for name in ("time", "channel", *(["dtime"] if source.layout.mode == "T3" else []))
    ]
    return columns, source.resolution, source.sync_period, source.measured_time, source.device


def test_the_table_of_round_trips_is_true(tmp_path):
    lines = ["| format | T2 | T3 |", "|---|---|---|"]
    for name in sorted(name for name, entry in FORMATS.items() if entry.writer):
        cells = []
        for mode in ("T2", "T3"):
            path = recorded(tmp_path, mode)
            copy = tmp_path / f"{name}_{mode}{FORMATS[name].suffixes[0]}"
            convert(path, copy)
            cells.append("same" if described(copy) == described(path) else "NOT the same")
            path.unlink()
        lines.append(f"| {name} | {' | '.join(cells)} |")
    assert "\n".join(lines) in PAGE.read_text(encoding="utf-8")
