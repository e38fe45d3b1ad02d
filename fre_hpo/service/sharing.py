"""A search whose workers write checkpoints to a shared folder or an object store, and whose results are
there, too, so that it may go on from another machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fre_hpo.errors import counted
from fre_hpo.scheduling.mirror import Mirror
from fre_hpo.scheduling.shared import SharedCheckpoints
from fre_hpo.service.stores import Store
from fre_hpo.study.fetching import fetch_results
from fre_hpo.study.folder import StudyFolder
from fre_hpo.study.ledger import Ledger
from fre_hpo.study.store import StoreAddress


@contextmanager
def sharing(
    store: Store | None, ledger: Ledger, folder: StudyFolder, say: Callable[[str], None]
) -> Iterator[SharedCheckpoints | None]:
    """Fetch what is missing here of the results, and copy there what comes, as long as the block lasts."""
    if store is None:
        yield None
        return
    address = StoreAddress(store.root, ledger.charter.id)
    opened = address.open()
    if opened.is_marked():
        fetched = fetch_results(opened, folder)
        if fetched:
            say(f"Fetched {counted(fetched, 'file')} of ended trials from {store.root}.")
    else:
        opened.mark(ledger.name)
    ledger.set_store(store.root)
    say(f"Checkpoints and results go to {store.root}.")
    mirror = Mirror(folder, opened)
    try:
        with mirror:
            yield SharedCheckpoints(folder, opened, mirror)
    finally:
        for sentence in mirror.news():
            say(sentence)
