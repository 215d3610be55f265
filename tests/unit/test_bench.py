"""The pure parts of the benchmark: figures from turns, the file of results, the table, wrk's words, how cost grows."""

import json
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "bench"

pytestmark = pytest.mark.skipif(not BENCH.exists(), reason="an installed package has no benchmark")

sys.path.insert(0, str(BENCH))  # its modules stand beside its command
try:
    import growth
    import publish
    import results
    import run
    import wrk
    from peers import PEERS
    from rows import ROWS, Line, Row
    from stage import BenchError, Turn
finally:
    sys.path.remove(str(BENCH))

ROW = Row({"cost": Line("small request")}, lambda *_: Turn({}))
TITLES = {"haproxy": "HAProxy", "failover": "Failover"}


def turns(*costs, **more):
    return [Turn({"cost": cost}, {"per_second": 1e6 / cost}, **more) for cost in costs]


def summed(**series):
    return results.summary(ROW, series, {}, 1.0)


def result_of(row):
    return {"versions": VERSIONS, "rows": {"small": row}, "growth": {}}


class TestFigures:
    def test_the_median_counts_and_its_ratio_to_haproxy(self):
        row = summed(haproxy=turns(10, 30, 20), failover=turns(31, 29, 30))
        proxies = row["lines"]["cost"]["proxies"]
        assert proxies["haproxy"] == {"median": 20, "to_haproxy": 1.0, "turns": [10, 30, 20]}
        assert (proxies["failover"]["median"], proxies["failover"]["to_haproxy"]) == (30, 1.5)
        assert row["beside"]["haproxy"] == {"per_second": 50_000}

    def test_without_haproxy_there_is_no_ratio(self):
        assert summed(failover=turns(30))["lines"]["cost"]["proxies"]["failover"]["to_haproxy"] is None

    def test_trouble_is_told_with_its_proxy(self):
        row = summed(haproxy=turns(20), failover=turns(30, 31, trouble="Non-2xx or 3xx responses: 3"))
        assert results.troubles(row) == ["failover: Non-2xx or 3xx responses: 3; Non-2xx or 3xx responses: 3"]

    def test_a_value_that_a_turn_has_not_is_left_out(self):
        row = summed(haproxy=turns(20), failover=[Turn({}, note="it does not reach that")])
        assert "failover" not in row["lines"]["cost"]["proxies"]
        assert results.notes(result_of(row), ["small"], list(TITLES)) == ["small, failover: it does not reach that"]


VERSIONS = {"haproxy": "2.6", "failover": "0.1"}


class TestFile:
    def written(self, tmp_path):
        file = tmp_path / "folder/results.json"
        results.write(file, result_of(summed(haproxy=turns(20))) | {"growth": {"headers": {}, "incidents page": {}}})
        return file

    def test_rows_are_merged_into_it(self, tmp_path):
        result = results.read(self.written(tmp_path), VERSIONS, rows=["10k"])
        assert set(result["rows"]) == {"small"}
        assert set(result["growth"]) == {"headers", "incidents page"}

    def test_what_is_measured_anew_is_forgotten(self, tmp_path):
        result = results.read(self.written(tmp_path), VERSIONS, rows=["small"], growth=["incidents"])
        assert (result["rows"], set(result["growth"])) == ({}, {"headers"})

    def test_figures_of_other_versions_are_never_mixed(self, tmp_path):
        with pytest.raises(BenchError, match=r"has figures of failover 0\.1, this is 0\.2"):
            results.read(self.written(tmp_path), VERSIONS | {"failover": "0.2"}, rows=["10k"])

    def test_all_anew_may_be_of_another_version(self, tmp_path):
        file = self.written(tmp_path)
        results.write(file, json.loads(file.read_text()) | {"growth": {}})
        assert results.read(file, {"failover": "0.2"}, rows=["small"])["versions"] == {"failover": "0.2"}


class TestTable:
    RESULT = result_of(summed(haproxy=turns(20.04), failover=turns(30.1)))

    def test_for_the_terminal(self):
        assert results.table(self.RESULT, ["small"], list(TITLES), TITLES).splitlines() == [
            "                   HAProxy 2.6  Failover 0.1",
            "small request, µs           20   30.1 (1.50)",
        ]

    def test_for_a_page(self):
        assert results.markdown(self.RESULT, ["small", "10k"], list(TITLES), TITLES).splitlines() == [
            "|  | HAProxy | Failover |",
            "| --- | ---: | ---: |",
            "| small request, µs | 20 | 30.1 (1.50) |",
        ]

    @pytest.mark.parametrize(("value", "text"), [(0.12345, "0.123"), (12.345, "12.3"), (12345.6, "12,346")])
    def test_numbers_are_short(self, value, text):
        assert results.short(value) == text


class TestWrk:
    def test_what_it_says(self):
        load = wrk.parse("Requests/sec: 2\n  Socket errors: connect 0, read 3\ntotal 300 60000 1500000\n")
        assert (load.requests, load.read, load.per_second) == (300, 60_000, 200)
        assert load.trouble == "Socket errors: connect 0, read 3"

    @pytest.mark.parametrize("told", ["", "total 0 0 1500000\n"])
    def test_no_answers_are_no_figure(self, told):
        with pytest.raises(BenchError, match="nothing was answered"):
            wrk.parse(told)

    def test_its_script_has_path_and_headers(self):
        script = wrk.script("/here", {"Accept": "*/*"})
        assert 'wrk.headers["Accept"] = "*/*"\nwrk.path = "/here"\n' in script


class TestGrowth:
    @pytest.mark.parametrize(
        ("values", "word"),
        [
            ((30, 30, 31, 32), "flat"),
            ((90, 31, 30, 29), "flat"),
            ((30, 37, 75, 125), "linear"),
            ((10, 30, 50, 51), "levels off"),
            ((30, 31, 32, 200), "steeper"),
        ],
    )
    def test_the_rule(self, values, word):
        assert growth.judged((5, 12, 50, 100), values)[1] == word

    def test_two_points_are_flat_or_linear(self):
        assert [growth.judged((1, 2), values)[1] for values in ((30, 31), (30, 60))] == ["flat", "linear"]

    @pytest.mark.parametrize("count", [5, 12, 50, 100])
    def test_headers_are_as_many_as_wanted_with_host(self, count):
        assert len(growth.headers(count)) == count - 1

    def test_a_line_is_read_aloud(self):
        line = {"title": "backups", "sizes": [1, 2], "medians": [30, 60.5], "unit": "µs", "of": "a request"}
        told = growth.told(line | {"word": "linear", "slope": 30.5, "by": "backup"})
        assert told == "backups 1, 2: 30, 60.5 µs for a request: linear, 30 µs for each backup more"


class TestCast:
    def test_who_is_missing_is_named_with_what_to_do(self, monkeypatch, capsys):
        monkeypatch.setattr(run, "found", lambda command: None if command in {"envoy", "haproxy"} else command)
        cast = run.chosen(["haproxy", "failover", "envoy"], ["before=/somewhere"])
        assert list(cast) == ["failover", "before"]
        assert cast["before"].folder == Path("/somewhere")
        told = capsys.readouterr().err
        assert "no HAProxy here, the rest runs; to have it: apt-get install haproxy" in told
        assert "no Envoy here, the rest runs; to have it: pip install 'failover[bench]'" in told

    def test_a_flag_that_failover_does_not_know_is_said_in_a_word(self):
        assert (
            PEERS["failover"].reason("failover: --tls-cert: is not a flag\n") == "cannot yet: --tls-cert is not a flag"
        )


def test_a_place_of_the_page_is_replaced_and_nothing_else():
    page = "before\n<!-- table -->\nold\n<!-- /table -->\nafter\n"
    assert publish.replaced(page, "table", r"new \1") == "before\n<!-- table -->\nnew \\1\n<!-- /table -->\nafter\n"
    with pytest.raises(ValueError, match="needs one <!-- growth -->"):
        publish.replaced(page, "growth", "")


def test_the_page_has_all_places_that_are_written():
    page = (BENCH.parent / "docs/performance.md").read_text()
    for name in ("run", "table", "growth"):
        assert publish.replaced(page, name, "")


def test_the_page_names_every_row_and_proxy():
    page = (BENCH.parent / "docs/performance.md").read_text()
    for what in [line.title for row in ROWS.values() for line in row.lines.values()]:
        assert what in page
    for peer in PEERS.values():
        assert peer.title in page
