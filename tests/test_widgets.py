"""The live curve batches what it sends, can be stopped from another thread, and leaves a picture behind."""

from __future__ import annotations

import base64
import threading
from typing import Any

import pytest

from coursekit.widgets import Table, in_notebook, loss_plot, loss_view
from coursekit.widgets.loss_bar import LossBar


class Shown:
    """Stands in for the notebook's display handle."""

    def __init__(self) -> None:
        self.updates = 0

    def update(self, _: Any) -> None:
        self.updates += 1


@pytest.fixture
def plot(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A plot whose messages are kept, with a clock that the test sets."""
    made = loss_plot.LossPlot({"bigram": 3.5})
    made.sent, made.clock, made.shown = [], [0.0], Shown()
    monkeypatch.setattr(type(made), "send", lambda self, content: self.sent.append(content))
    monkeypatch.setattr("coursekit.widgets.loss_plot.time.monotonic", lambda: made.clock[0])
    monkeypatch.setattr("IPython.display.display", lambda *_, **__: made.shown)
    return made


def points(plot: Any) -> list[Any]:
    return [point for message in plot.sent for point in message["points"]]


def test_points_are_sent_in_batches_at_most_every_tenth_of_a_second_and_none_is_lost(plot: Any) -> None:
    for i in range(101):
        plot.clock[0] = 10 + i / 100
        plot.add(i, 8 / (i + 1), i / 101, f"step {i}")
    assert 8 <= len(plot.sent) <= 11
    assert [x for x, _ in points(plot)] == list(range(plot.sent[-1]["start"] + len(plot.sent[-1]["points"])))
    plot.finish("done")
    assert [x for x, _ in plot.points] == list(range(101))


def test_a_view_that_opens_late_gets_everything(plot: Any) -> None:
    for i in range(5):
        plot.clock[0] += 1
        plot.add(i, 4, 0.1, "")
    plot.sent.clear()
    plot._answer(plot, {"want": "all"}, [])
    assert (plot.sent[0]["start"], len(points(plot))) == (0, 5)
    plot._answer(plot, {"want": "nothing"}, [])
    assert len(plot.sent) == 1


def test_the_stop_button_works_from_the_thread_that_serves_the_page(plot: Any) -> None:
    assert not plot.stopped
    thread = threading.Thread(target=lambda: plot.set_trait("stopped", True))
    thread.start()
    thread.join()
    assert plot.stopped


def test_the_finished_curve_is_a_picture_and_a_sentence_where_no_widget_lives(plot: Any) -> None:
    data, _ = plot._repr_mimebundle_()
    assert "image/png" not in data
    plot.add(1.0, 7.5, 0.5, "step 1")
    plot.add(2.0, 3.0, 1.0, "step 2")
    plot.finish("Training ended after 2 steps.")
    assert plot.shown.updates == 1
    assert not plot.running
    data, _ = plot._repr_mimebundle_()
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert data["text/plain"] == "[loss curve: Training ended after 2 steps.]"
    assert "application/vnd.jupyter.widget-view+json" in data


def test_a_training_that_saw_no_step_still_ends_in_its_sentence(plot: Any) -> None:
    plot.finish("Training ended (interrupted) after 0 steps.")
    data, _ = plot._repr_mimebundle_()
    assert "after 0 steps" in data["text/plain"]


@pytest.mark.parametrize("count", [1, 2, 999, 1000, 1001, 5432])
def test_a_long_curve_is_thinned_and_ends_where_it_ended(count: int) -> None:
    curve = [(float(i), 1.0) for i in range(count)]
    kept = loss_plot.thin(curve, 1000)
    assert len(kept) == count if count <= 1000 else 500 <= len(kept) <= 1000
    assert kept[-1] == curve[-1]
    assert kept == sorted(kept)


def test_the_running_mean_starts_at_the_first_value_and_follows_slowly() -> None:
    assert loss_plot.smooth([4.0, 4.0, 4.0]) == pytest.approx([4, 4, 4])
    assert loss_plot.smooth([8.0, 0.0]) == pytest.approx([8, 7.2])


def test_a_bar_follows_in_a_notebook_that_shows_no_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coursekit.widgets.in_notebook", lambda: True)
    assert isinstance(loss_view({}), loss_plot.LossPlot)
    monkeypatch.setenv("COURSE_WIDGETS", "off")
    assert isinstance(loss_view({}), LossBar)


def test_outside_a_notebook_a_bar_follows_and_only_the_last_line_remains(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not in_notebook()
    bar = loss_view({"gzip -9": 2.1})
    assert isinstance(bar, LossBar)
    bar.add(1, 3, 0.5, "step 1")
    bar.finish("Training ended.")
    told = capsys.readouterr()
    assert told.out == "bits per byte to beat: gzip -9 2.10\nTraining ended.\n"
    assert told.err == ""


def test_a_table_reads_the_same_in_text_and_in_html_and_escapes_what_it_holds() -> None:
    table = Table("a < b", [("short", "1"), ("much longer", "22.5")], ["Note & done."])
    assert str(table).splitlines() == ["a < b", "  short           1", "  much longer  22.5", "Note & done."]
    html = table._repr_mimebundle_()["text/html"]
    assert "a &lt; b" in html
    assert "Note &amp; done." in html
    assert html.count("<tr>") == 2
