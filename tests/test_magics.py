"""``%ecg`` and ``%%ecg`` in a real IPython shell: what they show, what they refuse and how, what Tab offers."""

from argparse import Namespace

import numpy as np
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import ecg_widget as ecg
from ecg_widget.magic_values import recordings_of
from ecg_widget.magic_words import split, value_of


@pytest.fixture(scope="module")
def ip(tmp_path_factory):
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell(config=config, ipython_dir=str(tmp_path_factory.mktemp("ipython")))
    shell.run_line_magic("load_ext", "ecg_widget")
    return shell


@pytest.fixture(scope="module")
def ds():
    return ecg.simulate(2, seed=1, duration=5)


@pytest.fixture
def run(ip, ds, tmp_path, monkeypatch):
    """Run a cell in an empty folder; the widget that it gives, closed at the end."""
    monkeypatch.chdir(tmp_path)
    ip.user_ns.update(ecg=ecg, np=np, ds=ds, number=3, folder=tmp_path, net=ecg.load_network())
    made = []

    def cell(text):
        result = ip.run_cell(text, store_history=False)
        result.raise_error()
        made.append(result.result)
        return result.result

    yield cell
    for widget in made:
        if isinstance(widget, ecg.ECGWidget):
            widget.close()
    for name in ("ds", "w", "net", "acts", "path", "paths", "array"):
        ip.user_ns.pop(name, None)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder of the test as the user's own."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    return tmp_path


@pytest.fixture
def refused(ip, run, capsys):
    """Run a cell that is refused: one line, no traceback, nothing on the error stream; the line."""

    def cell(text):
        capsys.readouterr()
        with pytest.raises(UsageError) as error:
            run(text)
        shown = "".join(capsys.readouterr())
        assert "Traceback" not in shown
        assert shown.strip() == f"UsageError: {error.value}"
        assert str(error.value).startswith("%ecg: ")
        return str(error.value)

    return cell


def write_csv(path, seconds=4):
    t = np.arange(0, seconds, 0.01)
    rows = [f"{np.sin(9 * x):.4f},{np.cos(7 * x):.4f}" for x in t]
    path.write_text("\n".join(["II,V5", *rows]))


def saved(ds, path, record=0):
    """A record as WFDB, which needs no extra."""
    import wfdb

    signal = ds["signal"].isel(record=record).values.T.astype(float)
    path.parent.mkdir(exist_ok=True)
    wfdb.wrsamp(
        path.name,
        fs=int(ds["time"].attrs["sampling_rate"]),
        units=["mV"] * 12,
        sig_name=[str(lead) for lead in ds["lead"].values],
        p_signal=signal,
        fmt=["16"] * 12,
        write_dir=str(path.parent),
    )
    return path


# What it shows


def test_a_variable_with_every_option(run, ds):
    widget = run(
        "%ecg ds --clusters 5 --layers blocks.1,blocks.2 --layers blocks.3 --threshold 0.4 --record 0001-IMI "
        "--target MI --device cpu --network net --leads I,II,III,aVR,aVL,aVF,V1,V2,V3,V4,V5,V6"
    )
    assert isinstance(widget, ecg.ECGWidget)
    assert (widget.n_clusters, widget.threshold, widget.record, widget.target) == (5, 0.4, "0001-IMI", "MI")
    assert widget.layers == ["blocks.1", "blocks.2", "blocks.3"]
    assert str(widget.explorer.device) == "cpu"
    assert widget.error == ""
    assert widget.explorer.default_layers == widget.layers


def test_assignment_gives_the_widget_and_shows_nothing(run, ip, capsys):
    assert run("w = %ecg ds --clusters 4") is None
    assert ip.user_ns["w"].n_clusters == 4
    ip.user_ns["w"].close()
    capsys.readouterr()


def test_defaults_are_those_of_explore(run, ds):
    widget = run("%ecg ds")
    with_explore = ecg.explore(ecg.load_network(), ds)
    assert widget.state == with_explore.state
    with_explore.close()


@pytest.mark.parametrize(
    "line",
    [
        "'my records/r03'",
        '"my records/r03.hea"',
        pytest.param(r"my\ records/r03", marks=pytest.mark.skipif("os.name != 'posix'")),
        "'my records/r{number:02d}'",
        "'{folder}/my records/r0{number}'",
        "{folder / 'my records' / 'r03'}",
        "'my records'/r*.hea",
        "'$folder/my records/r03'",
        "'~/my records/r03'",
        "{path}",
        "path",
        "paths",
    ],
)
@pytest.mark.usefixtures("run")
def test_paths_as_people_write_them(ip, ds, home, line):
    path = saved(ds, home / "my records" / "r03")
    ip.user_ns.update(path=path, paths=[str(path)])
    found = recordings_of(split(line), Namespace(leads=None, units=None, sampling_rate=None), ip)
    assert found["record"].values.tolist() == ["r03"]
    np.testing.assert_allclose(found["signal"].values[0], ds["signal"].values[0], atol=0.01)


def test_several_files_are_read_together(run, ds, tmp_path):
    saved(ds, tmp_path / "a", 0)
    saved(ds, tmp_path / "b", 1)
    assert run("%ecg a --clusters 2 b").choices["records"] == ["a", "b"]
    assert run("%ecg *.hea --clusters 2").choices["records"] == ["a", "b"]


def test_a_file_that_states_too_little_needs_the_options(run, refused, tmp_path, ip):
    write_csv(tmp_path / "two.csv")
    assert "sampling_rate" in refused("%ecg two.csv --units mV")
    ip.user_ns["net"] = ecg.ECGNetwork(
        ecg.networks.ResNet1d(2, 1), ecg.InputSpec(leads=("II", "V5"), sampling_rate=100), ["x"]
    )
    widget = run("%ecg two.csv --units uV --sampling-rate 100 --network net --clusters 2 --layers finest")
    ds = widget.explorer.ds
    assert float(abs(ds["signal"]).max()) < 0.0011
    assert ds["time"].attrs["sampling_rate"] == 100


def test_networks(run, ip, ds, tmp_path, monkeypatch):
    net = ecg.load_network()
    net.save(tmp_path / "mine net.safetensors")
    (tmp_path / "nets.py").write_text("import ecg_widget as ecg\ndef made(): return ecg.load_network()\n")
    ip.user_ns["acts"] = ecg.activations(net, ds)
    for named in ("ptbxl_resnet1d", "'mine net.safetensors'", "nets.py:made", "{net}"):
        widget = run(f"%ecg ds --network {named} --clusters 2")
        assert widget.explorer.network.fingerprint == net.fingerprint, named
    stored = run("%ecg ds --network acts --clusters 2")
    assert stored.explorer.network is ip.user_ns["acts"]


# Over a cell


def test_a_cell_gives_the_recording(run, ip):
    widget = run("%%ecg --clusters 3\nn = 1\nmade = ecg.simulate(n)\nmade.assign_coords(record=['mine'])")
    assert (widget.record, widget.n_clusters) == ("mine", 3)
    assert ip.user_ns["n"] == 1
    assert run("%%ecg --clusters 2\nmade = ecg.simulate(1)").record == "0000-NORM"
    assert run("%%ecg --clusters 2 --network own\nown = ecg.load_network()\nmade").explorer.network is ip.user_ns["own"]


def test_a_cell_may_give_an_array_with_what_it_does_not_state(run, refused, ds):
    leads = ",".join(map(str, ds["lead"].values))
    line = f"--sampling-rate {ds['time'].attrs['sampling_rate']} --units mV --leads {leads} --clusters 2"
    widget = run(f"%%ecg {line}\nds['signal'].values[0]")
    np.testing.assert_array_equal(widget.explorer.ds["signal"].values, ds["signal"].values[:1])
    assert refused("%%ecg --units mV\nds['signal'].values[0]") == (
        "%ecg: the cell's last line: expected --sampling-rate, --leads with an array, which does not state it, got none"
    )
    assert "expected a closing }" in refused("%ecg {ds")


def test_errors_of_a_cell_are_the_users(run, capsys):
    with pytest.raises(ZeroDivisionError):
        run("%%ecg\nx = 1\nx / 0")
    shown = "".join(capsys.readouterr())
    assert "ZeroDivisionError" in shown
    assert "magics.py" not in shown
    with pytest.raises(SyntaxError):
        run("%%ecg\nx = ")


# What it refuses


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("%ecg", "expected a recording (a path or a variable), got none"),
        (
            "%ecg nothing.edf",
            "nothing.edf: expected a recording: a Dataset, an array, a path or a list of paths, got no",
        ),
        ("%ecg no/such/folder/x", "(there is no folder no/such/folder)"),
        ("%ecg dss", "did you mean ds?"),
        ("%ecg textt.txt", "did you mean text.txt?"),
        ("%ecg text.txt", "text.txt: expected content of one of"),
        ("%ecg number", 'got int; quote it to read a file of that name: "number"'),
        ("%ecg {number}", "{number}: expected a recording: a Dataset, an array, a path or a list of paths, got int"),
        ("%ecg {nothing}/x", "{nothing}: expected a value, got NameError"),
        ("%ecg {1 +}", "{1 +}: expected a value, got"),
        ("%ecg 'ds", "ds: expected a closing '"),
        ("%ecg ds text.txt", "ds: expected paths where there are several recordings, got Dataset"),
        ("%ecg ds --clusters 40", "--clusters: expected a whole number from 2 to 20, got 40"),
        ("%ecg ds --clusters few", "--clusters: invalid int value: 'few'"),
        ("%ecg ds --clusterz 4", "got --clusterz; did you mean --clusters?"),
        ("%ecg ds --threshold 2", "threshold: expected a number from 0 to 1, got 2.0"),
        ("%ecg ds --record nobody", "record: expected one of ['0000-NORM', '0001-IMI'], got 'nobody'"),
        ("%ecg ds --target AF", "target: expected one of"),
        ("%ecg ds --layers blocks.9", "layers: expected one or more of ['blocks.0', 'blocks.1'"),
        ("%ecg ds --device abacus", "--device: expected one of cpu"),
        ("%ecg ds --leads V9", "--leads: expected some of I, II"),
        ("%ecg ds --units mV", "--units, --sampling-rate: expected with a file or an array, got a Dataset"),
        ("%ecg ds --network nett", "got 'nett'; did you mean net?"),
        ("%ecg ds --network number", "got 'number', a variable of int"),
        ("%ecg ds --network none.safetensors", "none.safetensors"),
        ("%ecg ds --network text.safetensors", "text.safetensors"),
        ("%ecg ds --network none.py:f", "expected FILE.safetensors or FILE.py:NAME with a file that exists"),
        ("%ecg {ds.isel(lead=[0, 1])}", "expected"),
        ("%%ecg ds\nds", "expected a recording from the cell's last line, got 'ds' beside it"),
        (
            "%%ecg\n5",
            "the cell's last line: expected a recording: a Dataset, an array, a path or a list of paths, got int",
        ),
        ("%%ecg\nif True:\n    ds", "got nothing; end the cell with it"),
    ],
)
def test_what_does_not_fit_is_said_in_a_line(refused, tmp_path, line, said):
    (tmp_path / "text.txt").write_text("no recording")
    (tmp_path / "text.safetensors").write_text("no weights")
    assert said in refused(line)


# Completion


@pytest.fixture
def offered(ip, run, tmp_path):
    """Texts that Tab offers at the end of a line, by both interfaces of the completer, and what they replace."""

    def at(line):
        fragment, matches = ip.complete(None, line, len(line))
        with provisionalcompleter():
            found = list(ip.Completer.completions(line, len(line)))
        assert {c.text for c in found} == set(matches)
        assert {line[c.start :] for c in found} <= {fragment}
        return fragment, matches

    return at


def test_options_are_offered_once(offered):
    assert offered("%ecg ds --th") == ("--th", ["--threshold"])
    assert offered("w = %ecg ds --la") == ("--la", ["--layers"])
    assert offered("%%ecg --clu") == ("--clu", ["--clusters"])
    every = offered("%ecg ds --")[1]
    assert {"--network", "--layers", "--clusters", "--threshold", "--record", "--device"} <= set(every)
    assert "--clusters" not in offered("%ecg ds --clusters 5 --")[1]
    assert "--layers" in offered("%ecg ds --layers blocks.1 --")[1]


def test_values_are_offered(offered, ip, ds):
    blocks = [f"blocks.{i}" for i in range(4)]
    assert offered("%ecg ds --layers ")[1] == [*blocks, "last-three-blocks", "finest", "all"]
    assert offered("%ecg ds --layers blocks.1,bl") == ("bl", blocks)
    assert offered("%ecg ds --layers=blocks.1,fi") == ("fi", ["finest"])
    assert offered("%ecg ds --record 0001")[1] == ["0001-IMI"]
    assert offered("%ecg ds --target ")[1] == list(ecg.load_network().targets)
    assert offered("%ecg ds --clusters ")[1] == [str(k) for k in range(2, 21)]
    assert "cpu" in offered("%ecg ds --device ")[1]
    assert offered("%ecg x.csv --leads I,aV")[1] == ["aVR", "aVL", "aVF"]
    ip.user_ns["net"] = ecg.ECGNetwork(ecg.networks.ResNet1d(2, 1), ecg.InputSpec(leads=("I", "II")), ["only"])
    assert offered("%ecg ds --network net --target ")[1] == ["only"]


def test_variables_and_paths_are_offered(offered, ip, tmp_path):
    (tmp_path / "my records").mkdir()
    (tmp_path / "my records" / "rec 1.edf").touch()
    (tmp_path / "my records" / "notes.txt").touch()
    (tmp_path / "data.edf").touch()
    (tmp_path / "net.safetensors").touch()
    assert offered("%ecg d") == ("d", ["ds", "data.edf"])
    assert offered("%ecg 'my records/r") == ("my records/r", ["my records/rec 1.edf"])
    assert offered('%ecg "my') == ("my", ["my records/"])
    assert offered("%ecg ds --network n")[1] == ["net", "net.safetensors"]
    assert offered("%ecg ds --network pt")[1] == ["ptbxl_resnet1d"]
    assert not {"In", "_", "get_ipython", "number", "ecg"} & set(offered("%ecg ")[1])


@pytest.mark.skipif("os.name != 'posix'")
def test_spaces_in_paths_are_escaped(offered, home):
    (home / "my records").mkdir()
    (home / "my records" / "rec 1.edf").touch()
    assert offered("%ecg my") == ("my", [r"my\ records/"])
    assert offered(r"%ecg my\ records/re") == (r"my\ records/re", [r"my\ records/rec\ 1.edf"])
    assert offered(r"%ecg ~/my\ rec")[1] == [r"~/my\ records/"]


def test_other_lines_are_left_alone(ip, run):
    for line in ("ds.si", "np.zer", "%%ecg\nds.si", "x = '%ecg d", "%ecg {ds.si"):
        with provisionalcompleter():
            texts = {c.text for c in ip.Completer.completions(line, len(line))}
        assert not any("data.edf" in text or text.startswith("--") for text in texts), line
        assert texts or line.startswith("x"), line


# Loading


def test_it_can_be_unloaded_and_loaded_again(ip, run):
    ip.run_line_magic("reload_ext", "ecg_widget")
    assert ip.complete(None, "%ecg ds --th", 12)[1] == ["--threshold"]
    ip.run_line_magic("unload_ext", "ecg_widget")
    assert ip.complete(None, "%ecg ds --th", 12)[1] == []
    assert ip.find_line_magic("ecg") is None
    assert ip.find_cell_magic("ecg") is None
    ip.run_line_magic("load_ext", "ecg_widget")
    assert ip.find_line_magic("ecg") is not None


def test_help_has_every_option(ip):
    text = ip.find_line_magic("ecg").__doc__
    for word in ("--network", "--layers", "--clusters", "--sampling-rate", "%%ecg", "ptbxl_resnet1d"):
        assert word in text


# Words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("  a   b ", ["a", "b"]),
        ("'a b'c", ["a bc"]),
        ("\"it's\" '\"'", ["it's", '"']),
        ("{ {'a b': 1}['a b'] } x", ["{ {'a b': 1}['a b'] }", "x"]),
        ("{'}'}/y", ["{'}'}/y"]),
        ("a{{b}}c", ["a{b}c"]),
        ("''", [""]),
    ],
)
def test_words(line, words):
    assert split(line) == words


def test_words_say_what_is_open():
    assert [w.unclosed for w in split("a 'b c")] == ["", "'"]
    assert [w.unclosed for w in split("a {b c")] == ["", "{"]
    assert [w.quoted for w in split("a 'b c' d'e'")] == [False, True, True]
    with pytest.raises(ValueError, match="expected a closing"):
        value_of(split("{a")[0], {"a": 1})
