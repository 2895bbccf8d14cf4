"""The store as the destination of one build."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from deploy_core import build, documents
from deploy_core.errors import InvalidArtifact
from deploy_core.files import atomic_write, make_folder, storage_failed
from deploy_core.formats import FORMATS, Format, in_build_order
from deploy_core.models import load
from deploy_core.storage.entry import EXPECTED, RECORD, TENSOR, EntryRecord, ExpectedAnswer, address
from deploy_core.storage.locks import SHARED, locked
from deploy_core.storage.store import Store
from deploy_core.types import Artifact, BuildRequest, KnownAnswer


@contextmanager
def open_shelf(store: Store, request: BuildRequest) -> Iterator[Shelf]:
    """The destination of a build of ``request``. It holds the locks of its files until the block ends.

    Raises StorageFailed for a build that is larger than the whole store.
    """
    spec = load.find(request.model)
    store.require_limit(sum(build.expected_bytes(row, spec) for row in in_build_order(request.formats)))
    with ExitStack() as held:
        yield Shelf(store, request, held)


@dataclass(frozen=True)
class Shelf:
    """A ``build.Destination`` in the store."""

    store: Store
    request: BuildRequest
    held: ExitStack

    def find(self, row: Format) -> Artifact | None:
        try:
            return self.held.enter_context(self.store.reading(address(self.request, row))).artifact
        except InvalidArtifact:
            return None

    @contextmanager
    def writing(self, row: Format) -> Iterator[Path]:
        self.store.make_room(build.expected_bytes(row, load.find(self.request.model)))
        folder = make_folder(self.path(row).parent)
        try:
            self.held.enter_context(locked(folder, SHARED))
        except OSError as error:
            raise storage_failed(folder, error) from error
        with atomic_write(self.path(row)) as temporary:
            yield temporary

    def path(self, row: Format) -> Path:
        return self.store.root / address(self.request, row) / row.filename(load.find(self.request.model).name)

    def keep(self, artifact: Artifact, known: KnownAnswer) -> None:
        row = FORMATS[artifact.format]
        folder = self.path(row).parent
        with atomic_write(folder / TENSOR) as path:
            path.write_bytes(known.input)
        documents.write(folder / EXPECTED, ExpectedAnswer(known.picture, known.answers, known.labels))
        request = replace(self.request, formats=(row.key,))
        documents.write(folder / RECORD, EntryRecord(request, artifact, row.versions()))
