"""Makes tests/golden/tables: files of tables' models, for tests that need no TensorFlow.

python tests/golden/make_tables.py
"""

import pathlib
import sys

FOLDER = pathlib.Path(__file__).parent
sys.path.insert(0, str(FOLDER.parent))

from example_tables import fitted_grades, fitted_rides  # noqa: E402

if __name__ == "__main__":
    fitted_rides().to_tflite(FOLDER / "tables" / "rides.tflite", signatures=["sample", "log_prob"])
    fitted_grades().to_tflite(
        FOLDER / "tables" / "grades-questions.tflite",
        "questions",
        signatures=["sample", "log_prob", "impute"],
    )
