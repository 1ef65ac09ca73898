"""What `encoder` exports: every name leads somewhere, says what goes in and out, and costs nothing
before it is used."""

import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import encoder

ROOT = Path(__file__).parents[2]
ROOMS = sorted(
    ".".join(path.parent.relative_to(ROOT).parts) for path in ROOT.glob("encoder/**/__init__.py")
)
RAISE_NOTHING = {"cosine_triplet_loss"}


def functions():
    """(name, function) of all that a user calls: functions, constructors, methods."""
    for name in encoder.__all__:
        thing = getattr(encoder, name)
        if inspect.isfunction(thing):
            yield name, thing
        elif inspect.isclass(thing) and not issubclass(thing, Exception):
            for method, value in vars(thing).items():
                value = getattr(value, "__func__", value)
                made = dataclasses.is_dataclass(thing) and method == "__init__"
                public = method in ("__init__", "forward") or not method.startswith("_")
                if inspect.isfunction(value) and public and not made:
                    yield f"{name}.{method}", value


@pytest.mark.parametrize("name", encoder.__all__)
def test_every_name_leads_to_something_with_a_docstring(name):
    thing = getattr(encoder, name)
    assert name in dir(encoder)
    assert isinstance(thing, str) or inspect.getdoc(thing)


@pytest.mark.parametrize(("name", "function"), list(functions()))
def test_arguments_results_and_errors_are_described(name, function):
    text = inspect.getdoc(function)
    signature = inspect.signature(function)
    parameters = [p for p in signature.parameters if p != "self" and p != "cls"]
    if not parameters:
        return
    head, _, described = text.partition("\nArgs:\n")
    assert head and described, f"{name} has no Args"
    for parameter in parameters:
        assert f"\n    {parameter}: " in "\n" + described, f"{name} does not describe {parameter}"
    if not name.endswith("__init__"):
        assert "\nReturns:\n    " in text, f"{name} has no Returns"
    if "." not in name and name not in RAISE_NOTHING:
        assert "\nRaises:\n    " in text, f"{name} has no Raises"


def test_there_are_functions_to_look_at():
    assert {"train", "eer", "Encoder.from_pretrained", "FunctionEmbedder.__init__"} <= {
        name for name, _ in functions()
    }


def test_rooms_export_a_few_names_without_torch():
    code = (
        "import sys, importlib\n"
        f"rooms = [importlib.import_module(r) for r in {ROOMS}]\n"
        "assert not {'torch', 'av', 'scipy', 'sklearn'} & set(sys.modules), set(sys.modules)\n"
        "for room in rooms: [getattr(room, name) for name in room.__all__]\n"
        "assert 'torch' in sys.modules\n"
        "print([len(room.__all__) for room in rooms if room.__name__ != 'encoder'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    sizes = [int(size) for size in done.stdout.strip("[]\n").split(",")]
    assert len(sizes) >= 13
    assert all(3 <= size <= 8 for size in sizes), dict(zip(ROOMS[1:], sizes, strict=True))


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'encoder' has no attribute 'nonesuch'"):
        encoder.nonesuch  # noqa: B018
