"""Figures of the papers: the data behind them, how they are asked for, what is drawn."""

import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from simulation.figures import catalogue
from simulation.figures.data import Map
from simulation.figures.draw import draw
from simulation.figures.files import gallery, save_figure

DOCS = Path(__file__).parents[2] / "docs"
DATA_FIGURES = {
    "fan2026-2": "abcd", "fan2026-3": "abcdef", "fan2026-6": "",
    "liu2024-2": "ab", "liu2024-3": "abcdef", "liu2024-4": "",
    "tan2020-2": "abcd", "tan2020-3": "abcdef", "tan2020-4": "ab",
    "riedinger2018-1": "ab", "riedinger2018-3": "", "riedinger2018-4": "abcd",
    "riedinger2018-S1": "", "riedinger2018-S3": "",
    "yu2020-2": "ab", "yu2020-3": "", "yu2020-4": "ab",
}  # fmt: skip


def figure(name, points=9, **changes):
    (choice,) = catalogue.choose([name])
    return choice.compute(points, changes)


def nearest(axis, value):
    return int(np.argmin(np.abs(axis.values - value)))


def test_every_data_figure_of_the_papers_is_there():
    assert {name: recipe.letters for name, recipe in catalogue.FIGURES.items()} == DATA_FIGURES


@pytest.mark.parametrize("name", DATA_FIGURES)
def test_maps_are_undefined_exactly_where_flagged_and_the_caption_is_honest(name):
    data = figure(name)
    assert data.parameters
    assert data.reproduces
    for panel in data.panels:
        if isinstance(panel, Map):
            assert panel.values.shape == (len(panel.y.values), len(panel.x.values))
            np.testing.assert_array_equal(np.isnan(panel.values), panel.unstable)
            assert not (panel.blank & panel.unstable).any()
        else:
            for line in panel.lines:
                flags = np.zeros_like(line.values, bool) if line.unstable is None else line.unstable
                np.testing.assert_array_equal(np.isnan(line.values), flags)


def test_cascade_map_holds_the_reference_point():
    panel = figure("fan2026-2b", 5).panel("b")
    row, column = nearest(panel.y, -1.0), nearest(panel.x, 1.0)
    assert panel.values[row, column] == pytest.approx(0.1978932897, rel=1e-8)


def test_upstream_entanglement_does_not_know_the_other_temperature():
    panel = figure("fan2026-3a").panel("a")
    np.testing.assert_allclose(np.ptp(panel.values, axis=0), 0, atol=1e-12)


def test_pulsed_curves_fall_to_nothing_with_the_light():
    panel = figure("fan2026-6").panels[0]
    assert panel.lines[1].values[4] == pytest.approx(0.7868414526, rel=1e-9)
    assert [line.values[-1] for line in panel.lines] == pytest.approx([0, 0, 0], abs=1e-12)


@pytest.mark.parametrize("name", ["liu2024-2", "liu2024-3", "liu2024-4"])
def test_seed_001_shows_its_finding_instead_of_entanglement(name):
    for panel in figure(name, 5).panels:
        assert "no steady state" in panel.note
        if isinstance(panel, Map):
            assert panel.unstable.all()
            assert (panel.growth > 0).all()
        else:
            legal = [line for line in panel.lines if not line.unstable.any()]
            assert len(legal) == 3 if name != "liu2024-4" else 2
            assert all((line.values == 0).all() for line in legal)


def test_steering_survives_a_hundred_millikelvin_over_half_a_link():
    data = figure("tan2020-4", 7)
    for letter, value in (("a", 0.4784443159), ("b", 0.7617154314)):
        panel = data.panel(letter)
        row, column = nearest(panel.y, 0.5), nearest(panel.x, 100.0)
        assert panel.values[row, column] == pytest.approx(value, rel=1e-8)


def test_reverse_steering_is_absent_from_figure_2_and_present_in_figure_3():
    assert figure("tan2020-3c", 15).panel("c").shown.any()
    assert figure("tan2020-3f", 15).panel("f").shown.any()
    assert not figure("tan2020-2c", 15).panel("c").shown[:, 0].any()


def test_resonances_are_as_wide_as_the_cavity_and_as_the_filters():
    optical, mechanical = figure("riedinger2018-1", 4001).panels
    for line in optical.lines:
        below = optical.x.values[line.values < 0.5]
        assert np.ptp(below) == pytest.approx(1553.8e3 / 2.2e5, rel=0.01)  # λ/Q in pm
    a, b = (mechanical.x.values[np.argmax(line.values)] for line in mechanical.lines)
    assert 1e3 * (b - a) == pytest.approx(45, abs=0.2)
    width = 1e3 * np.ptp(mechanical.x.values[mechanical.lines[0].values > 0.5])
    alone, pulse = 50 * np.sqrt(np.sqrt(2) - 1), 0.886 / 0.040  # of two filters; of sinc², MHz
    assert np.hypot(alone, pulse) < width < alone + pulse


def test_mechanical_lines_follow_the_beat_and_nothing_else_of_the_model():
    mechanical = figure("riedinger2018-1", 4001, delta_omega_hz=80e6).panel("b")
    a, b = (mechanical.x.values[np.argmax(line.values)] for line in mechanical.lines)
    assert 1e3 * (b - a) == pytest.approx(80, abs=0.2)
    with pytest.raises(
        ValueError, match="shows delta_omega_hz alone of the parameters, but got n_0_A"
    ):
        figure("riedinger2018-1", n_0_A=0.5)


def test_fringe_passes_the_counts_its_parameters_were_matched_to():
    panel = figure("riedinger2018-3", 201).panels[0]
    column = nearest(panel.x, 0.2)
    for line, points in zip(panel.lines, panel.points, strict=True):
        sigma = 0.5 * (points.high[0] - points.low[0])
        assert abs(line.values[column] - points.values[0]) < 2 * sigma


def test_delay_windows_hold_one_fringe_per_beat_of_the_devices():
    panel = figure("riedinger2018-4b", 541).panel("b")
    different = panel.lines[0].values
    beat = round(1e9 / 45e6 / (panel.x.values[1] - panel.x.values[0]))
    assert np.corrcoef(different[:-beat], different[beat:])[0, 1] > 0.999


def test_both_chips_hold_all_their_devices():
    for line in figure("riedinger2018-S1").panels[0].lines:
        assert line.values.sum() == pytest.approx(234, abs=0.2)


def test_pump_heats_late_and_the_slower_device_stays_warm():
    device_a, device_b = (line.values for line in figure("riedinger2018-S3", 201).panels[0].lines)
    assert 5 < np.argmax(device_a) < 30
    assert device_b[100] > device_a[100]


def test_temperatures_at_which_the_microwaves_disentangle():
    panel = figure("yu2020-3", 251).panels[0]
    ends = [panel.x.values[np.flatnonzero(line.values > 0)[-1]] for line in panel.lines]
    assert ends == pytest.approx([185, 156], abs=1.5)


def test_the_caption_says_where_entanglement_ends_whatever_the_points():
    for points in (5, 101):
        assert "185 mK at the optimum and 156 mK for equal" in figure("yu2020-3", points).differs


@pytest.mark.parametrize(
    ("name", "largest", "x", "y"),
    [
        ("fan2026-2b", 0.206, 0.6, -1.03),
        ("yu2020-2a", 0.137, 0.81, -0.77),
        ("yu2020-2b", 0.160, 0.30, 0.78),
    ],
)
def test_maxima_are_where_the_captions_say(name, largest, x, y):
    (panel,) = figure(name, 101).panels
    row, column = np.unravel_index(np.nanargmax(panel.values), panel.values.shape)
    places = sorted(np.abs([panel.x.values[column], panel.y.values[row]]))
    assert np.nanmax(panel.values) == pytest.approx(largest, abs=1e-3)
    assert places == pytest.approx(sorted(np.abs([x, y])), abs=0.04)


def test_duan_criterion_fails_at_the_exact_sidebands():
    panel = figure("yu2020-4a", 41).panel("a")
    row, column = nearest(panel.y, -1.0), nearest(panel.x, 1.0)
    assert panel.blank[row, column]
    assert panel.values[row, column] == pytest.approx(2.0636186123, rel=1e-8)
    assert panel.shown.any()


def test_other_parameters_change_the_data_and_the_caption():
    cold, warm = figure("yu2020-2a"), figure("yu2020-2a", temperature=0.5)
    assert cold.panels[0].shown.sum() > warm.panels[0].shown.sum()
    assert warm.caption.endswith("Changed by you: temperature = 0.5.")


@pytest.mark.parametrize(
    ("ids", "names"),
    [
        (["004"], ["yu2020-2", "yu2020-3", "yu2020-4"]),
        (["yu2020-2a"], ["yu2020-2a"]),
        (["002:3f", "tan2020-3a", "003:s1"], ["tan2020-3af", "riedinger2018-S1"]),
        (["fan2026-2a", "fan2026-2"], ["fan2026-2"]),
    ],
)
def test_figures_are_found_by_paper_number_or_panel(ids, names):
    assert [choice.name for choice in catalogue.choose(ids)] == names


def test_unknown_figures_and_parameters_offer_the_nearest():
    with pytest.raises(KeyError, match="no figure 'yu2020-2x'; nearest: yu2020-2"):
        catalogue.choose(["yu2020-2x"])
    with pytest.raises(KeyError, match="nearest: temperature"):
        figure("yu2020-3", temprature=0.1)
    with pytest.raises(ValueError, match="riedinger2018-S1 has no parameters"):
        figure("riedinger2018-S1", delay=1e-7)
    with pytest.raises(ValueError, match="`variant` must stay, figure liu2024-2"):
        figure("liu2024-2", variant="slh")
    with pytest.raises(ValueError, match="`points` must be at least 2"):
        figure("yu2020-3", 1)


@pytest.mark.parametrize("name", ["fan2026-6", "liu2024-2", "tan2020-2b", "riedinger2018-S1"])
def test_files_are_small_pictures(name, tmp_path):
    path = save_figure(figure(name), tmp_path / "new")
    assert path.name == f"{name}.png"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert 2_000 < path.stat().st_size < 60_000


def test_a_page_shows_figures_with_their_remarks():
    page = gallery([figure("yu2020-3", 3)], "pictures")
    assert "![Yu, Shen & Li Fig. 3" in page
    assert "(pictures/yu2020-3.png)" in page
    assert "- **Differs:** " in page


def test_the_documentation_shows_every_figure_in_a_small_file():
    page = (DOCS / "figures.md").read_text(encoding="utf-8")
    for name in DATA_FIGURES:
        assert f"(figures/{name}.png)" in page
        assert (DOCS / "figures" / f"{name}.png").stat().st_size < 60_000


@pytest.mark.parametrize(("kind", "begin"), [("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_vector_files_hold_title_and_caption(kind, begin, tmp_path):
    data = figure("yu2020-3", 5)
    written = save_figure(data, tmp_path, kind).read_bytes()
    assert written.startswith(begin)
    if kind == "svg":
        assert data.title in written.decode().replace("&amp;", "&")
        assert "185 mK at the optimum" in written.decode()
    with pytest.raises(ValueError, match="one of png, pdf, svg, but is 'jpg'"):
        save_figure(data, tmp_path, "jpg")


@pytest.mark.parametrize("name", DATA_FIGURES)
def test_every_axis_says_what_it_is(name):
    """A name in words, and a unit in brackets unless it is a number, a ratio or its letter."""
    for panel in figure(name, 3).panels:
        labels = [panel.x.label, panel.label]
        labels += [panel.y.label] if isinstance(panel, Map) else []
        for label in labels:
            assert re.match(r"[a-zA-Z-]{3,} ", label), label
            if re.search(r"(temperature|power|delay|wavelength|frequency|phase)\b", label):
                assert label.endswith(")"), label


@pytest.mark.parametrize("name", DATA_FIGURES)
def test_what_does_not_reproduce_says_so_in_the_picture(name):
    drawn = draw(figure(name, 3))
    said = "" if drawn.get_suptitle() is None else drawn.get_suptitle()
    assert said.startswith("NOT REPRODUCED") == name.startswith("liu2024")
    assert "Reproduces" not in " ".join(text.get_text() for text in drawn.findobj(Text))
