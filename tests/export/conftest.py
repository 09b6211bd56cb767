import urllib.error

import pytest


@pytest.fixture(scope="session", autouse=True)
def briefly():
    """Batches are timed by three runs each: no test is about how long they take."""
    from made_tf.export.checks import measure

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "_SECONDS", 0.0)
        yield


@pytest.fixture(scope="session")
def litert():
    """The files of LiteRT.js, where they can be had."""
    from made_tf.export.web import litert_js

    try:
        return litert_js.litert_files()
    except (OSError, urllib.error.URLError) as error:
        pytest.skip(f"needs LiteRT.js: {error}")
