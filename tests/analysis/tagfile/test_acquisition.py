import pytest

from analysis.tagfile.acquisition import Acquisition
from analysis.tagfile.source import FileWarning


def test_text_gives_the_same_acquisition_back():
    acquisition = Acquisition(
        mode="T3",
        resolution=6.399999974426862e-11,
        sync_period=2.000016000128001e-07,
        sync_rate=4999960,
        measured_time=10.0,
        end_time=50_000_000,
        warnings=(FileWarning(code="fifo_overrun", message='a "quoted" word'),),
    )
    assert Acquisition.from_text(acquisition.to_text()) == acquisition


def test_without_metadata_tags_are_t2_in_picoseconds():
    acquisition = Acquisition.from_text({"colour": "blue"})
    assert acquisition == Acquisition(mode="T2", resolution=1e-12)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ({"mode": "T4"}, "`mode` must be"),
        ({"mode": "T3"}, "`sync_period` must be given"),
        ({"resolution": "fast"}, "metadata 'resolution' cannot be read from 'fast'"),
        ({"resolution": "nan"}, "`resolution` must be positive"),
        ({"measured_time": "-3"}, "`measured_time` must be positive"),
        ({"end_time": "-3"}, "`end_time` must not be negative"),
        ({"warnings": "{}}"}, "metadata 'warnings'"),
    ],
)
def test_senseless_metadata_is_refused(text, match):
    with pytest.raises(ValueError, match=match):
        Acquisition.from_text(text)
