"""The progress bar of rows that come in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["with_progress"]


def with_progress(
    batches: Iterable[Any], total: int, desc: str = "sampling", **options: Any
) -> Iterator[Any]:
    """Yields batches of rows and shows a bar on stderr; options are those of tqdm."""
    import tqdm

    with tqdm.tqdm(desc=desc, total=total, unit="row", **options) as bar:
        for batch in batches:
            yield batch
            bar.update(len(batch))
