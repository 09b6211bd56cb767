"""The runtime as a distribution of its own: without made_tf, Keras and TensorFlow."""

import pathlib
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import made_tf
from made_tf import export
from made_tf.export import runtime

SOURCE = pathlib.Path(runtime.__file__).parent


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The folder with the files themselves in place of the link."""
    pytest.importorskip("setuptools", "77")
    if not (SOURCE / "pyproject.toml").exists():
        pytest.skip("the distribution's own files are in a checkout alone")
    source = tmp_path_factory.mktemp("runtime") / "source"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__", "build"))
    return source


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(source, folder / "source")  # where pip leaves what it builds
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    command += ["--disable-pip-version-check", "--wheel-dir", str(folder), str(folder / "source")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_each_file_once_and_has_the_version(source, wheel):
    assert wheel.name == f"made_tf_runtime-{made_tf.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (name for name in names if name.endswith("/METADATA"))
        needs = [
            line.split(": ")[1]
            for line in archive.read(metadata).decode().splitlines()
            if line.startswith("Requires-Dist")
        ]
    python = [name for name in names if name.endswith(".py")]
    modules = [path.relative_to(source) for path in source.rglob("*.py")]
    assert {"sampler.py", "portable/version.py"} <= {module.as_posix() for module in modules}
    assert sorted(python) == sorted(f"made_tf_runtime/{module.as_posix()}" for module in modules)
    heavy = ("tensorflow", "keras", "made")
    assert len(needs) == 3 and not any(need.startswith(heavy) for need in needs)


def test_the_installed_runtime_needs_neither_made_tf_nor_tensorflow(wheel, small_file, tmp_path):
    path = small_file()[1].path
    expected = export.LiteSampler(path).sample(40, seed=3)
    code = (
        "import sys\n"
        "for name in ('made_tf', 'tensorflow', 'keras', 'tensorflow_probability'):\n"
        "    sys.modules[name] = None  # importing it fails\n"
        f"sys.path.insert(0, {str(wheel)!r})\n"
        "import numpy as np\n"
        "import made_tf_runtime\n"
        f"device = made_tf_runtime.LiteSampler({str(path)!r})\n"
        f"np.save({str(tmp_path / 'rows.npy')!r}, device.sample(40, seed=3))\n"
        "print(made_tf_runtime.__file__, device.metadata['weights'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    file, weights = done.stdout.split()
    assert wheel.name in file and weights == "float32"
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), expected)
