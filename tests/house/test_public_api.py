"""What the packages export: every name leads somewhere, says what goes in and out, and costs
nothing before it is used."""

import dataclasses
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import diarize
import encoder

ROOT = Path(__file__).parents[2]
PACKAGES = (encoder, diarize)
# They raise no error of their own.
RAISE_NOTHING = {"assemble", "cosine_triplet_loss", "cut_windows", "fit_count", "level_out"}
RAISE_NOTHING |= {"resegment"}


def rooms(package):
    found = (ROOT / package.__name__).glob("**/__init__.py")
    return sorted(".".join(path.parent.relative_to(ROOT).parts) for path in found)


ROOMS = [room for package in PACKAGES for room in rooms(package)]
COMMAND = "diarize.cli"  # exports what starts it


def exported():
    return [(package, name) for package in PACKAGES for name in package.__all__]


def functions():
    """(name, function) of all that a user calls: functions, constructors, methods."""
    for package, name in exported():
        thing = getattr(package, name)
        if inspect.isfunction(thing):
            yield name, thing
        elif inspect.isclass(thing) and not issubclass(thing, Exception):
            for method, value in vars(thing).items():
                value = getattr(value, "__func__", value)
                made = dataclasses.is_dataclass(thing) and method == "__init__"
                public = method in ("__init__", "__call__", "forward") or not method.startswith("_")
                if inspect.isfunction(value) and public and not made:
                    yield f"{name}.{method}", value


@pytest.mark.parametrize(("package", "name"), exported())
def test_every_name_leads_to_something_with_a_docstring(package, name):
    thing = getattr(package, name)
    assert name in dir(package)
    assert isinstance(thing, str) or inspect.getdoc(thing)


@pytest.mark.parametrize(("name", "function"), list(functions()))
def test_arguments_results_and_errors_are_described(name, function):
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters if p != "self" and p != "cls"]
    if not parameters:
        return
    text = described(name, function)
    head, _, arguments = text.partition("\nArgs:\n")
    assert head and arguments, f"{name} has no Args"
    for parameter in parameters:
        assert f"\n    {parameter}: " in "\n" + arguments, f"{name} does not describe {parameter}"
    if signature.return_annotation not in (None, "None"):
        assert "\nReturns:\n    " in text, f"{name} has no Returns"
    if "." not in name and name not in RAISE_NOTHING:
        assert "\nRaises:\n    " in text, f"{name} has no Raises"


def described(name, function):
    """The docstring; the arguments of a constructor may be described by that of its class."""
    package = next(package for package, public in exported() if public == name.split(".")[0])
    own = function.__doc__ or name.endswith("__init__")
    assert own, f"{name} has no docstring"
    if function.__doc__:
        return inspect.getdoc(function)
    return inspect.getdoc(getattr(package, name.split(".")[0]))


@pytest.mark.parametrize(("package", "name"), exported())
def test_fields_are_described(package, name):
    thing = getattr(package, name)
    if not inspect.isclass(thing):
        return
    text = "\n" + inspect.getdoc(thing)
    settings = dataclasses.fields(thing) if dataclasses.is_dataclass(thing) else ()
    helped = {s.name for s in settings if s.metadata.get("help")}
    # A group of settings describes its own.
    grouped = {s.name for s in settings if dataclasses.is_dataclass(s.default_factory)}
    for field in {s.name for s in settings} | set(getattr(thing, "_fields", ())):
        known = field in helped | grouped or f"\n    {field}: " in text
        assert known, f"{name} does not describe {field}"


def test_there_are_functions_to_look_at():
    some = {"train", "eer", "Encoder.from_pretrained", "FunctionEmbedder.__init__"}
    some |= {"cluster", "score_files", "Diarizer.__call__", "Gallery.open", "Recording.__init__"}
    assert some <= {name for name, _ in functions()}


def test_rooms_export_a_few_names_without_torch():
    code = (
        "import sys, importlib\n"
        f"rooms = [importlib.import_module(r) for r in {ROOMS}]\n"
        "assert not {'torch', 'av', 'scipy', 'sklearn'} & set(sys.modules), set(sys.modules)\n"
        "for room in rooms: [getattr(room, name) for name in room.__all__]\n"
        "assert 'torch' in sys.modules\n"
        "print([len(room.__all__) for room in rooms])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    sizes = dict(zip(ROOMS, json.loads(done.stdout), strict=True))
    for room in (*(package.__name__ for package in PACKAGES), COMMAND):
        del sizes[room]
    assert len(sizes) >= 28
    assert all(3 <= size <= 8 for size in sizes.values()), sizes


@pytest.mark.parametrize("room", ROOMS)
def test_no_name_is_that_of_a_file_in_its_room(room):
    """The import of the file would put the module where the name was."""
    exports = set(importlib.import_module(room).__all__)
    folder = ROOT.joinpath(*room.split("."))
    inside = {path.stem for path in folder.glob("*.py")} | {path.name for path in folder.iterdir()}
    assert not exports & inside


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_that_is_not_there(package):
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'non"):
        package.nonesuch  # noqa: B018
