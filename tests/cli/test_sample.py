"""`made-tf sample`: new rows in files of each kind."""

import os

from command_line import fails, run


def test_sample_formats(model, folder):
    result = run("sample", model, "-n", 4, "-o", folder / "s.csv")
    assert result.stdout == f"4 rows in {folder / 's.csv'}\n"
    lines = (folder / "s.csv").read_text().splitlines()
    assert lines[0] == "x0,x1,x2,x3,x4,x5"
    assert len(lines) == 5
    run("sample", model, "-n", 4, "-o", folder / "s.png", "--image-shape", "2x3")
    assert (folder / "s.png").read_bytes().startswith(b"\x89PNG")


def test_bad_sample_options(tmp_path, model):
    output = tmp_path / "s.png"
    assert "go together" in fails("sample", model, "-o", output)
    assert "go together" in fails("sample", model, "-o", tmp_path / "s.csv", "--image-shape", "2x3")
    assert "needs rows of 25" in fails("sample", model, "-o", output, "--image-shape", "5x5")
    assert "such as 8x8" in fails("sample", model, "-o", output, "--image-shape", "8")
    assert "not in the range" in fails("sample", model, "-o", output, "--num", "0")
    assert "2147483647" in fails("sample", model, "-n", 3_000_000_000, "-o", tmp_path / "s.csv")
    big = ("-n", 1025, "--image-shape", "2x3")
    assert "at most 1024 for pictures" in fails("sample", model, "-o", output, *big)
    assert os.listdir(tmp_path) == []
