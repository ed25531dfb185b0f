"""The `dcfm` command: what it lists, what it imports, and how it fails."""

import importlib.util
import os
import signal
import subprocess
import sys
import types

import pytest

from dcfm_ros import __version__, cli
from dcfm_ros.errors import DcfmError
from dcfm_ros.model.checkpoint import save_model
from dcfm_ros.model.config import ModelConfig
from dcfm_ros.model.dcfm import build_model


def run(*args, **kwargs):
    command = [sys.executable, "-m", "dcfm_ros.cli", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **kwargs)


@pytest.fixture
def fake_command(monkeypatch):
    """Put a command `fake` into the table; its behaviour is the function handed in."""

    def install(behaviour):
        module = types.ModuleType("fake")
        module.configure = lambda parser: parser.add_argument("--answer", type=int, default=0)
        module.run = behaviour
        monkeypatch.setitem(sys.modules, "dcfm_ros.commands.fake", module)
        monkeypatch.setitem(cli.COMMANDS, "fake", "do as told")

    return install


def test_what_the_system_refuses_is_one_line(fake_command, capsys):
    def full(args):
        raise OSError(28, "No space left on device", "/data/out/page.html")

    fake_command(full)
    assert cli.main(["fake"]) == 2
    assert capsys.readouterr().err == "dcfm: error: '/data/out/page.html': No space left on device\n"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_too_little_memory_is_one_line(fake_command, capsys, error):
    def hungry(args):
        raise error

    fake_command(hungry)
    assert cli.main(["fake"]) == 2
    assert "too little memory" in capsys.readouterr().err


def test_a_process_without_room_for_a_network_says_so(fake_command, capsys, monkeypatch):
    monkeypatch.setattr("resource.getrlimit", lambda which: (1 << 30, 1 << 30))
    fake_command(lambda args: 0)
    assert cli.main(["fake"]) == 2
    assert "1073741824 bytes of address space; dcfm fake needs at least" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_an_interruption(fake_command, capsys, number):
    fake_command(lambda args: signal.raise_signal(number))
    assert cli.main(["fake"]) == 130
    assert capsys.readouterr().err == "dcfm: interrupted\n"


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_no_command_writes_over_what_it_reads(tmp_path, capsys, force):
    weights = tmp_path / "model.safetensors"
    save_model(build_model(ModelConfig(num_classes=2)), weights)
    before = weights.read_bytes()
    (tmp_path / "graph.onnx").symlink_to(weights)
    camvid = tmp_path / "data" / "camvid"
    camvid.mkdir(parents=True)
    (camvid / "x.json").write_text("mine")
    commands = (
        ["bench", "--weights", str(weights), "--json", str(weights)],
        ["bench", "--weights", str(weights), "--plot", str(weights)],
        ["evaluate", str(weights), "--data", "synthetic:", "--json", str(weights)],
        ["convert", str(weights), str(weights), "-o", str(weights)],
        ["mean", f"{weights}=1", "-o", str(weights)],
    )
    for command in commands:
        assert cli.main([*command, *force]) == 2, command
        assert f"The output {weights} is read by this command" in capsys.readouterr().err
    assert weights.read_bytes() == before and (camvid / "x.json").read_text() == "mine"


def test_an_existing_file_is_replaced_only_with_force(tmp_path, capsys):
    weights = tmp_path / "model.safetensors"
    save_model(build_model(ModelConfig(num_classes=2)), weights)
    (tmp_path / "logits.onnx").write_text("mine")
    out = tmp_path / "out.json"
    out.write_text("mine")
    commands = (
        ["bench", "--weights", str(weights), "--json", str(out)],
        ["evaluate", str(weights), "--data", "synthetic:", "--json", str(out)],
        ["export", str(weights), "-o", str(tmp_path), "--size", "64x48"],
    )
    for command in commands:
        assert cli.main(command) == 2, command
        assert "exists already; add --force to replace it" in capsys.readouterr().err
    assert out.read_text() == (tmp_path / "logits.onnx").read_text() == "mine"


def test_escapes_in_names_do_not_reach_the_terminal(tmp_path):
    weights = tmp_path / "a\x1b[31m.safetensors"
    save_model(build_model(ModelConfig(num_classes=2)), weights)
    (tmp_path / "c\x1b[31m").write_text("no cache")
    environment = os.environ | {"DCFM_CACHE": str(tmp_path / "c\x1b[31m")}
    told = run("export", str(weights), "-o", str(tmp_path / "g\x1b[31m"), "--size", "64x48", env=environment)
    assert told.returncode == 0 and "\x1b" not in told.stdout + told.stderr and r"g\x1b[31m" in told.stdout
    told = run("info", str(weights), env=environment)
    assert told.returncode == 0 and "\x1b" not in told.stdout and r"a\x1b[31m" in told.stdout


def test_version():
    result = run("--version")
    assert result.returncode == 0
    assert result.stdout.strip() == f"dcfm {__version__}"


def test_help_lists_every_command():
    result = run("--help")
    assert result.returncode == 0
    for name in cli.COMMANDS:
        assert name in result.stdout


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_has_a_module(name):
    package = "dcfm_lab" if name in cli.IN_THE_LAB else "dcfm_ros"
    assert importlib.util.find_spec(f"{package}.commands.{name}") is not None


def test_help_imports_no_heavy_package():
    code = (
        "import sys\nfrom dcfm_ros import cli\n"
        "try:\n    cli.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([m for m in ('torch', 'cv2', 'numpy', 'rclpy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.rstrip().endswith("[]"), result.stdout + result.stderr


def test_unknown_and_missing_command_are_usage_errors():
    for args in ((), ("segment",)):
        result = run(*args)
        assert result.returncode == 2
        assert "usage: dcfm" in result.stderr
        assert "Traceback" not in result.stderr


def test_exit_status_and_options_reach_the_command(fake_command):
    fake_command(lambda args: args.answer)
    assert cli.main(["fake", "--answer", "42"]) == 42


def test_user_error_is_one_line(fake_command, capsys):
    def fail(args):
        raise DcfmError("bag x.mcap holds no image topic.")

    fake_command(fail)
    assert cli.main(["fake"]) == 2
    assert capsys.readouterr().err == "dcfm: error: bag x.mcap holds no image topic.\n"


def test_interrupt_has_no_traceback(fake_command, capsys):
    def interrupt(args):
        raise KeyboardInterrupt

    fake_command(interrupt)
    assert cli.main(["fake"]) == 130
    assert capsys.readouterr().err == "dcfm: interrupted\n"


def test_a_missing_package_is_named(monkeypatch, capsys):
    def missing(name):
        raise ModuleNotFoundError(name="package_that_is_not_there.inside")

    monkeypatch.setattr(cli.importlib, "import_module", missing)
    assert cli.main(["train"]) == 2
    error = capsys.readouterr().err
    assert "'package_that_is_not_there'" in error and "make setup" in error


def test_a_closed_pipe_is_no_error():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        code = (
            "import sys, types\nfrom dcfm_ros import cli\n"
            "m = types.ModuleType('m'); m.configure = lambda p: None\n"
            "def run(args):\n    print('x' * 100000, flush=True)\n    return 0\n"
            "m.run = run; sys.modules['dcfm_ros.commands.m'] = m; cli.COMMANDS['m'] = 'print'\n"
            "sys.exit(cli.main(['m']))"
        )
        result = subprocess.run(
            [sys.executable, "-c", code], stdout=closed, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert result.returncode == 128 + signal.SIGPIPE
    assert result.stderr == ""


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_give_their_numbers_to_no_file(tmp_path, closed):
    code = (
        "import os, sys\nfrom dcfm_ros.interrupts import open_streams\nopen_streams()\n"
        f"with open({str(tmp_path / 'file')!r}, 'w') as file:\n    assert file.fileno() > 2\n"
        "    os.write(2, b'lost')\n    print('lost', file=sys.stderr)\n    print('lost')\n"
    )
    done = subprocess.run(["bash", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, code], check=False)
    assert done.returncode == 0 and (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize("package", ["jinja2", "nncf.torch"])
def test_a_package_that_is_missed_while_a_command_works_is_one_line(monkeypatch, capsys, package):
    from dcfm_ros.commands import models

    def works(args):
        raise ModuleNotFoundError(f"No module named '{package}'", name=package)

    monkeypatch.setattr(models, "run", works)
    assert cli.main(["models"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"`dcfm models` needs the Python package '{package.partition('.')[0]}'" in line


def test_a_module_of_our_own_that_is_missing_is_a_fault(monkeypatch):
    from dcfm_ros.commands import models

    def works(args):
        raise ModuleNotFoundError("No module named 'dcfm_ros.nothing'", name="dcfm_ros.nothing")

    monkeypatch.setattr(models, "run", works)
    with pytest.raises(ModuleNotFoundError):
        cli.main(["models"])
