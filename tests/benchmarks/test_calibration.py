"""The page on calibration is made from its data, which were drawn with enough runs."""

import json

from benchmarks.calibration import DATA, PAGE, SEED, page


def test_the_page_is_that_of_the_data():
    found = json.loads(DATA.read_text(encoding="utf-8"))
    assert found["seed"] == SEED
    assert PAGE.read_text(encoding="utf-8") == page(found)


def test_no_valid_test_is_seen_to_be_wrong_more_often_than_its_level_allows():
    """Beyond 3 σ of the runs: 5 %, 1 % and 0.1 % at 95, 99 and 99.9 %."""
    found = json.loads(DATA.read_text(encoding="utf-8"))
    for part, test in (("single_look", "fixed"), ("peeking", "always")):
        for row in found[part]:
            runs, claims = row[test]["runs"], row[test]["claims"]
            for number, alpha in zip(claims, (0.05, 0.01, 0.001), strict=True):
                assert number <= runs * alpha + 3 * (runs * alpha) ** 0.5
